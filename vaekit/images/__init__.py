"""Image files to arrays and back: the only door to image files.

PNG, JPEG, WebP, TIFF (BigTIFF and DNG too), BMP and GIF are read; all but GIF are written, and GIF for animations.

A file is checked before a native decoder sees it: its first bytes, the size it declares, its layout, checksums, and
whether it has bytes enough for its pixels. What is damaged, or in a layout that could be misread, is refused in one
line that says why. Nothing global is changed: neither log levels nor limits nor warning filters.
"""

from vaekit.images.masks import decode_mask, read_mask
from vaekit.images.picture import DEFAULT_MAX_PIXELS, SUFFIXES, ImageError, Picture, check
from vaekit.images.reading import decode, read, size
from vaekit.images.writing import check_output, copy, encode, output_suffix, write, write_animation

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "SUFFIXES",
    "ImageError",
    "Picture",
    "check",
    "check_output",
    "copy",
    "decode",
    "decode_mask",
    "encode",
    "output_suffix",
    "read",
    "read_mask",
    "size",
    "write",
    "write_animation",
]
