"""A small model for tests."""

from vaekit.models.segmenter import Segmenter
from vaekit.testing import scatter


def small() -> Segmenter:
    """With random weights."""
    model = Segmenter(widths=(8, 8))
    scatter([model.segmenter], 0.2)
    return model
