"""`serving_default` of damage, on the editor."""

import numpy as np

from vaekit import images
from vaekit.apps.damage.editor import Editor
from vaekit.serving.contract import RequestError, Spec


def inputs(editor: Editor) -> dict[str, Spec]:
    """What it takes of each picture."""
    return {"image_bytes": Spec("DT_STRING"), "threshold": Spec("DT_FLOAT")}


def answer(editor: Editor, max_pixels: int, *, image_bytes: bytes, threshold: np.float32) -> np.ndarray:
    """The mask of one picture, [H, W] uint8, white where it is damaged.

    Raises:
        ImageError, RequestError: the file is none, or the threshold is not in 0..1.
    """
    if not 0 <= threshold <= 1:
        raise RequestError("threshold is not from 0 to 1")
    image = images.decode(image_bytes, max_pixels=max_pixels).pixels
    return 255 * editor(image, float(threshold)).astype(np.uint8)
