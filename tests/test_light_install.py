"""The core install: what runs without the optional packages, and what is said where one is missing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vaekit import images
from vaekit.errors import EXTRAS, MissingPackageError, missing_package

WITHOUT = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
from vaekit.cli import main
main()
"""


def core(*arguments, cwd: Path) -> subprocess.CompletedProcess:
    """Run the command line as if no optional package were installed."""
    # typer itself may import pydantic.
    code = WITHOUT.format(packages=set(EXTRAS) - {"pydantic"})
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd, env=dict(os.environ), check=False, capture_output=True, encoding="utf-8",
    )  # fmt: skip


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    images.write(tmp_path / "photo.png", pixels)
    images.write(tmp_path / "mask.png", np.pad(np.full((4, 4, 3), 255, np.uint8), ((8, 20), (8, 20), (0, 0))))
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("inpaint", "photo.png", "--mask", "mask.png", "-o", "out.png"),
        ("superres", "photo.png", "-o", "out.png"),
        ("edit", "photo.png", "--aligned", "--set", "smiling=1", "-o", "out.png"),
        ("frontalize", "photo.png", "--aligned", "-o", "out.png"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_editing_needs_the_core_alone(photo, arguments):
    done = core(*arguments, cwd=photo)
    assert done.returncode == 0, done.stderr
    assert images.read(photo / "out.png").pixels.shape[2] == 3


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("train", "vaegan", "--data", "."), "train"),
        (("evaluate", "run"), "train"),
        (("export", "run", "name"), "train"),
        (("serve",), "serve"),
        (("inpaint", "photo.png", "--mask", "mask.png", "--runtime", "tensorflow"), "train"),
        (("inpaint", "photo.png", "--mask", "mask.png", "--runtime", "grpc://localhost:1"), "remote"),
        (("inpaint", "photo.png", "--mask", "mask.png", "--runtime", "http://localhost:1"), "remote"),
    ],
    ids=["train", "evaluate", "export", "serve", "runtime", "grpc", "rest"],
)
def test_a_missing_extra_is_named_in_one_line(photo, arguments, extra):
    done = core(*arguments, cwd=photo)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and f"pip install 'vaekit[{extra}]'" in done.stderr


def test_only_optional_packages_are_missing_extras():
    assert isinstance(missing_package(ModuleNotFoundError(name="keras.ops")), MissingPackageError)
    assert missing_package(ModuleNotFoundError(name="vaekit.nothing")) is None
    assert missing_package(ImportError("no name")) is None
