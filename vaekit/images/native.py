"""The one place where files reach a native decoder: libvips, told which format it gets and what must come out.

libvips was chosen over OpenCV, which ends the process over a broken animated PNG and returns freed memory for 16-bit
planes, and over Pillow, which cuts 16 bit to 8 and takes a JPEG with missing rows for whole. It reports damage to its
caller and prints nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection
from typing import Any

import numpy as np

from vaekit.images.picture import ImageError, damaged

_LOG = threading.Lock()

_DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}


def decode(loader: str, data: bytes, size: tuple[int, int], bands: tuple[int, ...], dtypes: set[str]) -> np.ndarray:
    """Decode pixels.

    Args:
        loader: a format as libvips calls it: png, jpeg, webp, tiff.
        data: the file's bytes: those that the pixels need, and nothing else.
        size: width and height that must come out.
        bands: the numbers of channels that may come out.
        dtypes: what numbers may come out: uchar, ushort, float.

    Returns:
        [H, W, C] uint8, uint16 or float32.

    Raises:
        ImageError: the file is damaged, or is not what it was said to be.
    """
    image, memory = _pixels(loader, data, size, bands, dtypes)
    return np.frombuffer(memory, _DTYPES[image.format]).reshape(image.height, image.width, image.bands)


def is_whole(loader: str, data: bytes, **options: Any) -> bool:
    """Whether all rows of a file can be decoded; `options` are the loader's. The pixels are not kept."""
    try:
        _pixels(loader, data, None, range(100), set(_DTYPES), **options)
    except ImageError:
        return False
    return True


def _pixels(
    loader: str, data: bytes, size: tuple[int, int] | None, bands: Collection[int], dtypes: set[str], **options: Any
) -> tuple[Any, Any]:
    import pyvips

    # libvips looks for warnings before each group of rows, not after the last; those are in its log of errors, which
    # all threads share.
    with _LOG if loader == "jpeg" else contextlib.nullcontext():
        try:
            if loader == "jpeg":
                pyvips.vips_lib.vips_error_clear()
            # The result of a source is never kept in libvips's cache, as that of a buffer is.
            source = pyvips.Source.new_from_memory(data)
            load = getattr(pyvips.Image, f"{loader}load_source")
            image = load(source, fail_on="warning", access="sequential", **options)
            other_size = size is not None and (image.width, image.height) != size
            if other_size or image.bands not in bands or image.format not in dtypes:
                raise damaged("its parts contradict each other")
            # libvips allocates once and fills it row by row: no copy is made.
            memory = image.write_to_memory()
            log = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()).decode(errors="replace")
        except pyvips.Error as error:
            log = str(error.detail or error).strip() or "cannot be decoded"
        else:
            log = log if loader == "jpeg" and "VipsJpeg:" in log else ""
    if log:
        raise damaged(log.splitlines()[0].strip())
    return image, memory


def from_cmyk(pixels: np.ndarray, icc: bytes | None) -> np.ndarray:
    """[H, W, 4] CMYK to [H, W, 3] sRGB, by the profile where it is one for CMYK, else by the plain formula."""
    if icc is None or icc[36:40] != b"acsp" or icc[16:20] != b"CMYK":
        return _plain_cmyk(pixels)
    import pyvips

    depth = 8 * pixels.dtype.itemsize
    image = pyvips.Image.new_from_memory(
        np.ascontiguousarray(pixels), pixels.shape[1], pixels.shape[0], 4, "uchar" if depth == 8 else "ushort"
    ).copy(interpretation="cmyk")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    try:
        converted = image.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=depth
        )
        if converted.bands != 3:
            return _plain_cmyk(pixels)
        return np.frombuffer(converted.write_to_memory(), pixels.dtype).reshape(*pixels.shape[:2], 3)
    except pyvips.Error:  # a profile that is none
        return _plain_cmyk(pixels)


def _plain_cmyk(pixels: np.ndarray) -> np.ndarray:
    top = np.iinfo(pixels.dtype).max
    # Row by row, as the products take four times the memory.
    rgb = np.empty((*pixels.shape[:2], 3), pixels.dtype)
    for row, inks in zip(rgb, pixels, strict=True):
        light = top - inks.astype(np.uint32)
        row[:] = (light[:, :3] * light[:, 3:] + top // 2) // top
    return rgb
