"""The packages: all that is in vaekit/, apps/ and saved_models/; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[
        # vaekit/apps is a link, for tools that read the source.
        *find_packages(include=["vaekit", "vaekit.*"], exclude=["vaekit.apps", "vaekit.apps.*"]),
        "vaekit.apps",
        *(f"vaekit.apps.{name}" for name in find_packages("apps")),
        "vaekit.saved_models",
    ],
    package_dir={"vaekit.apps": "apps", "vaekit.saved_models": "saved_models"},
)
