"""`serving_default` of superres, on the editor."""

import numpy as np

from vaekit import images
from vaekit.apps.superres.editor import SCALES, Editor
from vaekit.serving.contract import RequestError, Spec


def inputs(editor: Editor) -> dict[str, Spec]:
    """What it takes of each picture."""
    return {
        "image_bytes": Spec("DT_STRING"),
        "scale": Spec("DT_INT32"),
        "detail": Spec("DT_FLOAT"),
        "seed": Spec("DT_INT32"),
    }


def answer(
    editor: Editor, max_pixels: int, *, image_bytes: bytes, scale: np.int32, detail: np.float32, seed: np.int32
) -> np.ndarray:
    """Enlarge one picture; seed 0 is the likeliest detail.

    Raises:
        ImageError, RequestError: the file is none, or scale or detail are not offered.
    """
    if scale not in SCALES:
        raise RequestError(f"scale is none of {', '.join(map(str, SCALES))}")
    if not 0 <= detail <= 1:
        raise RequestError("detail is not from 0 to 1")
    image = images.decode(image_bytes, max_pixels=int(max_pixels // scale**2)).pixels
    return editor(image, int(scale), detail=float(detail), seed=int(seed) or None)
