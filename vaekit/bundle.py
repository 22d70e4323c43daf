"""Bundles: what an exported model is, where it is found, and whether it is whole.

saved_models/NAME/VERSION/ is what TensorFlow Serving loads; its `assets.extra/` holds the same network as
model.onnx, card.json and the warm-up requests. The card lists a SHA-256 of every file.
"""

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaekit.errors import UserError

EXTRA = "assets.extra"
ONNX = f"{EXTRA}/model.onnx"
CARD = f"{EXTRA}/card.json"
MODELS_VARIABLE = "VAEKIT_MODELS"


class BundleError(UserError):
    """A bundle that is missing or damaged; the message is one line that names the file."""

    exit_status = 3


@dataclass(frozen=True)
class Bundle:
    """One version of an exported model."""

    name: str
    version: int
    path: Path
    card: dict[str, Any]

    def check(self, *names: str) -> None:
        """Compare files with the checksums in the card: those named, or all of them.

        Raises:
            BundleError: a file is missing, or is not what was exported.
        """
        sums = self.card["sha256"]
        for name in names or sums:
            if name not in sums:
                raise BundleError(f"{self.path / name}: not listed in the bundle's card")
            if digest(self.path / name) != sums[name]:
                raise BundleError(f"{self.path / name}: damaged (checksum differs from the card's)")

    @property
    def onnx(self) -> Path:
        """The network for ONNX Runtime."""
        return self.path / ONNX


def onnx_input(name: str, signature: str) -> str:
    """What the ONNX graph calls an input of a signature: the usual one's have their plain names."""
    return name if signature == "tensor" else f"{name}_{signature}"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from None


def folders() -> list[Path]:
    """Where bundles are looked for, in order: $VAEKIT_MODELS, then the ones that came with vaekit."""
    named = [Path(p) for p in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if p]
    spec = importlib.util.find_spec("vaekit.saved_models")
    installed = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    return named + installed


def find(name: str, version: int | None = None, app: str | None = None) -> Bundle:
    """Open a bundle by its name, or by the path of its folder (with or without a version).

    Raises:
        BundleError: there is none, its card cannot be read, or it is not one of `app`, where that is named.
    """
    found = _find(name, version)
    if app is not None and found.card.get("app") != app:
        raise BundleError(f"{found.path}: a bundle of {found.card.get('app')}, not of {app}")
    return found


def _find(name: str, version: int | None) -> Bundle:
    direct = Path(name)
    if (direct / CARD).is_file():
        return _open(direct)
    for folder in [direct.parent, *folders()] if direct.is_dir() else folders():
        versions = _versions(folder / direct.name)
        if version is not None:
            versions = [v for v in versions if int(v.name) == version]
        if versions:
            return _open(versions[-1])
    wanted = name if version is None else f"{name} version {version}"
    raise BundleError(f"no bundle {wanted} in {', '.join(str(f) for f in folders()) or 'any folder'}")


def installed() -> list[Bundle]:
    """The newest version of every bundle that `find` would find by name."""
    return [bundles[-1] for _, bundles in sorted(versions(folders()).items())]


def versions(where: list[Path]) -> dict[str, list[Bundle]]:
    """Every version of every bundle in folders, by name; where two folders have a name, the first one's.

    Raises:
        BundleError: a card cannot be read.
    """
    found: dict[str, list[Bundle]] = {}
    for folder in where:
        for child in sorted(folder.iterdir()) if folder.is_dir() else ():
            if child.name not in found and (paths := _versions(child)):
                found[child.name] = [_open(path) for path in paths]
    return found


def _versions(folder: Path) -> list[Path]:
    found = [v for v in folder.iterdir() if v.name.isdecimal()] if folder.is_dir() else []
    return sorted(found, key=lambda v: int(v.name))


def _open(path: Path) -> Bundle:
    path = path.resolve()
    try:
        card = json.loads((path / CARD).read_text("utf-8"))
        if not isinstance(card, dict) or not isinstance(card.get("sha256"), dict):
            raise ValueError("no checksums in it")
    except (OSError, ValueError) as error:
        raise BundleError(f"{path / CARD}: {error}") from None
    return Bundle(path.parent.name, int(path.name), path, card)
