"""The family, one model a file."""

import importlib

FAMILY = {
    "autoencoder": "autoencoder.Autoencoder",
    "vae": "vae.VAE",
    "cvae": "vae.VAE",
    "gan": "gan.GAN",
    "cgan": "gan.GAN",
    "acgan": "acgan.ACGAN",
    "infogan": "infogan.InfoGAN",
    "semi_supervised_gan": "semi_supervised_gan.SemiSupervisedGAN",
    "ebgan": "ebgan.EBGAN",
    "wgan": "wgan.WGAN",
    "wgan_gp": "wgan.WGANGP",
    "wae_gan": "wae.WAEGAN",
    "wae_mmd": "wae.WAEMMD",
    "vaegan": "vaegan.VAEGAN",
    "three_class_vaegan": "three_class_vaegan.ThreeClassVAEGAN",
    "cvaegan": "cvaegan.CVAEGAN",
    "aegan": "aegan.AEGAN",
    "gaia": "gaia.GAIA",
    "siamese": "siamese.Siamese",
    "srgan": "srgan.SRGAN",
    "pix2pix": "pix2pix.Pix2Pix",
    "cyclegan": "cyclegan.CycleGAN",
    "ipgan": "ipgan.IPGAN",
}
"""What `vaekit train` trains on pictures of any kind: where each model stands."""
LABELLED = ("cvae", "cgan", "acgan", "semi_supervised_gan", "cvaegan", "siamese", "ipgan")
"""Which of them are told labels."""


def model_class(name: str) -> type:
    """A model of the family."""
    module, _, cls = FAMILY[name].rpartition(".")
    return getattr(importlib.import_module(f"vaekit.models.{module}"), cls)
