"""Training side of frontalization: pictures of people, each with another one of the same person."""

import numpy as np
from keras import ops

from vaekit import faces
from vaekit.data import DataError, crop_resize, to_unit
from vaekit.models.face_ipgan import FRONTAL, PROFILE, UNKNOWN, FaceIPGAN
from vaekit.training import Task


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A face "image" [H, W, 3] float32 in 0..1 in template N, its "pose", and its "partner" of the same person.

    Labels are FRONTAL or PROFILE, as words in alphabetical order are numbered; where there are none and no "yaw", the
    pose is unknown.
    """
    if "partner" not in item:
        raise DataError("faces without partners: name the column of people as the data's partner")

    def prepared(image: np.ndarray) -> np.ndarray:
        image = faces.narrowed(image) if data.wide else image
        return to_unit(crop_resize(image, shape, rng, zoom=data.zoom or (0.97, 1.03), rotate=2.0)).astype(np.float32)

    pose = item["label"] if data.labels else _pose_of(item["yaw"]) if "yaw" in item else UNKNOWN
    return {
        "image": prepared(item["image"]),
        "partner": prepared(item["partner"](rng)),
        "pose": np.asarray(pose, np.int32),
    }


def _pose_of(yaw: float) -> int:
    return FRONTAL if abs(yaw) < 8 else PROFILE if abs(yaw) > 35 else UNKNOWN


def measure(model: FaceIPGAN, batch: dict) -> dict[str, np.ndarray]:
    """Of x' with the identity of one and the attributes of the next: cosine to both, and L1 of what is redrawn; [N]."""
    image, partner = (ops.convert_to_tensor(batch[key]) for key in ("image", "partner"))
    who = model.identify(image)
    shown = model.identify(model.transfer(image, ops.roll(partner, 1, axis=0)))
    redrawn = model.transfer(image, partner)

    def cosine(a, b):
        return ops.convert_to_numpy(ops.sum(a * b, axis=-1))

    return {
        "identity": cosine(shown, who),
        "identity_of_attributes": cosine(shown, ops.roll(who, 1, axis=0)),
        "l1": ops.convert_to_numpy(ops.mean(ops.abs(redrawn - partner), axis=(1, 2, 3))),
    }


def preview(model: FaceIPGAN, batch: dict) -> np.ndarray:
    """A row a person: picture, from the front, partner, the partner redrawn, and shown as four others are; uint8."""
    image, partner = (ops.convert_to_tensor(batch[key][:8]) for key in ("image", "partner"))
    columns = [image, model.frontalize(image), partner, model.transfer(image, partner)]
    columns += [model.transfer(image, ops.roll(partner, turn, axis=0)) for turn in range(1, 5)]
    table = np.concatenate([np.concatenate(list(ops.convert_to_numpy(column)), axis=0) for column in columns], axis=1)
    return np.round(255.0 * np.clip(table, 0.0, 1.0)).astype(np.uint8)


TASK = Task(FaceIPGAN, example, measure, preview)
