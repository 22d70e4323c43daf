"""What damage answers a server's clients, on the editor."""

import functools

import numpy as np

from vaekit.apps.damage.editor import THRESHOLD, Editor
from vaekit.serving.calls import IMAGE, PICTURE, Call, Job, png
from vaekit.serving.contract import Signature, Spec

INPUTS = {
    "image_bytes": IMAGE,
    "threshold": Spec("DT_FLOAT", low=0.0, high=1.0, default=THRESHOLD, label="How sure it must be"),
}


def calls(editor: Editor) -> dict[str, Call]:
    """`serving_default`, and `photo`, whose output is called a mask."""
    photo = Signature(
        INPUTS,
        {"mask_bytes": Spec("DT_STRING")},
        "Find damage",
        "Mark scratches, dust, creases and stains of an old photo, so that they can be repaired.",
    )
    answer = functools.partial(_find, editor)
    return {"serving_default": Call(Signature(INPUTS, PICTURE), answer), "photo": Call(photo, answer)}


def _find(editor: Editor, job: Job, *, image_bytes: bytes, threshold: np.float32) -> bytes:
    mask = editor(job.read(image_bytes).pixels, float(threshold), progress=job.progress)
    return png(255 * mask.astype(np.uint8))
