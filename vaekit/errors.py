"""Errors that the user can put right: one line, no traceback."""

EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "tensorflow_datasets": "train",
    "pydantic": "train",
    "tf2onnx": "train",
    "onnx": "train",
    "tensorflow_serving": "train",
    "tenacity": "remote",
    "urllib3": "remote",
    "orjson": "remote",
    "grpc": "remote",
    "jax": "jax",
    "h5py": "jax",
    "msgspec": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "httptools": "serve",
    "prometheus_client": "serve",
}
"""Import name of an optional package -> the extra of vaekit that installs it."""


class UserError(Exception):
    """The message is one line; `exit_status` is what the command line ends with."""

    exit_status = 2


class MissingPackageError(UserError):
    """An optional package is not installed; the message names the extra that installs it.

    Args:
        package: import name, a key of EXTRAS.
    """

    def __init__(self, package: str):
        self.package = package
        super().__init__(f"this needs {package}: pip install 'vaekit[{EXTRAS[package]}]'")

    def __reduce__(self):
        """Pickle by the argument, so that it can be raised in another process."""
        return type(self), (self.package,)


def missing_package(error: ImportError) -> MissingPackageError | None:
    """Return the error to show instead of a failed import, or None if `error` names no optional package."""
    package = (error.name or "").partition(".")[0]
    return MissingPackageError(package) if package in EXTRAS else None
