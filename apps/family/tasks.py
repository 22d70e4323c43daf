"""Training side of the family: pictures as they are, and what each model is told beside them."""

import functools
import inspect
from collections.abc import Callable

import cv2
import numpy as np
from keras import ops

from vaekit.apps.upscale.training import crop
from vaekit.data import FOLDERS, DataError, crop_resize, match_channels, shrink, to_unit
from vaekit.metrics import psnr
from vaekit.models import LABELLED, model_class
from vaekit.models.cyclegan import CycleGAN
from vaekit.models.generative import Generative
from vaekit.models.pix2pix import Pix2Pix
from vaekit.models.semi_supervised_gan import UNLABELLED
from vaekit.models.srgan import SRGAN
from vaekit.recipe import Recipe, RecipeError
from vaekit.training import Task, sources

LARGEST = 64
"""Side of the pictures in pixels where neither the recipe nor the data asks for less."""
CROP = 96
"""Of the crops that SRGAN learns from (Ledig et al. 2017, section 3.2)."""
SCALE = 4
"""How many times SRGAN enlarges."""


def task(name: str) -> Task:
    """The training side of a model of the family."""
    tell = EXTRA_FIELDS.get(name, _label if name in LABELLED else _nothing)
    return Task(
        model_class(name),
        functools.partial(_cut if name == "srgan" else _example, tell),
        _measure,
        _preview,
        functools.partial(_complete, name),
    )


