"""Inpainting: repair the holes of a photo."""

PLACE = 1
