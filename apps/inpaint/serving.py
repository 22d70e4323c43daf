"""`serving_default` of inpaint, on the editor."""

import numpy as np

from vaekit import images
from vaekit.apps.inpaint.editor import Editor
from vaekit.serving.contract import RequestError, Spec


def inputs(editor: Editor) -> dict[str, Spec]:
    """What it takes of each picture."""
    return {"image_bytes": Spec("DT_STRING"), "mask_bytes": Spec("DT_STRING"), "seed": Spec("DT_INT32", low=0)}


def answer(editor: Editor, max_pixels: int, *, image_bytes: bytes, mask_bytes: bytes, seed: np.int32) -> np.ndarray:
    """Repair one picture; seed 0 is the likeliest repair.

    Raises:
        ImageError, RequestError: a file is none, or the two do not fit.
    """
    image = images.decode(image_bytes, max_pixels=max_pixels).pixels
    hole = images.decode_mask(mask_bytes, max_pixels=max_pixels)
    if hole.shape != image.shape[:2]:
        raise RequestError("mask and image differ in size")
    if hole.all():
        raise RequestError("the mask covers the whole picture")
    return editor(image, hole, seed=int(seed) or None)
