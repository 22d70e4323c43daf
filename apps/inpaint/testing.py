"""A small model for tests."""

from vaekit.apps.inpaint.training import Inpainter
from vaekit.testing import scatter


def small() -> Inpainter:
    """With random weights."""
    model = Inpainter(latent_dim=4, widths=(8, 8, 8, 8))
    scatter([model.generator], 0.2)
    return model
