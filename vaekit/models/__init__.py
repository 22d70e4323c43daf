"""The family, one model a file.

Importing this imports every model, and so registers them with Keras: keras.saving.load_model then knows them all.
"""

from vaekit.family import FAMILY, LABELLED
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
from vaekit.models.image_cvaegan import ImageCVAEGAN
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

__all__ = [
    "ACGAN", "AEGAN", "CVAEGAN", "EBGAN", "FAMILY", "GAIA", "GAN", "IPGAN", "LABELLED", "SRGAN", "VAE", "VAEGAN",
    "WAEGAN", "WAEMMD", "WGAN", "WGANGP", "AdversarialSegmenter", "AttributeCVAEGAN", "Autoencoder", "Captioner",
    "CycleGAN", "Embedder", "FaceIPGAN", "ImageCVAEGAN", "InfoGAN", "PerceptualGAN", "Pix2Pix", "Pix2PixHD",
    "Recogniser", "Restorer", "Segmenter", "SemiSupervisedGAN", "Siamese", "TextToImage", "ThreeClassVAEGAN",
    "Upscaler", "VideoPredictor",
]  # fmt: skip


def model_class(name: str) -> type:
    """A model of the family, by its name on the command line."""
    return globals()[FAMILY[name]]
