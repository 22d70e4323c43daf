"""Training side of frontalization: pictures of people, each with another one of the same person."""

import numpy as np
from keras import ops

from vaekit import faces
from vaekit.data import DataError, crop_resize, to_unit
from vaekit.models.face_ipgan import FaceIPGAN
from vaekit.training import Task

FRONTAL, PROFILE = range(2)
"""Of the labels, which are words numbered in their order."""


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A face "image" [H, W, 3] float32 in 0..1 in template N, its "partner" of the same person, and its "front".

    The front is the same person's frontal picture where the image is labelled PROFILE, the same face turned where it
    is drawn, and the image itself where it is labelled FRONTAL; elsewhere nobody knows, and "fronted" is 0. It is
    cropped as the image is. Photos are few, so crops vary a little; drawn faces are as many as one likes, and only
    some are mirrored.
    """
    if "partner" not in item:
        raise DataError("faces without partners: name the column of people as the data's partner")

    drawn = "yaw" in item
    crop = {"jitter": 0.0} if drawn else {"zoom": data.zoom or (0.97, 1.03), "rotate": 2.0}

    def prepared(image: np.ndarray, seed: int) -> np.ndarray:
        image = faces.narrowed(image) if data.wide else image
        own = np.random.default_rng(seed)
        return to_unit(crop_resize(image, shape, own, **crop)).astype(np.float32)

    seed, partners_seed = rng.integers(2**32, size=2)
    image = prepared(item["image"], seed)
    front = None
    if drawn or (data.labels and item["label"] == PROFILE):
        front = item["partner"](rng, FRONTAL)
    known = front is not None or bool(data.labels and item["label"] == FRONTAL)
    return {
        "image": image,
        "partner": prepared(item["partner"](rng), partners_seed),
        "front": image if front is None else prepared(front, seed),
        "fronted": np.asarray(known, np.float32),
    }


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
