"""Training side of super-resolution: the model, and what it adds to the faithful enlargement."""

import keras
import numpy as np
from keras import ops

from vaekit.apps.superres.editor import SCALES
from vaekit.apps.upscale.training import sharp_crop
from vaekit.data import degrade, shrink
from vaekit.metrics import psnr
from vaekit.models.image_cvaegan import ImageCVAEGAN
from vaekit.networks.enlarging import fine_detail, residual_upscaler, severity_estimator, upscaled
from vaekit.training import Task

STEP = 12
"""What all scales divide."""


@keras.saving.register_keras_serializable("vaekit")
class SuperResolver(ImageCVAEGAN):
    """CVAE-GAN whose condition is a small picture; it answers with the detail that its enlargement lacks.

    The learned similarity Dis_l takes the place of VGG in SRGAN's content loss (Ledig et al. 2017). The least
    erroneous enlargement is a trained network's that does not move, so that `detail` can scale what is added: the
    upscaler's for clean pictures, the restorer's for others, of which an estimator tells how degraded they are
    (vaekit.models.upscaler and restorer). A batch holds "image" [N, H, W, C] and, for every scale s, "small_s"
    [N, H / s, W / s, C], all in 0..1, and "severity_s" [N], how degraded it is, without which it is taken for clean.
    Each example is enlarged by one of the scales in turn, so N is a multiple of their number.

    Args:
        scales: what it enlarges by.
        width: channels of the faithful networks' bodies.
        depth: residual blocks of the faithful networks' bodies.
        **kwargs: as ImageCVAEGAN.
    """

    def __init__(self, channels=3, scales=SCALES, width=48, depth=12, **kwargs):
        told = {"condition_channels": 2 * channels + 1, "attention": False, "stride": 4, "activation": "relu"}
        super().__init__(channels=channels, **{**told, **kwargs})
        self.scales, self.width, self.depth = tuple(scales), width, depth
        self.multiple = len(self.scales)
        self.upscaler = residual_upscaler(channels, tuple(s for s in self.scales if s > 1), width, depth)
        self.restorer = residual_upscaler(channels, self.scales, width, depth, restores=True)
        self.estimator = severity_estimator(channels)
        for name in ("upscaler", "restorer", "estimator"):
            self.freeze(name, [getattr(self, name)])

    def given(self, batch):
        """The faithful enlargement and its scale; the enlargement; that detail is missing everywhere."""
        count, bases = len(self.scales), []
        for i, s in enumerate(self.scales):
            small = batch[f"small_{s}"][i::count]
            severity = batch.get(f"severity_{s}")
            clean = ops.zeros_like(small[:, 0, 0, 0]) if severity is None else severity[i::count]
            bases.append(self.faithful(small, s, clean))
        conditions = [self.condition(base, s) for base, s in zip(bases, self.scales, strict=True)]
        base = _in_turn(bases)
        return _in_turn(conditions), base, ops.ones_like(base[..., :1])

    def faithful(self, small, scale, clean):
        """The enlargement [N, s * h, s * w, C] of least error, in 0..1, cleaned by `clean` [N] in 0..1."""
        restored = upscaled(self.restorer, small, scale, clean)
        exact = upscaled(self.upscaler, small, scale) if scale > 1 else small
        return ops.clip(ops.where(clean[:, None, None, None] > 0, restored, exact), 0.0, 1.0)

    def condition(self, base, scale):
        """What the generator is told: the faithful enlargement, its fine detail, and how far it was enlarged."""
        enlarged_by = ops.full_like(base[..., :1], scale / 4.0)
        return ops.concatenate([2.0 * base - 1.0, fine_detail(base), enlarged_by], axis=-1)


def _in_turn(parts):
    """[[N / K, ...]] * K -> [N, ...], one of each part in turn."""
    shape = ops.shape(parts[0])
    return ops.reshape(ops.stack(parts, axis=1), (len(parts) * shape[0], *shape[1:]))


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A crop "image" [H, W, 3] and, for every scale s, "small_s" [H / s, W / s, 3], in 0..1, and "severity_s"; float32.

    A share `data.realistic` of the small pictures is degraded, of scale 1 all.
    """
    # Cut from the middle of a larger crop, so that it begins anywhere in a block of JPEG.
    larger = sharp_crop(item["image"], 2, (shape[0] + 4 * STEP, shape[1] + 4 * STEP), rng)
    y, x = (STEP * int(start) for start in rng.integers(0, 5, 2))
    found: dict[str, np.ndarray] = {"image": larger[y : y + shape[0], x : x + shape[1]]}
    for s in SCALES:
        small, severity = shrink(larger, s, rng), 0.0
        if s == 1 or rng.random() < data.realistic:
            small, severity = degrade(larger, s, rng)
        found[f"small_{s}"] = small[y // s : (y + shape[0]) // s, x // s : (x + shape[1]) // s]
        found[f"severity_{s}"] = np.array(severity, np.float32)
    return found


def _answers(model: SuperResolver, batch: dict) -> tuple[np.ndarray, np.ndarray]:
    """The faithful enlargements and the likeliest detailed ones, [N, H, W, C]."""
    batch = {key: np.asarray(value) for key, value in batch.items()}
    z = np.zeros((len(batch["image"]), model.latent_dim), np.float32)
    _, base, _ = model.given(batch)
    return ops.convert_to_numpy(base), ops.convert_to_numpy(model.answer(batch, z))


def measure(model: SuperResolver, batch: dict) -> dict[str, np.ndarray]:
    """PSNR over all channels, dB, and mean gradient over the true one's, of both answers; [N]."""
    truth = np.asarray(batch["image"])
    found = {}
    for name, answer in zip(("faithful", "detailed"), _answers(model, batch), strict=True):
        found[f"{name}_psnr"] = np.array([psnr(picture, true) for picture, true in zip(answer, truth, strict=True)])
        found[f"{name}_gradient"] = _gradient(answer) / np.maximum(_gradient(truth), 1e-3)
    return found


def _gradient(pictures: np.ndarray) -> np.ndarray:
    return sum(np.abs(np.diff(pictures, axis=axis)).mean(axis=(1, 2, 3)) for axis in (1, 2))


def preview(model: SuperResolver, batch: dict) -> np.ndarray:
    """Rows of: faithful, detailed, truth; uint8 [rows * H, 3 * W, 3]."""
    columns = [*_answers(model, batch), np.asarray(batch["image"])]
    sheet = np.concatenate([np.concatenate(list(column[:9]), axis=0) for column in columns], axis=1)
    return np.round(255.0 * np.clip(sheet, 0.0, 1.0)).astype(np.uint8)


def on_device(recipe):
    """How an accelerator makes its batches (JAX)."""
    from vaekit.apps.superres.on_device import making

    return making(recipe)


TASK = Task(SuperResolver, example, measure, preview, on_device=on_device)
