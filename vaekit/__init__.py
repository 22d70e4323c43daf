"""vaekit: the VAE-GAN family in Keras, and the image editors made of it.

`from vaekit import VAE` gives a model. Keras is imported with the first of them, and not before: runner an image needs
none of it.
"""

import sys
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vaekit.game import AdversarialModel as AdversarialModel
    from vaekit.models import *  # noqa: F403

MODELS = (
    "ACGAN", "AEGAN", "AdversarialModel", "AdversarialSegmenter", "Autoencoder", "CVAEGAN", "Captioner", "CycleGAN",
    "EBGAN", "GAIA", "GAN", "IPGAN", "InfoGAN", "PerceptualGAN", "Pix2Pix", "Pix2PixHD", "SRGAN", "SemiSupervisedGAN",
    "Siamese", "TextToImage", "ThreeClassVAEGAN", "VAE", "VAEGAN", "VideoPredictor", "WAEGAN", "WAEMMD", "WGAN",
    "WGANGP",
)  # fmt: skip
"""Names of the models that `from vaekit import` gives."""


def __getattr__(name: str):
    """The models, and `edit`, `frontalize`, `inpaint` and `superres` of vaekit.api, imported when asked for."""
    if name in ("edit", "frontalize", "inpaint", "superres"):
        from vaekit import api

        return getattr(api, name)
    if name in MODELS:
        try:
            from vaekit import game, models
        except ModuleNotFoundError as error:
            from vaekit.errors import missing_package

            raise missing_package(error) or error from None
        return getattr(game if name == "AdversarialModel" else models, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *MODELS, "edit", "frontalize", "inpaint", "superres"])


def load(bundle: str, runtime: str = "onnx", threads: int = 0):
    """Open a bundle for use from Python: `vaekit.load("inpaint")(image, mask)`.

    Args:
        bundle: its name, or the path of its folder.
        runtime: "onnx", "tensorflow" for the SavedModel, or the address of a TensorFlow Serving that runs the network:
            http://HOST:8501 or grpc://HOST:8500.
        threads: threads of one network call, 0 for all cores.

    Returns:
        The editor of its app, vaekit.apps.APP.editor.Editor.

    Raises:
        vaekit.bundle.BundleError: it is missing or damaged.
    """
    from vaekit.apps import editor
    from vaekit.bundle import find

    return editor(find(bundle).card.get("app", "?"))(bundle, runtime=runtime, threads=threads)


def _register() -> None:
    """Let keras.saving.load_model know the models, where Keras is imported already, on a backend that they run on."""
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "backend") and keras.backend.backend() in ("tensorflow", "jax"):
        from vaekit import models  # noqa: F401


_register()
