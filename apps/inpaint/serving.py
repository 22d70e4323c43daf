"""What inpaint answers a server's clients, on the editor."""

import functools

import numpy as np

from vaekit import faces
from vaekit.apps.inpaint.editor import Editor
from vaekit.serving import people
from vaekit.serving.calls import IMAGE, PICTURE, Call, Job, png
from vaekit.serving.contract import RequestError, Signature, Spec

INPUTS = {
    "image_bytes": IMAGE,
    "mask_bytes": Spec("DT_STRING", label="Mask"),
    "seed": Spec("DT_INT32", low=0, label="Variant (0 is likeliest)"),
}


def calls(editor: Editor) -> dict[str, Call]:
    """`serving_default`, and `photo`, which also looks for the faces in which holes lie."""
    photo = Signature(
        INPUTS,
        PICTURE,
        "Repair",
        "Paint over scratches, or over things to remove: they are filled from what is round them.",
    )
    return {
        "serving_default": Call(Signature(INPUTS, PICTURE), functools.partial(_repair, editor, False)),
        "photo": Call(photo, functools.partial(_repair, editor, True)),
    }


def _repair(
    editor: Editor, in_faces: bool, job: Job, *, image_bytes: bytes, mask_bytes: bytes, seed: np.int32
) -> bytes:
    picture = job.read(image_bytes)
    image, hole = picture.pixels, job.read_mask(mask_bytes)
    if hole.shape != image.shape[:2]:
        raise RequestError("mask and image differ in size")
    if hole.all():
        raise RequestError("the mask covers the whole picture")
    look = functools.partial(people.find, tilts=faces.TILTS[:1]) if in_faces and faces.installed() else None
    return png(editor(image, hole, seed=int(seed) or None, look=look, progress=job.progress), picture)
