"""Training side of inpainting: the model and what it knows of a damaged picture."""

import cv2
import keras
import numpy as np
from keras import ops

from vaekit.data import crop_resize, holes, to_unit
from vaekit.metrics import psnr
from vaekit.models.image_cvaegan import ImageCVAEGAN
from vaekit.networks.fill import pull_push
from vaekit.training import Task


@keras.saving.register_keras_serializable("vaekit")
class Inpainter(ImageCVAEGAN):
    """CVAE-GAN whose condition is a picture with a hole.

    A batch holds "image" [N, H, W, 3] in 0..1, "mask" [N, H, W, 1] with 1 in the hole, and "hint"
    [N, H, W, 4]: a guess at the hole's colours and, in its last channel, 1 where there is one. A coarse
    answer, enlarged, is such a guess; so one network serves every scale.
    """

    def given(self, batch):
        """The picture with its hole filled by pull-push or by the hint; the mask; where there are hints."""
        mask = ops.cast(batch["mask"], "float32")
        image, hint = ops.cast(batch["image"], "float32"), ops.cast(batch["hint"], "float32")
        hinted = hint[..., 3:] * mask
        # A hint counts as known to the fill, so that its edges are met smoothly too.
        seen = image * (1.0 - mask) + hint[..., :3] * hinted
        base = pull_push(seen, 1.0 - mask + hinted)
        condition = ops.concatenate([2.0 * base - 1.0, mask, hinted], axis=-1)
        return condition, base, mask


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Damage one image: a crop, a hole, and now and then a hint, all from `rng`.

    No crop is enlarged, as far as the image's size and `data.zoom` allow: a blurred truth would teach blur.

    Returns:
        "image" [H, W, 3] and "hint" [H, W, 4] float32 in 0..1, "mask" [H, W, 1] float32.
    """
    low, high = data.zoom or (0.7, 1.1)
    height, width = item["image"].shape[:2]
    sharp = max(shape[0] / height, shape[1] / width)
    close = 0.7 * high > sharp and rng.random() < DETAIL
    if close:
        low, high = 0.5 * low, 0.7 * high
    zoom = (min(max(low, sharp), high), high)
    # From aligned, as a face can be brought before the network, to anyhow.
    jitter = 1.0 if close else rng.random()
    image = to_unit(crop_resize(item["image"], shape, rng, zoom=zoom, jitter=jitter))
    mask = holes.mixed(rng, shape)[..., None].astype(np.float32)
    hinted = close and rng.random() < HINTED
    hint = coarse_hint(image, mask, rng) if hinted else np.zeros((*shape, 4), np.float32)
    return {"image": image, "mask": mask, "hint": hint}


DETAIL = 0.3
"""Share of the examples that are detail: a smaller crop, as the passes after the first see it."""
HINTED = 0.85
"""Share of the detail for which the coarser pass gives a hint."""


def coarse_hint(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a coarser pass would answer: the blur of `image`, in the hole off as guesses are; [H, W, 4].

    Its error is smooth, as large as a coarse pass's, and fades towards the rim: from what is known there the
    finer pass has to learn to correct it.
    """
    height, width = image.shape[:2]
    factor = rng.choice([2, 3, 4], p=[0.6, 0.2, 0.2])
    small = cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    hint = np.ones((height, width, 4), np.float32)
    hint[..., :3] = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    cells = rng.integers(2, 9)
    luma, colour = rng.normal(0, 1, (cells, cells, 1)), rng.normal(0, 0.4, (cells, cells, 3))
    error = rng.uniform(0, 0.12) * (luma + colour).astype(np.float32)
    depth = cv2.GaussianBlur(mask[..., 0], (0, 0), 2.0)[..., None] * mask
    hint[..., :3] += depth * cv2.resize(error, (width, height), interpolation=cv2.INTER_CUBIC)
    return hint


def preview(model: Inpainter, batch: dict) -> np.ndarray:
    """Rows of: damaged, pull-push, z = 0, two draws of z, truth; uint8 [rows * H, 6 * W, 3]."""
    rows = min(8, len(batch["image"]))
    batch = {key: np.asarray(value[:rows]) for key, value in batch.items()}
    shape = (rows, model.latent_dim)
    draws: list[np.ndarray] = [np.zeros(shape, np.float32)]
    draws += [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in (1, 2)]
    _, base, _ = model.given(batch)
    damaged = batch["image"] * (1.0 - batch["mask"]) + batch["mask"]
    columns = [damaged, base, *(model.answer(batch, z) for z in draws), batch["image"]]
    columns = [np.asarray(ops.convert_to_numpy(column), np.float32) for column in columns]
    sheet = np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)
    return np.round(255.0 * np.clip(sheet, 0.0, 1.0)).astype(np.uint8)


def measure(model: Inpainter, batch: dict) -> dict[str, np.ndarray]:
    """Hole PSNR of the faithful answer, z = 0, and of the pull-push fill that it starts from; dB, [N]."""
    batch = {key: np.asarray(value) for key, value in batch.items()}
    _, base, _ = model.given(batch)
    answer = model.answer(batch, np.zeros((len(batch["image"]), model.latent_dim), np.float32))
    holes_ = batch["mask"][..., 0] > 0.5

    def hole_psnr(pictures):
        rows = zip(ops.convert_to_numpy(pictures), batch["image"], holes_, strict=True)
        return np.array([psnr(picture, truth, hole) for picture, truth, hole in rows if hole.any()])

    return {"hole_psnr": hole_psnr(answer), "pull_push_hole_psnr": hole_psnr(base)}


TASK = Task(Inpainter, example, measure, preview)
