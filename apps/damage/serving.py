"""`serving_default` of damage, on the editor."""

import numpy as np

from vaekit import images
from vaekit.apps.damage.editor import Editor
from vaekit.serving.contract import Spec


def inputs(editor: Editor) -> dict[str, Spec]:
    """What it takes of each picture."""
    return {"image_bytes": Spec("DT_STRING"), "threshold": Spec("DT_FLOAT", low=0.0, high=1.0)}


def answer(editor: Editor, max_pixels: int, *, image_bytes: bytes, threshold: np.float32) -> np.ndarray:
    """The mask of one picture, [H, W] uint8, white where it is damaged.

    Raises:
        ImageError: the file is none.
    """
    image = images.decode(image_bytes, max_pixels=max_pixels).pixels
    return 255 * editor(image, float(threshold)).astype(np.uint8)
