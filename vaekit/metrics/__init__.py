"""Measures of images and of sets of images, in NumPy."""

from vaekit.metrics.frechet import frechet_distance
from vaekit.metrics.pictures import l1, psnr, ssim

__all__ = ["frechet_distance", "l1", "psnr", "ssim"]