def _example(tell: Callable[..., dict], item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict:
    """An "image" [H, W, C] float32 in 0..1, the largest crop at the middle, and what else the model is told."""
    return _told(tell, item, to_unit(fitted(item["image"], shape, rng)), rng)


def _cut(tell: Callable[..., dict], item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict:
    """As `_example`, of a crop at any place, with the pixels that the picture has there."""
    return _told(tell, item, crop(item["image"], shape, rng), rng)


def _told(tell: Callable[..., dict], item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    return {"image": image, **tell(item, image, rng)}


def fitted(image: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The largest crop of an image [h, w, C] uint8 at its middle, resized to (H, W)."""
    if image.shape[:2] == shape:
        return image
    return crop_resize(image, shape, rng, rotate=0.0, flip=False, jitter=0.0)


def _nothing(item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    return {}


def _label(item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    if "label" not in item:
        raise DataError("pictures without labels: name a column of the CSV, --set data.labels=COLUMN")
    return {"label": np.asarray(item["label"])}


def _label_or_none(item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    return {"label": np.asarray(item.get("label", UNLABELLED), np.int32)}


def _partner(item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    if "partner" not in item:
        raise DataError("pictures without partners: name the column of people, --set data.partner=COLUMN")
    partner = to_unit(fitted(item["partner"](rng), image.shape[:2], rng))
    return {**_label(item, image, rng), "partner": partner}


def _small(item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    return {"small": shrink(image, SCALE, rng)}


def _translated(item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    """Pairs: of each picture the other of its name is drawn. Alone, a picture is drawn from its own luma."""
    if "pair" in item:
        other = match_channels(fitted(item["pair"](), image.shape[:2], rng), image.shape[2])
        return {"condition": _of_three(image), "image": to_unit(other)}
    return {"condition": grey_of_three(image)}


def grey_of_three(image: np.ndarray) -> np.ndarray:
    """The luma of an image [H, W, 1] or [H, W, 3], three times: [H, W, 3]."""
    return _of_three(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.shape[2] == 3 else image)


def _of_three(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] of [H, W], [H, W, 1] or [H, W, 3]."""
    return image if image.shape[2:] == (3,) else np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)


def _other(item: dict, image: np.ndarray, rng: np.random.Generator) -> dict:
    if "other" not in item:
        raise DataError("nothing to translate to: name the other pictures, --set data.other=FOLDER")
    return {"other": to_unit(fitted(item["other"](rng), image.shape[:2], rng))}


EXTRA_FIELDS = {
    "semi_supervised_gan": _label_or_none,
    "siamese": _partner,
    "srgan": _small,
    "pix2pix": _translated,
    "cyclegan": _other,
}
"""(item, image, generator) -> what else is in an example, where that is not nothing or a label."""


def _complete(name: str, recipe: Recipe) -> Recipe:
    """Take from the data what the recipe leaves open: size, channels, number of classes."""
    if name == "srgan" and recipe.model.get("scale", SCALE) != SCALE:
        raise RecipeError(f"model.scale: pictures are shrunk {SCALE} times here; SRGAN.fit takes others")
    takes = inspect.signature(model_class(name)).parameters
    source = sources(recipe, "train")
    if name in LABELLED and all(_whole(part, "has_class_folders") for part in source.sources):
        column = {"partner": FOLDERS} if name == "siamese" else {"labels": FOLDERS}
        told = {**column, **({"partner": FOLDERS} if name == "ipgan" else {})}
        data = [table if table.labels or table.partner else table.model_copy(update=told) for table in recipe.data]
        recipe = recipe.model_copy(update={"data": tuple(data)})
        source = sources(recipe, "train")
    height, width, channels = source[0]["image"].shape
    size = recipe.train.image_size
    if "image_size" not in recipe.train.model_fields_set:
        size = (height, width) if max(height, width) <= LARGEST else (LARGEST, LARGEST)
        if name == "srgan":
            size = min(CROP, height // SCALE * SCALE), min(CROP, width // SCALE * SCALE)
    model = {"image_shape": (*size, channels), "channels": channels, **recipe.model}
    model = {key: value for key, value in model.items() if key in takes or key in recipe.model}
    if name in LABELLED:
        model |= {key: _classes(source) for key in ("classes", "identities") if key in takes and key not in model}
    train = recipe.train.model_copy(update={"image_size": size})
    return recipe.model_copy(update={"model": model, "train": train})


def _whole(part, name: str):
    """An attribute of the source of which a part was taken; None where it has none."""
    return getattr(getattr(part, "source", part), name, None)


def _classes(source) -> int:
    """How many classes, or attributes, the labels are of."""
    counts = [0]
    for part in source.sources:
        labels = _whole(part, "labels")
        if labels is not None:
            labels = np.asarray(labels)
            counts.append(int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1])
    if not max(counts):
        raise DataError("pictures without labels: name a column of the CSV, --set data.labels=COLUMN, or model.classes")
    return max(counts)


def _measure(model, batch: dict) -> dict[str, np.ndarray]:
    """PSNR of reconstructions in dB, [N], where the model has an encoder."""
    if not (isinstance(model, Generative) and model.encodes):
        return {}
    redrawn = ops.convert_to_numpy(_reconstructed(model, batch)).clip(0.0, 1.0)
    return {"psnr": np.array([psnr(a, b) for a, b in zip(batch["image"], redrawn, strict=True)])}


def _reconstructed(model: Generative, batch: dict):
    return model.reconstruct(batch["image"], batch["label"] if model.classes else None)


def _preview(model, batch: dict) -> np.ndarray:
    """Rows of up to eight: pictures, what the model makes of them, and samples; uint8."""
    few = {key: value[:8] for key, value in batch.items()}
    rows = [few["image"]]
    if isinstance(model, Generative):
        if model.encodes:
            rows.append(_reconstructed(model, few))
        rows += [model.sample(len(rows[0])) for _ in range(2)]
    elif type(model) in TRANSLATE:
        rows.append(TRANSLATE[type(model)](model, few))
    return sheet(np.stack([ops.convert_to_numpy(row) for row in rows]))


TRANSLATE = {
    SRGAN: lambda model, batch: model.enlarge(batch["small"]),
    Pix2Pix: lambda model, batch: model.translate(batch["condition"]),
    CycleGAN: lambda model, batch: model.to_y(batch["image"]),
}
"""What a model that draws nothing from latents makes of pictures."""


def sheet(rows: np.ndarray) -> np.ndarray:
    """Pictures [R, N, H, W, C] in 0..1 as one, uint8 [R H, N W, 3]."""
    rows = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    pixels = np.rint(255.0 * rows.clip(0.0, 1.0)).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
