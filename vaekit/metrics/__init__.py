"""Measures of images and of sets of images, in NumPy."""

from vaekit.metrics.frechet import frechet_distance
from vaekit.metrics.pictures import l1, psnr, ssim
from vaekit.metrics.sets import accuracy, inception_score, kernel_distance, precision_recall, purity, roc_auc

__all__ = [
    "accuracy", "frechet_distance", "inception_score", "kernel_distance", "l1", "precision_recall", "psnr", "purity",
    "roc_auc", "ssim",
]  # fmt: skip
