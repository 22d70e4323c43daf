"""What frontalize answers a server's clients, on the editor."""

import functools

import numpy as np

from vaekit.apps.frontalize.editor import Editor
from vaekit.faces import FaceError
from vaekit.serving import people
from vaekit.serving.calls import IMAGE, PICTURE, Call, Job, png
from vaekit.serving.contract import Signature, Spec

TURN = Spec("DT_FLOAT", low=0.0, high=1.0, default=1.0, label="Turn")
SHOWN = Spec("DT_STRING", label="Photo with the pose and expression")


def calls(editor: Editor) -> dict[str, Call]:
    """`serving_default` of aligned faces, `photo` and `transfer` of faces in photos, and `faces`, which finds those."""
    photo = Signature(
        {
            "image_bytes": IMAGE,
            "points": people.POINTS,
            "turn": TURN,
            "paste": Spec("DT_INT32", low=0, high=1, label="Put the face back into the photo"),
        },
        PICTURE,
        "Turn face",
        "Draw a face as it looks from the front.",
    )
    transfer = Signature(
        {"image_bytes": IMAGE, "points": people.POINTS, "shown_bytes": SHOWN},
        PICTURE,
        "Transfer pose",
        "Show the person of this photo in the pose, light and expression of another photo.",
    )
    aligned = Signature({"image_bytes": IMAGE, "shown_bytes": SHOWN, "turn": TURN}, PICTURE)
    return {
        "serving_default": Call(aligned, functools.partial(_aligned, editor)),
        "photo": Call(photo, functools.partial(_turn, editor)),
        "transfer": Call(transfer, functools.partial(_transfer, editor)),
        "faces": people.FACES,
    }


def _aligned(editor: Editor, job: Job, *, image_bytes: bytes, shown_bytes: bytes, turn: np.float32) -> bytes:
    image, shown = (job.read(data).pixels for data in (image_bytes, shown_bytes))
    return png(editor.transfer(image, shown, turn=float(turn)))


def _turn(
    editor: Editor, job: Job, *, image_bytes: bytes, points: np.ndarray, turn: np.float32, paste: np.int32
) -> bytes:
    picture, face = job.read(image_bytes), people.at(points)
    if paste:
        return png(editor.pasted(picture.pixels, face, float(turn)), picture)
    return png(editor(picture.pixels, face, float(turn)))


def _transfer(editor: Editor, job: Job, *, image_bytes: bytes, points: np.ndarray, shown_bytes: bytes) -> bytes:
    image, shown = (job.read(data).pixels for data in (image_bytes, shown_bytes))
    found = people.find(shown)
    if not found:
        raise FaceError("no face found in the photo with the pose")
    return png(editor.transfer(image, shown, people.at(points), found[0]))
