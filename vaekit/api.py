"""One call a photo: `vaekit.edit("portrait.jpg", smiling=1).save("smiling.png")`.

A photo is a path, a PIL image, or an array [H, W], [H, W, 3] or [H, W, 4] of uint8 or uint16. The answer is of the
same kind; of a path it is a PIL image, with 8 bits a channel. Bundles and finders are opened once and kept.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vaekit import faces, images
from vaekit.images import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

    Photo = str | os.PathLike[str] | Image | np.ndarray


def edit(
    photo: Photo,
    values: Mapping[str, float] | None = None,
    /,
    *,
    face: str = "surest",
    min_score: float | None = None,
    face_model: str | os.PathLike[str] | None = None,
    aligned: bool = False,
    bundle: str = "edit",
    **attributes: float,
) -> Any:
    """Change attributes of the faces in a photo.

    Args:
        photo: a path, a PIL image or an array.
        values: by attribute, from -2 to 2: 1 makes an absent one present, -1 a present one absent.
        face: "all", "surest", "largest", or a number from "1", the surest.
        min_score: edit no face of which the finder is less sure; None is the finder's default.
        face_model: a YuNet file to find faces with, instead of MTCNN.
        aligned: the photo is a face aligned to template W already.
        bundle: name or path.
        **attributes: as `values`.

    Returns:
        What `photo` was: an array of the same shape and type, or a PIL image.

    Raises:
        vaekit.faces.FaceError: there is no such face.
        vaekit.errors.UserError: there is no such attribute, or a value is out of range.
        TypeError, ValueError: `photo` is no photo.

    Example:
        smiling = vaekit.edit("portrait.jpg", smiling=1)
        smiling.save("smiling.png")
    """
    editor = _editor("edit", bundle)
    wanted = {**(values or {}), **attributes}
    editor.check(wanted, ())
    picture, back = _opened(photo)
    found = [] if aligned else _chosen(picture.pixels, face, min_score, face_model)
    return back(editor(picture.pixels, wanted, None if aligned else found))


def frontalize(
    photo: Photo,
    *,
    turn: float = 1.0,
    paste: bool = False,
    face: str = "surest",
    min_score: float | None = None,
    face_model: str | os.PathLike[str] | None = None,
    aligned: bool = False,
    bundle: str = "frontalize",
) -> Any:
    """Turn the face in a photo to the front.

    Args:
        photo: a path, a PIL image or an array.
        turn: how far, 0 not at all, 1 to the front.
        paste: put the face back into the photo, and return that.
        face: "surest", "largest", or a number from "1", the surest.
        min_score: take no face of which the finder is less sure; None is the finder's default.
        face_model: a YuNet file to find faces with, instead of MTCNN.
        aligned: the photo is a face aligned to template N already.
        bundle: name or path.

    Returns:
        The face alone, a square, or with `paste` the whole photo: an array of the photo's type, or a PIL image.

    Raises:
        vaekit.faces.FaceError: there is no such face.
        TypeError, ValueError: `photo` is no photo.

    Example:
        vaekit.frontalize("profile.jpg").save("front.png")
    """
    editor = _editor("frontalize", bundle)
    picture, back = _opened(photo)
    one = None if aligned else _chosen(picture.pixels, face, min_score, face_model)[0]
    return back((editor.pasted if paste else editor)(picture.pixels, one, turn))


def inpaint(photo: Photo, mask: Photo, *, in_faces: bool = True, bundle: str = "inpaint", **controls: Any) -> Any:
    """Repair the holes of a photo.

    Args:
        photo: a path, a PIL image or an array.
        mask: of the same size, as a path, a PIL image, or an array [H, W]; white (above 127, or True) is the hole.
        in_faces: find the faces; a hole that lies in one is repaired in its aligned crop.
        bundle: name or path.
        **controls: those of vaekit.apps.inpaint.editor.Editor, such as `seed`.

    Returns:
        What `photo` was: an array of the same shape and type, or a PIL image.

    Raises:
        TypeError, ValueError: `photo` or `mask` is none, or their sizes differ.

    Example:
        vaekit.inpaint("photo.jpg", "mask.png").save("repaired.png")
    """
    editor = _editor("inpaint", bundle)
    picture, back = _opened(photo)
    hole = _hole(mask)
    if hole.shape != picture.pixels.shape[:2]:
        sizes = [f"{width}x{height}" for height, width in (hole.shape, picture.pixels.shape[:2])]
        raise ValueError(f"the mask is {sizes[0]}, the photo {sizes[1]}")
    found = []
    if in_faces and hole.any() and faces.installed():
        finder = _finder(None)
        seen = faces.find(editor(picture.pixels, hole), finder)
        found = [face for face in seen if face.score >= finder.least]
    return back(editor(picture.pixels, hole, found=found, **controls))


def superres(photo: Photo, scale: float = 4, *, bundle: str = "superres", **controls: Any) -> Any:
    """Enlarge a photo.

    Args:
        photo: a path, a PIL image or an array.
        scale: how many times larger, above 1 and at most 4.
        bundle: name or path.
        **controls: those of vaekit.apps.superres.editor.Editor, such as `detail`.

    Returns:
        An array of the photo's type, or a PIL image.

    Raises:
        TypeError, ValueError: `photo` is none, or `scale` out of range.

    Example:
        vaekit.superres("small.jpg", 2).save("large.png")
    """
    editor = _editor("superres", bundle)
    picture, back = _opened(photo)
    return back(editor(picture.pixels, scale, **controls))


# === What they share ===


@functools.lru_cache
def _editor(app: str, bundle: str) -> Any:
    from vaekit.apps import editor

    return editor(app)(bundle)


@functools.lru_cache
def _finder(least: float | None) -> faces.Finder:
    return faces.open_finder(least=least)


def _chosen(
    pixels: np.ndarray, which: str, least: float | None, model: str | os.PathLike[str] | None
) -> list[faces.Face]:
    # Only MTCNN is kept: OpenCV's detector is for one thread at a time.
    finder = _finder(least) if model is None else faces.open_finder(Path(model), least)
    return faces.choose(faces.find(pixels, finder), which, finder.least)


def _opened(photo: Photo) -> tuple[Picture, Callable[[np.ndarray], Any]]:
    """A photo as a picture, and what turns an edit of it into what the photo was."""
    if isinstance(photo, np.ndarray):
        pixels = cv2.cvtColor(photo, cv2.COLOR_GRAY2RGB) if photo.ndim == 2 else photo
        images.check(pixels)
        return Picture(pixels), lambda edited: edited[..., 0] if photo.ndim == 2 else edited
    if isinstance(photo, str | os.PathLike):
        picture = images.read(photo)
        return picture, functools.partial(_image, picture.grey, picture.icc, picture.exif)
    if not hasattr(photo, "convert"):
        raise TypeError(f"expected a path, a PIL image or an array, not {type(photo).__name__}")
    alpha = photo.has_transparency_data
    if photo.mode.startswith("I;16"):
        pixels = cv2.cvtColor(np.asarray(photo, np.uint16), cv2.COLOR_GRAY2RGB)
        return Picture(pixels), lambda edited: _image(True, None, None, edited, deep=True)
    grey = photo.mode in ("1", "L", "LA", "La")
    pixels = np.array(photo.convert("RGBA" if alpha else "RGB"))
    return Picture(pixels), functools.partial(_image, grey, photo.info.get("icc_profile"), photo.info.get("exif"))


def _image(grey: bool, icc: bytes | None, exif: bytes | None, pixels: np.ndarray, deep: bool = False) -> Image:
    """A PIL image of an edit, with what the photo said of itself."""
    from PIL import Image

    if pixels.dtype == np.uint16 and not deep:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if grey:
        pixels = pixels[..., 0] if pixels.shape[2] == 3 else pixels[..., [0, 3]]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.info.update({name: value for name, value in (("icc_profile", icc), ("exif", exif)) if value})
    return image


def _hole(mask: Photo) -> np.ndarray:
    """[H, W] bool."""
    if isinstance(mask, str | os.PathLike):
        return images.read_mask(mask)
    if not isinstance(mask, np.ndarray):
        if not hasattr(mask, "convert"):
            raise TypeError(f"expected a path, a PIL image or an array, not {type(mask).__name__}")
        mask = np.asarray(mask.convert("L"))
    if mask.ndim != 2 or mask.dtype not in (np.bool_, np.uint8):
        raise ValueError(f"expected a mask [H, W] of bool or uint8, not {mask.shape} of {mask.dtype}")
    return mask if mask.dtype == np.bool_ else mask > 127
