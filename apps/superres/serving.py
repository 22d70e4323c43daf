"""What superres answers a server's clients, on the editor."""

import functools

import numpy as np

from vaekit.apps.superres.editor import SCALES, Editor
from vaekit.serving.calls import IMAGE, PICTURE, Call, Job, png
from vaekit.serving.contract import Signature, Spec

INPUTS = {
    "image_bytes": IMAGE,
    "scale": Spec("DT_INT32", low=SCALES[0], high=SCALES[-1], enlarges=True, default=2, label="Scale (1 only cleans)"),
    "detail": Spec("DT_FLOAT", low=0.0, high=1.0, default=0.5, label="Detail"),
    "seed": Spec("DT_INT32", low=0, label="Variant (0 is likeliest)"),
}
CLEAN = Spec("DT_FLOAT", low=-1.0, high=1.0, default=-1.0, automatic=True, label="Clean")


def calls(editor: Editor) -> dict[str, Call]:
    """`serving_default`, and `photo`, in which clients choose how much is cleaned."""
    inputs = {**INPUTS, "clean": CLEAN}
    order = ("image_bytes", "scale", "clean", "detail", "seed")
    photo = Signature(
        {name: inputs[name] for name in order},
        PICTURE,
        "Enlarge",
        "Make a photo larger and sharper, and free it of noise, blur and the blocks of JPEG.",
    )
    answer = functools.partial(_enlarge, editor)
    return {"serving_default": Call(Signature(INPUTS, PICTURE), answer), "photo": Call(photo, answer)}


def _enlarge(
    editor: Editor,
    job: Job,
    *,
    image_bytes: bytes,
    scale: np.int32,
    detail: np.float32,
    seed: np.int32,
    clean: np.float32 | None = None,
) -> bytes:
    picture = job.read(image_bytes)
    enlarged = editor(
        picture.pixels,
        int(scale),
        detail=float(detail),
        clean=None if clean is None or clean < 0 else float(clean),
        seed=int(seed) or None,
        progress=job.progress,
    )
    return png(enlarged, picture)
