"""A small model for tests."""

from vaekit.models.face_ipgan import FaceIPGAN
from vaekit.testing import scatter


def small() -> FaceIPGAN:
    """With random weights."""
    model = FaceIPGAN(
        (32, 32, 3), attribute_dim=4, identity_dim=6, side=16, embedder_widths=(4, 6, 8), encoder_widths=(4, 8),
        decoder_widths=(8, 8),
    )  # fmt: skip
    scatter([model.encoder, model.generator, model.identity_adapter, model.pose_mapper], 0.12)
    return model
