"""Inpainting: repair the holes of a photo."""
