"""Sources, degradations and batches, without TensorFlow."""

from vaekit.data import holes
from vaekit.data.augment import crop_resize, erase, match_channels, to_unit
from vaekit.data.batches import Batches
from vaekit.data.degrade import degrade, shrink
from vaekit.data.pool import ReaderPool
from vaekit.data.sources import FOLDERS, DataError, Holdout, JoinedSource, WithOther, open_source

__all__ = [
    "FOLDERS", "Batches", "DataError", "Holdout", "JoinedSource", "ReaderPool", "WithOther",
    "crop_resize", "degrade", "erase", "holes", "match_channels", "open_source", "shrink", "to_unit",
]  # fmt: skip
