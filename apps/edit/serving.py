"""What edit answers a server's clients, on the editor."""

import functools

import numpy as np

from vaekit import faces
from vaekit.apps.edit.editor import STRONGEST, Editor
from vaekit.serving import people
from vaekit.serving.calls import IMAGE, PICTURE, Call, Job, png
from vaekit.serving.contract import Signature, Spec


def calls(editor: Editor) -> dict[str, Call]:
    """`serving_default` of an aligned face, `photo` of a face in a photo, and `faces`, which finds those."""
    names = editor.attributes
    change = Spec("DT_FLOAT", (-1, len(names)), low=-STRONGEST, high=STRONGEST, names=names, label="Change")
    photo = Signature(
        {"image_bytes": IMAGE, "points": people.POINTS, "change": change},
        PICTURE,
        "Edit face",
        "Change a face: to the right adds, to the left takes away.",
    )
    answer = functools.partial(_change, editor)
    return {
        "serving_default": Call(Signature({"image_bytes": IMAGE, "change": change}, PICTURE), answer),
        "photo": Call(photo, answer),
        "faces": people.FACES,
    }


def _change(
    editor: Editor, job: Job, *, image_bytes: bytes, change: np.ndarray, points: np.ndarray | None = None
) -> bytes:
    picture = job.read(image_bytes)
    face = faces.whole(picture.pixels) if points is None else people.at(points)
    return png(editor(picture.pixels, dict(zip(editor.attributes, change.tolist(), strict=True)), [face]), picture)
