"""The models of the family by name; importing this imports none of them."""

FAMILY = {
    "autoencoder": "Autoencoder",
    "vae": "VAE",
    "cvae": "VAE",
    "gan": "GAN",
    "cgan": "GAN",
    "acgan": "ACGAN",
    "infogan": "InfoGAN",
    "semi_supervised_gan": "SemiSupervisedGAN",
    "ebgan": "EBGAN",
    "wgan": "WGAN",
    "wgan_gp": "WGANGP",
    "wae_gan": "WAEGAN",
    "wae_mmd": "WAEMMD",
    "vaegan": "VAEGAN",
    "three_class_vaegan": "ThreeClassVAEGAN",
    "cvaegan": "CVAEGAN",
    "aegan": "AEGAN",
    "gaia": "GAIA",
    "siamese": "Siamese",
    "srgan": "SRGAN",
    "pix2pix": "Pix2Pix",
    "cyclegan": "CycleGAN",
    "ipgan": "IPGAN",
}
"""What `vaekit train` trains on pictures of any kind: the class of each, in vaekit.models."""
LABELLED = ("cvae", "cgan", "acgan", "semi_supervised_gan", "cvaegan", "siamese", "ipgan")
"""Which of them are told labels."""
