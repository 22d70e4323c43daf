"""vaekit: the VAE-GAN family in Keras, and the image editors made of it."""

__version__ = "0.1.0"
