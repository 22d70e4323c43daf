"""`serving_default` of edit, on the editor."""

import numpy as np

from vaekit import images
from vaekit.apps.edit.editor import STRONGEST, Editor
from vaekit.serving.contract import Spec


def inputs(editor: Editor) -> dict[str, Spec]:
    """What it takes of each picture."""
    return {
        "image_bytes": Spec("DT_STRING"),
        "change": Spec("DT_FLOAT", (-1, len(editor.attributes)), low=-STRONGEST, high=STRONGEST),
    }


def answer(editor: Editor, max_pixels: int, *, image_bytes: bytes, change: np.ndarray) -> np.ndarray:
    """Change one aligned face, by a value for each of the editor's attributes.

    Raises:
        ImageError: the file is none.
    """
    image = images.decode(image_bytes, max_pixels=max_pixels).pixels
    return editor(image, dict(zip(editor.attributes, change.tolist(), strict=True)))
