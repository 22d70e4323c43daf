"""A small model for tests."""

from vaekit.models.attribute_cvaegan import AttributeCVAEGAN
from vaekit.testing import scatter


def small() -> AttributeCVAEGAN:
    """With random weights."""
    model = AttributeCVAEGAN(
        ["smiling", "dark", "fair"], exclusive=[["dark", "fair"]], latent_channels=4, widths=(8, 8, 8, 8)
    )
    scatter([model.encoder, model.generator], 0.2)
    return model
