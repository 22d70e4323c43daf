"""`serving_default` of frontalize, on the editor."""

import numpy as np

from vaekit import images
from vaekit.apps.frontalize.editor import Editor
from vaekit.serving.contract import Spec


def inputs(editor: Editor) -> dict[str, Spec]:
    """What it takes of each picture."""
    return {
        "image_bytes": Spec("DT_STRING"),
        "shown_bytes": Spec("DT_STRING"),
        "turn": Spec("DT_FLOAT", low=0.0, high=1.0),
    }


def answer(editor: Editor, max_pixels: int, *, image_bytes: bytes, shown_bytes: bytes, turn: np.ndarray) -> np.ndarray:
    """Draw who is on one aligned face as another one is shown, turned to the front by `turn`.

    Raises:
        ImageError: a file is none.
    """
    image, shown = (images.decode(data, max_pixels=max_pixels).pixels for data in (image_bytes, shown_bytes))
    return editor.transfer(image, shown, turn=float(turn))
