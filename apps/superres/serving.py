"""`serving_default` of superres, on the editor."""

import numpy as np

from vaekit import images
from vaekit.apps.superres.editor import SCALES, Editor
from vaekit.serving.contract import Spec


def inputs(editor: Editor) -> dict[str, Spec]:
    """What it takes of each picture."""
    return {
        "image_bytes": Spec("DT_STRING"),
        "scale": Spec("DT_INT32", low=SCALES[0], high=SCALES[-1], enlarges=True),
        "detail": Spec("DT_FLOAT", low=0.0, high=1.0),
        "seed": Spec("DT_INT32", low=0),
    }


def answer(
    editor: Editor, max_pixels: int, *, image_bytes: bytes, scale: np.int32, detail: np.float32, seed: np.int32
) -> np.ndarray:
    """Enlarge one picture, and clean it as much as it is estimated to need; seed 0 is the likeliest detail.

    Raises:
        ImageError: the file is none.
    """
    image = images.decode(image_bytes, max_pixels=int(max_pixels // scale**2)).pixels
    return editor(image, int(scale), detail=float(detail), seed=int(seed) or None)
