"""The conformance table: one row a model. A new model adds a row and inherits every test over the table."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from keras import ops

from vaekit.apps.inpaint.training import Inpainter
from vaekit.apps.superres.training import SuperResolver
from vaekit.backends import replicas
from vaekit.game import AdversarialModel
from vaekit.models.acgan import ACGAN
from vaekit.models.adversarial_segmenter import AdversarialSegmenter
from vaekit.models.aegan import AEGAN
from vaekit.models.attribute_cvaegan import AttributeCVAEGAN
from vaekit.models.autoencoder import Autoencoder
from vaekit.models.captioner import Captioner
from vaekit.models.cvaegan import CVAEGAN
from vaekit.models.cyclegan import CycleGAN
from vaekit.models.ebgan import EBGAN
from vaekit.models.embedder import Embedder
from vaekit.models.face_ipgan import FaceIPGAN
from vaekit.models.gaia import GAIA
from vaekit.models.gan import GAN
from vaekit.models.infogan import InfoGAN
from vaekit.models.ipgan import IPGAN
from vaekit.models.perceptual_gan import PerceptualGAN
from vaekit.models.pix2pix import Pix2Pix
from vaekit.models.pix2pixhd import Pix2PixHD
from vaekit.models.recogniser import Recogniser
from vaekit.models.restorer import Restorer
from vaekit.models.segmenter import Segmenter
from vaekit.models.semi_supervised_gan import SemiSupervisedGAN
from vaekit.models.siamese import Siamese
from vaekit.models.srgan import SRGAN
from vaekit.models.text_to_image import TextToImage
from vaekit.models.three_class_vaegan import ThreeClassVAEGAN
from vaekit.models.upscaler import Upscaler
from vaekit.models.vae import VAE
from vaekit.models.vaegan import VAEGAN
from vaekit.models.video_predictor import VideoPredictor
from vaekit.models.wae import WAEGAN, WAEMMD
from vaekit.models.wgan import WGAN, WGANGP
from vaekit.networks import convolutional


def use_small_networks(put=setattr):
    """Give networks whose size is no model's argument one for tests: six models' would be tests of them."""
    put(convolutional, "PATCH_WIDTHS", (4, 6, 8))
    put(convolutional, "PROJECTED_WIDTHS", (4, 6, 8, 8))
    put(convolutional, "PICTURE_WIDTHS", (4, 6, 8, 8))


@dataclass(frozen=True)
class Row:
    """A model at a size for tests."""

    name: str
    create: Callable[[tuple], AdversarialModel]
    shapes: tuple[tuple[int, int, int], ...] = ((16, 11, 1), (16, 16, 3))
    extras: dict[str, Callable] = field(default_factory=dict)

    def batch(self, shape, count=8, seed=0) -> dict:
        """A random batch that the model can take."""
        rng = np.random.default_rng(seed)
        image = rng.uniform(size=(count, *shape)).astype("float32")
        batch = {"image": image, **{key: make(rng, image) for key, make in self.extras.items()}}
        return {key: ops.convert_to_tensor(value) for key, value in batch.items()}


def _label(rng, image):
    return rng.integers(0, 3, len(image)).astype("int32")


def _attributes(rng, image):
    return rng.integers(0, 2, (len(image), 3)).astype("float32")


def _mask(rng, image):
    return (rng.uniform(size=(*image.shape[:3], 1)) > 0.7).astype("float32")


def _maps(rng, image):
    return np.eye(3, dtype="float32")[rng.integers(0, 3, image.shape[:3])]


def _hint(rng, image):
    return rng.uniform(size=(*image.shape[:3], 4)).round().astype("float32")


def quiet(model):
    """Take the chance out of a model: what it draws is the same on every backend and compiler.

    Rows differ: batch normalization makes 0 of rows that are alike, where a rounding decides which way a ReLU goes.
    """

    def waves(shape):
        ones = ops.ones(shape)
        return ops.reshape(ops.cos(0.7 * ops.cumsum(ops.reshape(ones, (-1,)))), shape)

    model.random_normal = lambda shape: replicas.local_rows(waves, shape)
    model.random_uniform = lambda shape: ops.full(shape, 0.1)
    return model


TABLE = [
    Row("autoencoder", lambda shape: Autoencoder(shape, latent_dim=4, base=4)),
    Row("vae", lambda shape: VAE(shape, latent_dim=4, base=4)),
    Row("vae_gaussian", lambda shape: VAE(shape, latent_dim=4, base=4, likelihood="gaussian")),
    Row("vae_learned_sigma", lambda shape: VAE(shape, latent_dim=4, base=4, likelihood="gaussian", sigma=None)),
    Row("cvae", lambda shape: VAE(shape, latent_dim=4, base=4, classes=3), extras={"label": _attributes}),
    Row("gan", lambda shape: GAN(shape, latent_dim=4, base=4, saturating=True)),
    Row("gan_dense", lambda shape: GAN(shape, latent_dim=4, steps=2, hidden=((8,), (6, 4)))),
    Row("cgan", lambda shape: GAN(shape, latent_dim=4, base=4, classes=3), extras={"label": _label}),
    Row("acgan", lambda shape: ACGAN(shape, classes=3, latent_dim=4, base=4), extras={"label": _label}),
    Row(
        "acgan_real_classes",
        lambda shape: ACGAN(shape, classes=3, latent_dim=4, base=4, real_classes=True),
        extras={"label": _label},
    ),
    Row("infogan", lambda shape: InfoGAN(shape, categories=3, continuous=1, noise_dim=4, base=4)),
    Row(
        "semi_supervised_gan",
        lambda shape: SemiSupervisedGAN(shape, 3, latent_dim=4, base=4, noise=0.0, dropout=0.0),
        extras={"label": lambda rng, image: np.where(np.arange(len(image)) % 2, -1, _label(rng, image))},
    ),
    Row("ebgan", lambda shape: EBGAN(shape, latent_dim=4, code_dim=4, base=4)),
    Row("wgan", lambda shape: WGAN(shape, latent_dim=4, base=4, critic_steps=2, clip=1.0, normalize=False)),
    Row("wgan_gp", lambda shape: WGANGP(shape, latent_dim=4, base=4, critic_steps=2)),
    Row("wae_gan", lambda shape: WAEGAN(shape, latent_dim=4, base=4, width=8)),
    Row("wae_mmd", lambda shape: WAEMMD(shape, latent_dim=4, base=4)),
    Row("vaegan", lambda shape: VAEGAN(shape, latent_dim=4, base=4)),
    Row("vaegan_gated", lambda shape: VAEGAN(shape, latent_dim=4, base=4, gated=True)),
    Row("three_class_vaegan", lambda shape: ThreeClassVAEGAN(shape, latent_dim=4, base=4)),
    Row("cvaegan", lambda shape: CVAEGAN(shape, classes=3, latent_dim=4, base=4), extras={"label": _label}),
    Row("cvaegan_attributes", lambda shape: CVAEGAN(shape, 3, latent_dim=4, base=4), extras={"label": _attributes}),
    Row("aegan", lambda shape: AEGAN(shape, latent_dim=4, base=4, width=8)),
    Row("gaia", lambda shape: GAIA(shape, latent_dim=4, base=4)),
    Row(
        "siamese",
        lambda shape: Siamese(shape, embedding_dim=4, widths=(4, 8)),
        extras={
            "partner": lambda rng, image: rng.uniform(size=image.shape).astype("float32"),
            "label": lambda rng, image: np.arange(len(image), dtype="int32") % 3,  # no strangers, no triplet
        },
    ),
    Row(
        "srgan",
        lambda shape: SRGAN(shape, scale=2, width=8, depth=1, base=4),
        shapes=((32, 24, 1), (16, 16, 3)),
        extras={"small": lambda rng, image: image[:, ::2, ::2]},
    ),
    Row(
        "pix2pix",
        lambda shape: Pix2Pix(shape[2], condition_channels=1, latent_dim=2, widths=(8, 8)),
        shapes=((32, 24, 1), (16, 16, 3)),
        extras={"condition": lambda rng, image: image[..., :1]},
    ),
    Row(
        "cyclegan",
        lambda shape: CycleGAN(shape, widths=(8, 8), kept=3),
        shapes=((32, 24, 1), (16, 16, 3)),
        extras={"other": lambda rng, image: image[::-1]},
    ),
    Row(
        "ipgan",
        lambda shape: IPGAN(shape, identities=3, identity_dim=6, attribute_dim=4, base=4),
        extras={"label": _label},
    ),
    Row(
        "face_ipgan",
        lambda shape: FaceIPGAN(
            shape,
            attribute_dim=4,
            identity_dim=6,
            side=16,
            embedder_widths=(4, 6, 8),
            encoder_widths=(4, 8),
            decoder_widths=(8, 8),
        ),
        shapes=((32, 32, 1), (16, 16, 3)),
        extras={
            "partner": lambda rng, image: image[::-1],
            "front": lambda rng, image: image[:, :, ::-1],
            "fronted": lambda rng, image: (np.arange(len(image)) % 2).astype("float32"),
        },
    ),
    Row(
        "recogniser",
        lambda shape: Recogniser(3, channels=shape[2], widths=(4, 8)),
        extras={"label": _attributes},
    ),
    Row(
        "segmenter",
        lambda shape: Segmenter(shape[2], widths=(8, 8)),
        shapes=((16, 24, 1), (16, 16, 3)),
        extras={"mask": _mask},
    ),
    Row(
        "adversarial_segmenter",
        lambda shape: AdversarialSegmenter(shape[2], classes=3, widths=(8, 8)),
        shapes=((16, 24, 1), (16, 16, 3)),
        extras={"maps": _maps},
    ),
    Row(
        "video_predictor",
        lambda shape: VideoPredictor(shape[2], frames=2, scales=2, width=4),
        shapes=((32, 24, 1), (16, 16, 3)),
        extras={"past": lambda rng, image: np.concatenate([image[:, ::-1], image[:, :, ::-1]], axis=-1)},
    ),
    Row(
        "pix2pixhd",
        lambda shape: Pix2PixHD(shape[2], condition_channels=1, widths=(8, 8), depth=1, sizes=2),
        shapes=((32, 24, 1), (16, 16, 3)),
        extras={"condition": lambda rng, image: image[..., :1]},
    ),
    Row(
        "text_to_image",
        lambda shape: TextToImage(shape, words=7, length=5, latent_dim=4, text_dim=4, base=4),
        extras={"text": lambda rng, image: rng.integers(0, 7, (len(image), 5)).astype("int32")},
    ),
    Row(
        "captioner",
        lambda shape: Captioner(shape, words=7, length=3, latent_dim=2, state_dim=6, embedding_dim=4, base=4),
        extras={"text": lambda rng, image: rng.integers(0, 7, (len(image), 3)).astype("int32")},
    ),
    Row(
        "perceptual_gan",
        lambda shape: PerceptualGAN(shape, classes=3, base=4),
        extras={"small": lambda rng, image: image[::-1], "label": _label, "small_label": _label},
    ),
    Row(
        "embedder",
        lambda shape: Embedder(channels=shape[2], dim=3, side=16, widths=(4, 8), dropout=0.0),
        shapes=((16, 16, 1), (16, 16, 3)),
        extras={
            "label": _attributes,
            "partner": lambda rng, image: rng.normal(size=(len(image), 3)).astype("float32"),
        },
    ),
    Row(
        "attribute_cvaegan",
        lambda shape: AttributeCVAEGAN(
            ("smiling", "dark", "fair"),
            exclusive=[("dark", "fair")],
            channels=shape[2],
            latent_channels=4,
            widths=(8, 8),
            recogniser_widths=(4, 6, 8),
            embedder_widths=(4, 6, 8),
            identity=1,
        ),
        shapes=((16, 24, 1), (16, 16, 3)),
        extras={"label": _attributes, "label_mask": _attributes},
    ),
    Row(
        "upscaler",
        lambda shape: Upscaler(shape[2], scales=(2, 4), width=8, depth=1),
        shapes=((32, 24, 1), (16, 16, 3)),
        extras={
            "small_2": lambda rng, image: image[:, ::2, ::2],
            "large_2": lambda rng, image: image,
            "small_4": lambda rng, image: image[:, ::4, ::4],
            "large_4": lambda rng, image: image,
        },
    ),
    Row(
        "restorer",
        lambda shape: Restorer(shape[2], scales=(1, 2), width=8, depth=1),
        shapes=((32, 24, 1), (24, 24, 3)),
        extras={
            "small_1": lambda rng, image: image,
            "large_1": lambda rng, image: image,
            "severity_1": lambda rng, image: np.linspace(0, 1, len(image), dtype=np.float32),
            "small_2": lambda rng, image: image[:, ::2, ::2],
            "large_2": lambda rng, image: image,
            "severity_2": lambda rng, image: np.zeros(len(image), np.float32),
        },
    ),
    Row(
        "super_resolver",
        lambda shape: SuperResolver(shape[2], scales=(2, 4), width=8, depth=1, latent_dim=4, widths=(8, 8)),
        shapes=((32, 24, 1), (16, 16, 3)),
        extras={
            "small_2": lambda rng, image: image[:, ::2, ::2],
            "small_4": lambda rng, image: image[:, ::4, ::4],
        },
    ),
    Row(
        "inpainter",
        lambda shape: Inpainter(
            channels=shape[2],
            condition_channels=shape[2] + 2,
            latent_dim=4,
            widths=(8, 8),
            recognised=1,
            attributes=3,
        ),
        shapes=((32, 24, 3), (16, 16, 3)),
        extras={"mask": _mask, "hint": _hint},
    ),
]
