"""Bundles: what an exported model is, where it is found, and whether it is whole.

saved_models/NAME/VERSION/ is what TensorFlow Serving loads; its `assets.extra/` holds the same network as onnx/,
card.json and the warm-up requests. The card lists a SHA-256 of every file. The checksums find damage; they
do not say who made a bundle, as whoever makes one writes its card too.
"""

import hashlib
import importlib.util
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from vaekit.errors import UserError

EXTRA = "assets.extra"
GRAPHS = f"{EXTRA}/onnx"
"""A graph a signature, SIGNATURE.onnx, by which others than vaekit run the network too."""
WEIGHTS = f"{GRAPHS}/weights.bin"
"""What the graphs share."""
ONNX = f"{EXTRA}/model.onnx"
"""All signatures in one graph: what bundles had before."""
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
            BundleError: a file is missing, is not what was exported, lies outside the bundle, or is not listed.
        """
        sums = self.card["sha256"]
        for name in names or sums:
            if name not in sums:
                raise BundleError(f"{self.path / name}: not listed in the bundle's card")
            parts = PurePosixPath(name).parts
            if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
                raise BundleError(f"{self.path / CARD}: lists {name}, which is not in the bundle")
            if digest(self.path / name) != sums[name]:
                raise BundleError(f"{self.path / name}: damaged (checksum differs from the card's)")
        if not names:
            for name in (*([] if self.graphs else [ONNX]), *_files(self.path)):
                if name not in sums and name != CARD:
                    raise BundleError(f"{self.path / name}: not listed in the bundle's card")

    @property
    def shipped(self) -> bool:
        """Whether it came with vaekit."""
        return any(self.path.is_relative_to(folder.resolve()) for folder in _installed())

    @property
    def onnx(self) -> Path:
        """The one graph of a bundle that was exported before."""
        return self.path / ONNX

    @property
    def graphs(self) -> dict[str, str]:
        """Signature -> the file of its graph, `tensor` first; none in a bundle that was exported before."""
        files = [PurePosixPath(name) for name in self.card["sha256"] if name.endswith(".onnx")]
        found = {file.stem: str(file) for file in files if str(file.parent) == GRAPHS}
        return dict(sorted(found.items(), key=lambda item: (item[0] != "tensor", item[0])))


def onnx_input(name: str, signature: str) -> str:
    """What the ONNX graph calls an input of a signature: the usual one's have their plain names."""
    return name if signature == "tensor" else f"{name}_{signature}"


def _files(folder: Path) -> list[str]:
    """Names of the files below a folder but hidden ones, relative to it, with forward slashes."""
    found = (p for p in sorted(folder.rglob("*")) if not p.is_dir())
    names = [p.relative_to(folder) for p in found]
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        BundleError: it cannot be read, or is no regular file, whose reading might never end.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BundleError(f"{path}: not a regular file")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def folders() -> list[Path]:
    """Where bundles are looked for, in order: $VAEKIT_MODELS, then the ones that came with vaekit."""
    named = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    return [Path(os.path.expanduser(p)) for p in named if p] + _installed()


def _installed() -> list[Path]:
    spec = importlib.util.find_spec("vaekit.saved_models")
    return [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []


def find(name: str, version: int | None = None, app: str | None = None) -> Bundle:
    """Open a bundle by its name, or by the path of its folder (with or without a version).

    A name without a slash is looked for in `folders` alone: what lies in the current folder is ./NAME.

    Raises:
        BundleError: there is none, its card cannot be read, or it is not one of `app`, where that is named.
    """
    found = _find(name, version)
    if app is not None and found.card.get("app") != app:
        raise BundleError(f"{found.path}: a bundle of {found.card.get('app')}, not of {app}")
    return found


def _find(name: str, version: int | None) -> Bundle:
    is_path = name in (os.curdir, os.pardir) or any(slash in name for slash in (os.sep, os.altsep) if slash)
    direct = Path(os.path.abspath(os.path.expanduser(name)))
    if is_path and _is_file(direct / CARD):
        return _open(direct)
    for folder in [direct.parent] if is_path else folders():
        versions = _versions(folder / direct.name) if direct.name else []
        if version is not None:
            versions = [v for v in versions if int(v.name) == version]
        if versions:
            return _open(versions[-1])
    wanted = name if version is None else f"{name} version {version}"
    if is_path:
        raise BundleError(f"{wanted}: no bundle, and no folder of versions of one")
    here = f" (./{name} is the one in the current folder)" if _versions(Path(name)) else ""
    raise BundleError(f"no bundle {wanted} in {', '.join(str(f) for f in folders()) or 'any folder'}{here}")


def installed() -> list[Bundle]:
    """The newest version of every bundle that `find` would find by name."""
    return [bundles[-1] for _, bundles in sorted(versions(folders()).items())]


def versions(where: list[Path]) -> dict[str, list[Bundle]]:
    """Every version of every bundle in folders, by name; where two folders have a name, the first one's.

    What is in a folder beside bundles is left alone.

    Raises:
        BundleError: a folder or a card cannot be read.
    """
    found: dict[str, list[Bundle]] = {}
    for folder in where:
        for child in _children(folder):
            if child.name not in found and (paths := _versions(child)):
                found[child.name] = [_open(path) for path in paths]
    return found


def _versions(folder: Path) -> list[Path]:
    """Folders called by a number that have a card, the newest last."""
    found = [v for v in _children(folder) if v.name.isdecimal() and _is_file(v / CARD)]
    return sorted(found, key=lambda v: int(v.name))


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read: {error.strerror}") from None


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _open(path: Path) -> Bundle:
    path = path.resolve()
    try:
        card = json.loads((path / CARD).read_text("utf-8"))
        if not isinstance(card, dict) or not isinstance(card.get("sha256"), dict):
            raise ValueError("no checksums in it")
        if not path.name.isdecimal() and not isinstance(card.get("version"), int):
            raise ValueError("no version in it, and its folder is not called by a number")
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path / CARD}: {str(error).splitlines()[0]}") from None
    if path.name.isdecimal():
        return Bundle(path.parent.name, int(path.name), path, card)
    return Bundle(str(card.get("name", path.name)), card["version"], path, card)  # a copy under a name of its own
