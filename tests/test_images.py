import errno
import io
import os
import signal
import struct
import subprocess
import sys
import zlib
from concurrent import futures

import cv2
import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

from vaekit import images
from vaekit.images import ImageError, Picture, native

HEIGHT, WIDTH = 24, 40
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([COLUMNS * 6, ROWS * 10, (ROWS + COLUMNS) * 4], -1).astype(np.uint8)
RGBA = np.dstack([RGB, (COLUMNS * 6).astype(np.uint8)])
GREY = RGB[..., 2]
DEEP = (np.arange(HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3) * 22 + 1).astype(np.uint16)
DEEP_RGBA = np.dstack([DEEP, DEEP[..., ::-1][..., 0]])
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(pixels, format_, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def exif_block(orientation, order=">"):
    """Make, model after the orientation, and an offset value: what must survive byte for byte."""
    entries = [(271, 2, 6, 62), (274, 3, 1, orientation), (305, 2, 4, None)]
    data = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, count, value in entries:
        data += struct.pack(f"{order}HHI", tag, kind, count)
        if value is None:
            data += b"abc\0"
        else:
            data += struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
    return data.ljust(62, b"\0") + b"Maker\0"


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, rows, *chunks):
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    middle = b"".join(png_chunk(*chunk) for chunk in chunks)
    body = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + middle + body + png_chunk(b"IEND", b"")


def tiff_tag(data, tag, value):
    """A little-endian TIFF with one SHORT tag set, appended when missing."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = {
        struct.unpack_from("<H", data, at)[0]: data[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)
    }
    entries[tag] = struct.pack("<HHIHH", tag, 3, 1, value, 0)
    directory = struct.pack("<H", len(entries)) + b"".join(entries[key] for key in sorted(entries)) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


def one_line(error, *words):
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return True


# === Reading ===


def test_import_is_light():
    code = "import sys, vaekit.images; print(*(m in sys.modules for m in ('tensorflow', 'keras', 'PIL')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]


def test_unicode_and_spaces_in_paths(tmp_path):
    path = tmp_path / "ein Ordner ☂" / "фото 猫.png"
    path.parent.mkdir()
    images.write(path, RGB)
    np.testing.assert_array_equal(images.read(path).pixels, RGB)
    np.testing.assert_array_equal(images.read(str(path)).pixels, RGB)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_orientation_is_applied_once_and_reset(format_, orientation, order):
    block = exif_block(orientation, order)
    options = {"PNG": {}, "JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}[format_]
    upright = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: np.rot90(RGB, 2).transpose(1, 0, 2),
        8: np.rot90(RGB),
    }[orientation]
    picture = images.decode(saved(RGB, format_, exif=b"Exif\0\0" + block, **options))
    np.testing.assert_allclose(picture.pixels.astype(int), upright, atol=8 if format_ == "JPEG" else 0)
    assert picture.exif == exif_block(1, order)
    extension = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[format_]
    again = images.decode(images.encode(picture.pixels, extension, like=picture))
    assert again.exif == exif_block(1, order)
    assert again.pixels.shape == upright.shape


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_tiff(orientation, deep):
    pixels = RGB.astype(np.uint16) * 257 if deep else RGB
    data = tiff_tag(cv2.imencode(".tif", pixels[..., ::-1])[1].tobytes(), 274, orientation)
    reference = images.decode(saved(RGB, "PNG", exif=b"Exif\0\0" + exif_block(orientation))).pixels
    np.testing.assert_array_equal(images.decode(data).pixels, reference * np.uint16(257) if deep else reference)


def test_sixteen_bit_png_with_orientation():
    picture = Picture(DEEP, exif=exif_block(6))
    again = images.decode(images.encode(DEEP, ".png", like=picture))
    np.testing.assert_array_equal(again.pixels, np.rot90(DEEP, -1))
    assert again.exif == exif_block(1)


def test_broken_exif_is_left_out_and_said():
    picture = images.decode(saved(RGB, "PNG", exif=b"Exif\0\0MM\0*\0\0\xff\xff"))
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.exif is None
    assert picture.notes == ("its EXIF data is damaged: left out",)


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".tif"])
def test_profile_and_exif_are_kept(extension):
    like = Picture(RGB, exif=exif_block(1), icc=ICC)
    picture = images.decode(images.encode(RGB, extension, like=like))
    assert picture.icc == ICC
    if extension == ".tif":
        assert b"Maker\0" in picture.exif
    else:
        assert picture.exif == exif_block(1)


def test_exif_directory_of_tiff_is_kept():
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[0x8769] = {0x9003: "2020:01:01 00:00:00"}
    picture = images.decode(saved(RGB, "TIFF", exif=exif.tobytes()))
    for extension in (".jpg", ".tif"):
        kept = Image.Exif()
        kept.load(images.decode(images.encode(RGB, extension, like=picture)).exif)
        assert kept[271] == "Maker"
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
        assert 273 not in kept


@pytest.mark.parametrize("pixels", [DEEP, DEEP_RGBA])
@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_profile_of_sixteen_bit(extension, pixels):
    picture = images.decode(images.encode(pixels, extension, like=Picture(pixels, icc=ICC)))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == np.uint16
    assert picture.icc == ICC


def test_large_profile_in_jpeg():
    large = ICC[:128] + np.random.default_rng(0).bytes(150_000)
    assert images.decode(images.encode(RGB, ".jpg", like=Picture(RGB, icc=large))).icc == large


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tif"])
def test_colour_profile_does_not_go_into_a_grey_file(extension):
    grey = np.dstack([GREY] * 3)
    picture = images.decode(images.encode(grey, extension, like=Picture(grey, grey=True, icc=ICC)))
    assert picture.grey
    assert picture.icc is None


def test_exif_too_long_for_jpeg_is_left_out():
    long = exif_block(1) + bytes(70_000)
    assert images.decode(images.encode(RGB, ".jpg", like=Picture(RGB, exif=long))).exif is None
    assert images.decode(images.encode(RGB, ".png", like=Picture(RGB, exif=long))).exif == long


@pytest.mark.parametrize("extension", [".png", ".webp", ".tif", ".bmp", ".TIFF", ".PNG"])
@pytest.mark.parametrize("pixels", [RGB, RGBA])
def test_round_trip_is_exact(extension, pixels):
    if extension == ".bmp" and pixels is RGBA:
        return
    picture = images.decode(images.encode(pixels, extension))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == np.uint8
    assert not picture.grey
    assert picture.notes == ()


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tif", ".bmp"])
def test_grey_stays_grey(extension, tmp_path):
    path = tmp_path / f"grey{extension}"
    images.write(path, GREY)
    picture = images.read(path)
    assert picture.grey
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
    if extension != ".jpg":
        np.testing.assert_array_equal(picture.pixels, np.dstack([GREY] * 3))
    with Image.open(io.BytesIO(images.encode(picture.pixels, extension, like=picture))) as image:
        assert image.mode == "L"
        if extension != ".jpg":
            np.testing.assert_array_equal(np.asarray(image), GREY)


def test_sixteen_bit_grey():
    pixels = np.dstack([DEEP[..., 0]] * 3)
    for extension in (".png", ".tif"):
        picture = images.decode(images.encode(pixels, extension, like=Picture(pixels, grey=True)))
        assert picture.grey
        np.testing.assert_array_equal(picture.pixels, pixels)


def test_sixteen_bit_tiff_where_white_is_zero():
    data = tiff_tag(cv2.imencode(".tif", DEEP[..., 0])[1].tobytes(), 262, 0)
    np.testing.assert_array_equal(images.decode(data).pixels[..., 0], 65535 - DEEP[..., 0])


def test_grey_with_alpha():
    grey_alpha = np.dstack([GREY, RGBA[..., 3]])
    picture = images.decode(saved(grey_alpha, "PNG"))
    assert picture.grey
    np.testing.assert_array_equal(picture.pixels, np.dstack([GREY] * 3 + [RGBA[..., 3]]))
    for extension in (".png", ".tif"):
        data = images.encode(picture.pixels, extension, like=picture)
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == "LA"
        np.testing.assert_array_equal(images.decode(data).pixels, picture.pixels)


def test_sixteen_bit_grey_with_alpha():
    rows = DEEP[..., :2].astype(">u2")
    picture = images.decode(png(WIDTH, HEIGHT, 16, 4, [row.tobytes() for row in rows]))
    assert picture.grey
    np.testing.assert_array_equal(picture.pixels, DEEP[..., [0, 0, 0, 1]])
    again = images.decode(images.encode(picture.pixels, ".png", like=picture))
    np.testing.assert_array_equal(again.pixels, picture.pixels)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_with_a_transparent_level(depth):
    levels = np.arange(8) % min(2**depth, 8)
    if depth == 16:
        row = levels.astype(">u2").tobytes()
    elif depth == 8:
        row = levels.astype(np.uint8).tobytes()
    else:
        bits = "".join(f"{level:0{depth}b}" for level in levels)
        row = int(bits, 2).to_bytes(depth, "big")
    picture = images.decode(png(8, 1, depth, 0, [row], (b"tRNS", struct.pack(">H", 1))))
    np.testing.assert_array_equal(picture.pixels[0, :, 3] == 0, levels == 1)
    scale = 255 // (2**depth - 1) if depth < 8 else 1
    np.testing.assert_array_equal(picture.pixels[0, :, 0], levels * scale)


@pytest.mark.parametrize("depth", [8, 16])
def test_rgb_png_with_a_transparent_colour(depth):
    pixels = RGB if depth == 8 else DEEP
    rows = [row.astype(f">u{depth // 8}").tobytes() for row in pixels]
    key = struct.pack(">HHH", *(int(value) for value in pixels[3, 5]))
    picture = images.decode(png(WIDTH, HEIGHT, depth, 2, rows, (b"tRNS", key)))
    np.testing.assert_array_equal(picture.pixels[..., :3], pixels)
    np.testing.assert_array_equal(picture.pixels[..., 3] == 0, np.all(pixels == pixels[3, 5], axis=2))


@pytest.mark.parametrize("format_", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(format_):
    image = Image.fromarray(RGB).quantize(16)
    picture = images.decode(saved(image, format_))
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert not picture.grey


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_palette_with_transparency(format_):
    image = Image.fromarray(RGB).quantize(16)
    picture = images.decode(saved(image, format_, transparency=3))
    clear = np.asarray(image) == 3
    np.testing.assert_array_equal(picture.pixels[..., 3], np.where(clear, 0, 255))
    np.testing.assert_array_equal(picture.pixels[~clear][:, :3], np.asarray(image.convert("RGB"))[~clear])


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_is_converted_and_said(format_):
    image = Image.fromarray(RGB).convert("CMYK")
    picture = images.decode(saved(image, format_, icc_profile=ICC))
    assert picture.notes == ("CMYK converted to RGB",)
    assert picture.icc is None
    np.testing.assert_allclose(picture.pixels.astype(int), RGB, atol=24 if format_ == "JPEG" else 1)


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(format_):
    profile = pyvips.Operation.call("profile_load", "cmyk")
    inks = Image.fromarray(np.dstack([RGB, 255 - RGB[..., :1] // 2]), "CMYK")
    picture = images.decode(saved(inks, format_, icc_profile=profile, **{"quality": 100} if format_ == "JPEG" else {}))
    expected = ImageCms.profileToProfile(
        inks,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.abs(picture.pixels.astype(int) - np.asarray(expected)).mean() < 1.5
    plain = np.asarray(inks.convert("RGB")).astype(int)
    assert np.abs(picture.pixels - plain).mean() > 10
    assert picture.icc is None
    assert images.decode(saved(inks, format_, icc_profile=profile[:200])).pixels.shape == RGB.shape


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF"])
def test_animation_gives_the_first_frame_and_says_so(format_):
    options = {"PNG": {}, "WEBP": {"lossless": True}, "GIF": {}}[format_]
    first, second = (Image.fromarray(pixels).quantize(16) for pixels in (RGB, 255 - RGB))
    if format_ != "GIF":
        first, second = first.convert("RGB"), second.convert("RGB")
    picture = images.decode(saved(first, format_, save_all=True, append_images=[second], **options))
    np.testing.assert_array_equal(picture.pixels[..., :3], np.asarray(first.convert("RGB")))
    assert picture.notes == ("animated: only the first frame is used",)


def test_animated_webp_with_alpha():
    data = saved(RGBA, "WEBP", save_all=True, append_images=[Image.fromarray(255 - RGBA)], lossless=True)
    pixels = images.decode(data).pixels
    np.testing.assert_array_equal(pixels[..., 3], RGBA[..., 3])
    np.testing.assert_array_equal(pixels[RGBA[..., 3] > 0], RGBA[RGBA[..., 3] > 0])


def test_pages_of_a_tiff_are_said():
    data = saved(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(255 - RGB)])
    picture = images.decode(data)
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.notes == ("several pages: only the first is used",)


def test_premultiplied_tiff_becomes_straight():
    alpha = np.full((HEIGHT, WIDTH, 1), 128, np.uint8)
    data = tiff_tag(saved(np.concatenate([RGB // 2, alpha], 2), "TIFF"), 338, 1)
    pixels = images.decode(data).pixels
    np.testing.assert_allclose(pixels[..., :3].astype(int), RGB // 2 * 255.0 / 128, atol=1)


def test_colours_under_full_transparency_survive():
    pixels = RGBA.copy()
    pixels[..., 3] = 0
    for extension in (".png", ".webp", ".tif"):
        np.testing.assert_array_equal(images.decode(images.encode(pixels, extension)).pixels, pixels)


def test_jpeg_quality_and_sampling():
    with Image.open(io.BytesIO(images.encode(RGB, ".jpg"))) as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
        assert max(image.quantization[0]) < 16
    assert np.abs(images.decode(images.encode(RGB, ".jpg")).pixels.astype(int) - RGB).mean() < 2


# === Masks ===


def test_mask_threshold_and_inversion(tmp_path):
    levels = np.array([[0, 127, 128, 255]], np.uint8)
    images.write(tmp_path / "mask.png", levels)
    mask = images.read_mask(tmp_path / "mask.png")
    assert mask.dtype == bool
    assert mask.tolist() == [[False, False, True, True]]
    assert images.read_mask(tmp_path / "mask.png", invert=True).tolist() == [[True, True, False, False]]


def test_mask_of_sixteen_bit(tmp_path):
    images.write(tmp_path / "mask.png", np.array([[0, 127 * 257, 127 * 257 + 1, 65535]], np.uint16))
    assert images.read_mask(tmp_path / "mask.png").tolist() == [[False, False, True, True]]


def test_mask_of_colour_is_its_luma(tmp_path):
    images.write(tmp_path / "mask.png", np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    assert images.read_mask(tmp_path / "mask.png").tolist() == [[False, True, False]]


CLEAR, RED, YELLOW, BLACK, WHITE = (0, 0, 0, 0), (255, 0, 0, 255), (255, 255, 0, 255), (0, 0, 0, 255), (255,) * 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("row", "hole"),
    [
        ([CLEAR, BLACK, BLACK], [False, True, True]),
        ([(255, 255, 255, 0), BLACK, BLACK], [False, True, True]),
        ([CLEAR, WHITE, WHITE], [False, True, True]),
        ([CLEAR, RED, YELLOW], [False, True, True]),
        ([CLEAR, (9, 9, 9, 100), (9, 9, 9, 40)], [False, True, False]),
        ([CLEAR, (255, 255, 255, 0), (0, 255, 0, 0)], [False, False, False]),
        ([WHITE, BLACK, (255, 255, 255, 0)], [True, False, False]),
        ([WHITE, BLACK, BLACK], [True, False, False]),
        ([(255, 255, 255, 9), (0, 0, 0, 9), (*BLACK[:3], 9)], [True, False, False]),
    ],
)
def test_mask_on_a_transparent_layer(row, hole, dtype):
    data = images.encode(np.array([row], dtype) * dtype(257 if dtype is np.uint16 else 1), ".png")
    assert images.decode_mask(data).tolist() == [hole]
    assert images.decode_mask(data, invert=True).tolist() == [[not value for value in hole]]


def test_photo_with_an_erased_part_is_no_mask_unless_inverted():
    photo = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    photo[..., 3] = 255
    photo[10:20, 10:20] = 0
    with pytest.raises(ImageError) as error:
        images.decode_mask(images.encode(photo, ".png"), name="mask.png")
    assert one_line(error, "mask.png", "erased part")
    hole = images.decode_mask(images.encode(photo, ".png"), invert=True)
    np.testing.assert_array_equal(hole, photo[..., 3] == 0)


# === Files that cannot be read ===


def tiff_first():
    file = io.BytesIO()
    with Image.fromarray(RGB) as image:
        image.save(file, "TIFF")
    data = file.getvalue()
    assert struct.unpack_from("<I", data, 4) == (8,)
    return data


FILES = {
    "png": lambda: saved(RGB, "PNG"),
    "png16": lambda: images.encode(DEEP, ".png"),
    "jpg": lambda: saved(np.tile(RGB, (8, 8, 1)), "JPEG"),
    "progressive": lambda: saved(np.tile(RGB, (8, 8, 1)), "JPEG", progressive=True),
    "with thumbnail": lambda: saved(RGB, "JPEG", exif=b"Exif\0\0" + exif_block(1) + saved(RGB[:8, :8], "JPEG")),
    "webp": lambda: saved(RGB, "WEBP", lossless=True),
    "tif": lambda: saved(RGB, "TIFF"),
    "tif lzw": lambda: saved(RGB, "TIFF", compression="tiff_lzw"),
    "tif, directory first": tiff_first,
    "tif16": lambda: images.encode(DEEP, ".tif"),
    "bmp": lambda: saved(RGB, "BMP"),
    "gif": lambda: saved(Image.fromarray(RGB).quantize(16), "GIF"),
}


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("kind", FILES)
def test_truncated(kind, share, capfd):
    data = FILES[kind]()
    assert images.decode(data).pixels.size
    with pytest.raises(ImageError) as error:
        images.decode(data[: int(len(data) * share)], name="photo")
    assert one_line(error, "photo: truncated")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["jpg", "progressive"])
def test_damaged_jpeg(kind, capfd):
    data = bytearray(FILES[kind]())
    data[len(data) // 2 : len(data) // 2 + 100] = b"\x55" * 100
    with pytest.raises(ImageError) as error:
        images.decode(bytes(data), name="photo")
    assert one_line(error, "photo: truncated or damaged")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["jpg", "progressive"])
def test_jpeg_with_fewer_or_more_pixels_than_it_says(kind):
    data = FILES[kind]()
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.decode(data[: len(data) // 2] + b"\xff\xd9")
    other = bytearray(data)
    (at,) = (data.index(marker) + 5 for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    for size in (
        (2 * 8 * HEIGHT, 8 * WIDTH),
        (8 * HEIGHT, 9 * WIDTH),
        (7 * HEIGHT, 8 * WIDTH),
        (8 * HEIGHT, 7 * WIDTH),
    ):
        struct.pack_into(">HH", other, at, *size)
        with pytest.raises(ImageError, match="truncated or damaged"):
            images.decode(bytes(other))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_every_cut_of_a_jpeg_is_noticed(options):
    data = saved(RGB, "JPEG", **options)
    whole = images.decode(data).pixels
    for cut in range(data.index(b"\xff\xda") + 14, len(data) - 2, 3):
        # A progressive one that ends between two scans is whole, if coarse.
        for end in (b"",) if "progressive" in options else (b"", b"\xff\xd9"):
            try:
                pixels = images.decode(data[:cut] + end).pixels
            except ImageError:
                continue
            np.testing.assert_array_equal(pixels, whole)  # the last bits may be filling


def test_jpeg_that_harmless_warnings_are_about(capfd):
    data = FILES["jpg"]()
    variants = {
        "version of JFIF": data.replace(b"JFIF\0\x01", b"JFIF\0\x05"),
        "bytes before the end": data[:-2] + b"abcde" + data[-2:],
        "bytes after the end": data + b"motion photo",
        "scan parameters": data.replace(b"\0\x3f\0", b"\0\0\0", 1),
        "fill bytes": data.replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),
    }
    for name, variant in variants.items():
        assert variant != data, name
        np.testing.assert_array_equal(images.decode(variant).pixels, images.decode(data).pixels, err_msg=name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"hello, world", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\0\0\0\x1cftypheic", "HEIC"),
        (b"\x80\x04\x95pickled", "not an image"),
    ],
)
def test_not_an_image(tmp_path, data, word, capfd):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError) as error:
        images.read(path)
    assert one_line(error, str(path), word)
    assert capfd.readouterr() == ("", "")


def bomb(kind):
    side = 60000
    if kind == "png":
        return png(side, side, 8, 2, [b"\0"])
    if kind == "jpg":
        data = bytearray(saved(RGB, "JPEG"))
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, side, side)
    elif kind == "gif":
        data = bytearray(saved(Image.fromarray(RGB).quantize(16), "GIF"))
        struct.pack_into("<HH", data, 6, side, side)
    elif kind == "bmp":
        data = bytearray(saved(RGB, "BMP"))
        struct.pack_into("<ii", data, 18, side, side)
    elif kind == "webp":
        data = bytearray(saved(RGB, "WEBP", lossless=True))
        assert data[12:16] == b"VP8L"
        struct.pack_into("<I", data, 21, 13299 | 13299 << 14)
    else:
        data = tiff_tag(tiff_tag(saved(RGB, "TIFF"), 256, side), 257, side)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_bomb_is_refused_by_its_header(kind):
    with pytest.raises(ImageError) as error:
        images.decode(bomb(kind), name="photo")
    assert one_line(error, "photo: ", "13300x13300" if kind == "webp" else "60000x60000", "limit of 175000000")


@pytest.mark.parametrize("kind", FILES)
def test_limit_holds_for_every_format(kind, monkeypatch):
    data = FILES[kind]()
    height, width = images.decode(data).pixels.shape[:2]
    assert images.decode(data, max_pixels=height * width)
    with pytest.raises(ImageError, match="limit"):
        images.decode(data, max_pixels=height * width - 1)


@pytest.mark.parametrize("kind", FILES)
def test_limit_may_be_above_the_one_of_pillow(kind, monkeypatch):
    data = FILES[kind]()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert images.decode(data).pixels.size


@pytest.mark.parametrize(("width", "height"), [(1_000_001, 1), (1, 1_000_001)])
def test_side_that_is_too_long(width, height):
    with pytest.raises(ImageError, match="1000000 pixels on a side"):
        images.decode(png(width, height, 8, 0, [b"\0"]))


def test_file_that_cannot_be_opened(tmp_path, monkeypatch):
    with pytest.raises(ImageError) as error:
        images.read(tmp_path / "none.png")
    assert one_line(error, "none.png", "no such file")
    with pytest.raises(ImageError) as error:
        images.read(tmp_path)
    assert one_line(error, str(tmp_path), "directory")
    with pytest.raises(ImageError) as error:
        images.read("a\0b.png")
    assert one_line(error, "cannot be read")

    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ImageError) as error:
        images.read("locked.png")
    assert one_line(error, "locked.png", "permission denied")


# === Files that cannot be written ===


def test_existing_file_is_kept_unless_overwrite(tmp_path):
    path = tmp_path / "photo.png"
    images.write(path, RGB)
    with pytest.raises(ImageError) as error:
        images.write(path, 255 - RGB)
    assert one_line(error, str(path), "already exists")
    np.testing.assert_array_equal(images.read(path).pixels, RGB)
    images.write(path, 255 - RGB, overwrite=True)
    np.testing.assert_array_equal(images.read(path).pixels, 255 - RGB)
    assert os.listdir(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("links", [True, False])
def test_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, links):
    path, sync = tmp_path / "photo.png", os.fsync

    def race(descriptor):
        path.write_bytes(b"theirs")
        sync(descriptor)

    def no_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fsync", race)
    if not links:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(ImageError, match="already exists"):
        images.write(path, RGB)
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["photo.png"]


def test_writes_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)  # a system that has it has links
    monkeypatch.setattr(os, "link", no_links)
    images.write(tmp_path / "photo.png", RGB)
    assert os.listdir(tmp_path) == ["photo.png"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(tmp_path, monkeypatch):
    real = os.open
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda path, *rest: real("/dev/full", os.O_WRONLY))
        with pytest.raises(ImageError) as error:
            images.write(tmp_path / "photo.png", RGB)
    assert one_line(error, "photo.png", "no space left")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without names")
@pytest.mark.parametrize("there", [False, True])
def test_a_process_that_is_killed_while_writing_leaves_nothing_new(tmp_path, there):
    path = tmp_path / "photo.png"
    if there:
        images.write(path, RGB)
    before = path.read_bytes() if there else None
    code = (
        "import os, signal, sys; import numpy as np; from vaekit import images\n"
        "os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)\n"
        "images.write(sys.argv[1], np.zeros((8, 8, 3), np.uint8), overwrite=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == (["photo.png"] if there else [])
    assert not there or path.read_bytes() == before


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, failure):
    path = tmp_path / "photo.png"
    images.write(path, RGB)

    def fail(*_):
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((ImageError, KeyboardInterrupt)) as error:
        images.write(path, 255 - RGB, overwrite=True)
    if isinstance(failure, OSError):
        assert one_line(error, "photo.png", "no space left")
    np.testing.assert_array_equal(images.read(path).pixels, RGB)
    assert os.listdir(tmp_path) == ["photo.png"]


def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(ImageError) as error:
        images.write(tmp_path / "none" / "photo.png", RGB)
    assert one_line(error, "photo.png", "no such file")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError) as error:
        images.write(tmp_path / "folder.png", RGB, overwrite=True)
    assert one_line(error, "folder.png", "not a regular file")

    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ImageError) as error:
        images.write(tmp_path / "photo.png", RGB)
    assert one_line(error, "photo.png", "permission denied")


def test_link_is_followed_and_mode_is_usual(tmp_path):
    images.write(tmp_path / "photo.png", RGB)
    (tmp_path / "link.png").symlink_to("photo.png")
    images.write(tmp_path / "link.png", 255 - RGB, overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    np.testing.assert_array_equal(images.read(tmp_path / "photo.png").pixels, 255 - RGB)
    (tmp_path / "plain").touch()
    assert (tmp_path / "photo.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("name", "pixels", "word"),
    [
        ("photo.gif", RGB, "'.gif' cannot be written"),
        ("photo", RGB, "'' cannot be written"),
        ("photo.jpg", RGBA, "transparency"),
        ("photo.bmp", RGBA, "transparency"),
        ("photo.jpg", DEEP, "16 bit"),
        ("photo.webp", DEEP, "16 bit"),
        ("photo.webp", np.zeros((1, 16384, 3), np.uint8), "16383"),
        ("photo.jpg", np.zeros((65501, 1, 3), np.uint8), "65500"),
        ("photo.png", RGB.astype(np.float32), "float32"),
        ("photo.png", RGB[..., :2], "shape"),
        ("photo.png", RGB[:0], "shape"),
    ],
)
def test_pixels_that_a_format_cannot_hold(tmp_path, name, pixels, word):
    with pytest.raises(ImageError) as error:
        images.write(tmp_path / name, pixels)
    assert one_line(error, name, word)
    assert os.listdir(tmp_path) == []


def test_output_suffix():
    assert images.output_suffix(RGB, ".jpg") == ".jpg"
    assert images.output_suffix(RGB, ".JPEG") == ".JPEG"
    assert images.output_suffix(Picture(RGBA), ".jpg") == ".png"
    assert images.output_suffix(RGBA, ".webp") == ".webp"
    assert images.output_suffix(RGBA, ".bmp") == ".png"
    assert images.output_suffix(DEEP, ".jpg") == ".png"
    assert images.output_suffix(DEEP, ".webp") == ".png"
    assert images.output_suffix(DEEP_RGBA, ".tiff") == ".tiff"
    assert images.output_suffix(RGB, ".gif") == ".png"
    assert images.output_suffix(RGB, ".xyz") == ".png"
    assert images.output_suffix(GREY, ".jpg") == ".jpg"
    for suffix in images.SUFFIXES:
        written = images.output_suffix(RGB, suffix)
        assert images.decode(images.encode(RGB, written)).pixels.shape == RGB.shape


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "word"),
    [
        ("a.webp", (10, 16384, 3), np.uint8, "16383"),
        ("a.jpg", (65501, 10), np.uint8, "65500"),
        ("a.jpg", (10, 10, 4), np.uint8, "transparency"),
        ("a.bmp", (10, 10, 3), np.uint16, "16 bit"),
        ("a.xyz", (10, 10, 3), np.uint8, "'.xyz' cannot be written"),
    ],
)
def test_what_a_format_cannot_hold_is_told_before_any_work(name, shape, dtype, word):
    with pytest.raises(ImageError) as error:
        images.check_output(name, shape, dtype)
    assert one_line(error, name, word)
    images.check_output("a.png", shape, dtype)


def test_output_suffix_of_an_enlargement():
    assert images.output_suffix(RGB, ".webp", shape=(64, 16384, 3)) == ".png"
    assert images.output_suffix(RGB, ".webp", shape=(64, 16383, 3)) == ".webp"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_the_declared_size_is_known_without_decoding(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"photo{suffix}"
    images.write(path, np.zeros((5, 9, 3), np.uint8))
    monkeypatch.setattr(cv2, "imdecode", None)
    assert images.size(path.read_bytes()) == (9, 5)


def test_the_size_of_no_image_is_refused():
    with pytest.raises(images.ImageError, match="image_bytes: not an image"):
        images.size(b"no image, but text", name="image_bytes")


# === Layouts of TIFF ===


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **{"photometric": "rgb"} | options)
    return file.getvalue()


PLANES = {"photometric": "rgb", "planarconfig": "separate"}


@pytest.mark.parametrize(
    "data",
    [
        tiff(DEEP),
        tiff(DEEP, bigtiff=True),
        tiff(DEEP, byteorder=">"),
        tiff(DEEP, byteorder=">", bigtiff=True),
        tiff(DEEP, tile=(16, 16)),
        tiff(DEEP, rowsperstrip=5),
        tiff(DEEP, compression="zlib"),
        tiff(DEEP.transpose(2, 0, 1).copy(), **PLANES),
        tiff(DEEP.transpose(2, 0, 1).copy(), **PLANES, tile=(16, 16)),
        tiff(DEEP, extratags=[(37724, "B", 90, bytes(90), True), (65000, "s", 0, "unknown", True)]),
    ],
    ids=["plain", "big", "big endian", "big endian, big", "tiles", "strips", "zip", "planes", "tiled planes", "tags"],
)
def test_sixteen_bit_tiff(data, tmp_path):
    np.testing.assert_array_equal(images.decode(data).pixels, DEEP)
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").pixels, DEEP)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_and_alpha_of_tiff(depth):
    pixels = (RGBA if depth == np.uint8 else DEEP_RGBA)[..., 2:]
    picture = images.decode(tiff(pixels, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]))
    assert picture.grey
    np.testing.assert_array_equal(picture.pixels, pixels[..., [0, 0, 0, 1]])
    again = images.decode(images.encode(picture.pixels, ".tif", like=picture))
    np.testing.assert_array_equal(again.pixels, picture.pixels)


def test_premultiplied_tiff_of_sixteen_bit_becomes_straight():
    alpha = np.full((HEIGHT, WIDTH, 1), 32768, np.uint16)
    data = tiff(np.concatenate([DEEP // 2, alpha], 2), extrasamples=["assocalpha"])
    np.testing.assert_allclose(images.decode(data).pixels[..., :3].astype(int), DEEP // 2 * 65535.0 / 32768, atol=1)


def test_extra_channels_are_no_transparency():
    picture = images.decode(tiff(np.dstack([DEEP, DEEP[..., :2]]), extrasamples=["unspecified", "unspecified"]))
    np.testing.assert_array_equal(picture.pixels, DEEP)
    assert picture.notes == ("extra channels left out",)
    picture = images.decode(tiff(np.dstack([RGB, GREY, 255 - GREY]), extrasamples=["unspecified", "unassalpha"]))
    np.testing.assert_array_equal(picture.pixels, np.dstack([RGB, 255 - GREY]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float_tiff_from_0_to_1_is_read_as_sixteen_bit(dtype):
    picture = images.decode(tiff((RGB / 255).astype(dtype)))
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_allclose(picture.pixels / 65535, RGB / 255, atol=1e-3)
    assert picture.notes == ("floating-point numbers from 0 to 1 read as 16 bit",)


@pytest.mark.parametrize(
    ("pixels", "options", "word"),
    [
        (RGB.astype(np.float32), {}, "from 0 to 248: only 0 to 1"),
        (np.full((4, 4, 3), np.nan, np.float32), {}, "from nan to nan: only 0 to 1"),
        (RGB / 255, {}, "64-bit floating-point"),
        (DEEP.astype(np.int16), {}, "16-bit signed"),
        (DEEP.astype(np.uint32), {}, "32-bit"),
        (RGB, {"photometric": "cielab"}, "CIE Lab"),
        (GREY, {"photometric": "cfa"}, "raw photo"),
        (DEEP, {"photometric": 34892}, "raw photo"),
    ],
)
def test_tiff_that_is_not_supported_is_not_called_damaged(pixels, options, word):
    with pytest.raises(ImageError) as error:
        images.decode(tiff(pixels, **options), name="photo")
    assert one_line(error, "photo: ", word)
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize(("compression", "word"), [(34925, "LZMA"), (50000, "Zstandard"), (34712, "JPEG 2000")])
def test_compression_that_is_not_supported_is_named(compression, word):
    with pytest.raises(ImageError) as error:
        images.decode(tiff_tag(saved(RGB, "TIFF"), 259, compression), name="photo")
    assert one_line(error, "photo: ", word, "LZW")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4", "group3"])
def test_compressions_of_tiff(compression):
    image = Image.fromarray(RGB).convert("1") if "group" in compression else Image.fromarray(RGB)
    options = {"quality": 95} if compression == "jpeg" else {}
    picture = images.decode(saved(image, "TIFF", compression=compression, **options))
    expected = np.asarray(image.convert("RGB")).astype(int)
    np.testing.assert_allclose(picture.pixels, expected, atol=12 if compression == "jpeg" else 0)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_low_bit_depths_of_tiff(bits):
    levels = np.arange(16) % 2**bits
    row = int("".join(f"{level:0{bits}b}" for level in levels), 2).to_bytes(2 * bits, "big")
    tags = {256: 16, 257: 1, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: len(row)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = struct.pack("<2sHI", b"II", 42, 8 + len(row)) + row + struct.pack("<H", len(tags)) + directory + bytes(4)
    np.testing.assert_array_equal(images.decode(data).pixels[0, :, 0], levels * (255 // (2**bits - 1)))


def pages(*pictures, subifds=0):
    """Several pictures, each with whether it is reduced, the first with so many of the others below it."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, (pixels, reduced) in enumerate(pictures):
            below = {} if number else {"subifds": subifds}
            writer.write(pixels, photometric="rgb", subfiletype=int(reduced), **below)
    return file.getvalue()


SMALL = RGB[::4, ::4].copy()


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        (pages((SMALL, True), (RGB, False), subifds=1), ()),
        (pages((SMALL, True), (RGB, False)), ()),
        (pages((RGB, False), (SMALL, True), subifds=1), ()),
        (pages((SMALL, False), (RGB, False)), ("several pages: only the largest is used",)),
        (pages((RGB, False), (SMALL, False)), ("several pages: only the first is used",)),
        (pages((RGB, False), (255 - RGB, False)), ("several pages: only the first is used",)),
    ],
    ids=["below a preview", "after a preview", "before a preview", "larger page", "smaller page", "equal page"],
)
def test_the_main_picture_of_a_tiff(data, notes, tmp_path):
    picture = images.decode(data)
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.notes == notes
    (tmp_path / "a [1].dng").write_bytes(data)
    np.testing.assert_array_equal(images.read(tmp_path / "a [1].dng").pixels, RGB)


def test_raw_photo_with_a_preview_is_refused():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(SMALL, photometric="rgb", subfiletype=1, subifds=1)
        writer.write(DEEP[..., 0], photometric="cfa", subfiletype=0)
    with pytest.raises(ImageError, match="raw photo"):
        images.decode(file.getvalue())


def test_directories_that_form_a_ring():
    data = bytearray(saved(RGB, "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    np.testing.assert_array_equal(images.decode(bytes(data)).pixels, RGB)


@pytest.mark.parametrize("compression", ["raw", "tiff_adobe_deflate", "tiff_lzw", "packbits"])
@pytest.mark.parametrize(("tag", "value"), [(256, WIDTH - 9), (257, HEIGHT - 1), (258, 4), (277, 1)])
def test_tiff_with_more_pixels_than_it_says(compression, tag, value):
    data = tiff_tag(saved(RGB, "TIFF", compression=compression), tag, value)
    with pytest.raises(ImageError):
        images.decode(data)


def test_checksum_of_a_compressed_strip():
    data = tiff(RGB, compression="zlib")
    page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
    damaged = bytearray(data)
    damaged[page.dataoffsets[0] + page.databytecounts[0] - 1] ^= 1
    with pytest.raises(ImageError, match="incorrect data check"):
        images.decode(bytes(damaged))


# === PNG ===


def chunks(data):
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def rebuilt(parts):
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


@pytest.mark.parametrize("size", [1_200_000, 20_000_000])
def test_large_text_and_profile_in_png(size):
    text = b"workflow\0\1\0\0\0" + zlib.compress(bytes(size))
    icc = bytearray(ICC + bytes(size))
    struct.pack_into(">I", icc, 0, len(icc))
    head, *rest = chunks(saved(RGB, "PNG"))
    data = rebuilt([head, (b"iCCP", b"a\0\0" + zlib.compress(bytes(icc))), (b"iTXt", text), *rest])
    picture = images.decode(data)
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.icc == icc
    assert images.decode(images.encode(RGB, ".png", like=picture)).icc == icc


@pytest.mark.parametrize("pixels", [RGB, RGBA, DEEP, GREY])
def test_every_flipped_bit_of_a_png_is_noticed(pixels):
    data = images.encode(pixels[:5, :7], ".png")
    for at in range(8, len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(ImageError):
            images.decode(bytes(flipped))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda raw: raw[:-1], "fewer pixels"),
        (lambda raw: raw[:40], "fewer pixels"),
        (lambda raw: raw + bytes(9), "more pixels"),
        (lambda raw: b"\x05" + raw[1:], ""),
    ],
)
def test_png_with_other_pixels_than_it_says(change, word):
    head, (kind, body), end = chunks(saved(RGB, "PNG"))
    with pytest.raises(ImageError, match=f"truncated or damaged: .*{word}"):
        images.decode(rebuilt([head, (kind, zlib.compress(change(zlib.decompress(body)))), end]))


@pytest.mark.parametrize("change", [lambda body: body[:-4], lambda body: body[:-1] + bytes([body[-1] ^ 1])])
def test_png_without_the_checksum_of_its_pixels(change):
    head, (kind, body), end = chunks(saved(RGB, "PNG"))
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.decode(rebuilt([head, (kind, change(body)), end]))


def test_png_that_says_little_and_holds_much():
    head, (kind, _), end = chunks(saved(RGB, "PNG"))
    compressor = zlib.compressobj(9)
    bomb = b"".join([compressor.compress(bytes(1 << 20)) for _ in range(200)] + [compressor.flush()])
    with pytest.raises(ImageError, match="more pixels"):
        images.decode(rebuilt([head, (kind, bomb), end]))


def animated_deep_interlaced(last_frame):
    """A 16-bit interlaced animated PNG; such a one with a broken frame ended processes in OpenCV."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for x, y, dx, dy in passes for row in DEEP[y::dy, x::dx])
    frame = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    return rebuilt([
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 1)), (b"acTL", struct.pack(">II", 2, 0)),
        (b"fcTL", frame), (b"IDAT", zlib.compress(raw)), (b"fcTL", b"\0\0\0\1" + frame[4:]), (b"fdAT", last_frame),
        (b"IEND", b""),
    ])  # fmt: skip


@pytest.mark.parametrize("frame", [b"", b"\0\0\0\2" + zlib.compress(bytes(50)), b"\0\0\0\2" + bytes(50)])
def test_animated_interlaced_sixteen_bit_png(frame):
    picture = images.decode(animated_deep_interlaced(frame))
    np.testing.assert_array_equal(picture.pixels, DEEP)
    assert picture.notes == ("animated: only the first frame is used",)


def test_colour_chunks_of_png_are_kept():
    colour = {"gAMA": struct.pack(">I", 100000), "cHRM": struct.pack(">8I", *range(30000, 30008)), "sRGB": b"\1"}
    for pixels in (RGB, DEEP):
        picture = images.decode(images.encode(pixels, ".png", like=Picture(pixels, png_colour=colour)))
        assert picture.png_colour == colour
        found = [kind for kind, _ in chunks(images.encode(pixels, ".png", like=picture))]
        assert found.index(b"gAMA") < found.index(b"IDAT")
        both = images.decode(images.encode(pixels, ".png", like=Picture(pixels, icc=ICC, png_colour=colour)))
        assert (both.icc, set(both.png_colour)) == (ICC, {"gAMA", "cHRM"})


# === What a picture says of itself ===


@pytest.mark.parametrize("pixels", [RGB, RGBA, GREY, DEEP, DEEP_RGBA])
@pytest.mark.parametrize("extension", [".png", ".jpg", ".tif", ".bmp", ".webp"])
def test_resolution_is_kept(extension, pixels):
    if images.output_suffix(pixels, extension) != extension:
        return
    for dpi in ((300.0, 300.0), (72.0, 144.0)):
        picture = images.decode(images.encode(pixels, extension, like=Picture(pixels, dpi=dpi)))
        assert picture.dpi == pytest.approx(dpi, abs=0.02)
    if extension != ".bmp":  # Pillow writes 96
        assert images.decode(images.encode(pixels, extension)).dpi is None


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "BMP"])
def test_resolution_as_others_write_it(format_):
    assert images.decode(saved(RGB, format_, dpi=(300, 150))).dpi == pytest.approx((300, 150), abs=0.02)


def test_resolution_in_centimetres():
    data = saved(RGB, "JPEG", dpi=(100, 100)).replace(b"JFIF\0\1\1\1", b"JFIF\0\1\1\2", 1)
    assert images.decode(data).dpi == pytest.approx((254, 254))
    assert images.decode(tiff(RGB, resolution=(100, 50), resolutionunit="CENTIMETER")).dpi == (254, 127)


def test_resolution_turns_with_the_picture():
    exif = Image.Exif()
    exif[274] = 6
    assert images.decode(saved(RGB, "JPEG", exif=exif, dpi=(300, 150))).dpi == (150, 300)


def exif_with_thumbnail(order, thumbnail, plain=False):
    """An EXIF block with the sizes of the picture, a maker's note and a thumbnail."""
    pack = lambda form, *values: struct.pack(order + form, *values)  # noqa: E731
    note, start = b"maker's note \x01\x02", 8
    first, below, second = [], [], []
    where = {"exif": start + 2 + 3 * 12 + 4}
    where["note"] = where["exif"] + 2 + 3 * 12 + 4
    where["second"] = where["note"] + len(note) + 1
    where["thumbnail"] = where["second"] + 2 + 3 * 12 + 4
    first = [pack("HHIHH", 274, 3, 1, 6, 0), pack("HHII", 256, 4, 1, WIDTH), pack("HHII", 34665, 4, 1, where["exif"])]
    below = [
        pack("HHII", 37500, 7, len(note), where["note"]), pack("HHII", 40962, 4, 1, WIDTH),
        pack("HHIHH", 40963, 3, 1, HEIGHT, 0),
    ]  # fmt: skip
    places = (273, 279) if plain else (513, 514)
    second = [
        pack("HHIHH", 259, 3, 1, 1 if plain else 6, 0), pack("HHII", places[0], 4, 1, where["thumbnail"]),
        pack("HHII", places[1], 4, 1, len(thumbnail)),
    ]  # fmt: skip
    data = (b"MM\0*" if order == ">" else b"II*\0") + pack("I", start)
    data += pack("H", 3) + b"".join(sorted(first)) + pack("I", where["second"])
    data += pack("H", 3) + b"".join(sorted(below)) + bytes(4) + note + b"\0"
    return data + pack("H", 3) + b"".join(second) + bytes(4) + thumbnail


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_thumbnail_is_removed_and_sizes_follow(format_, order, plain):
    thumbnail = b"\x12\x34" * 40 if plain else saved(RGB[:8, :8], "JPEG")
    block = exif_with_thumbnail(order, thumbnail, plain)
    picture = images.decode(saved(RGB, format_, exif=b"Exif\0\0" + block))
    assert picture.pixels.shape == (WIDTH, HEIGHT, 3)
    assert b"maker's note \x01\x02" in picture.exif
    assert thumbnail[-30:] not in picture.exif
    assert b"\xff\xd8\xff" not in picture.exif
    extension = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}[format_]
    for pixels in (picture.pixels, np.tile(picture.pixels, (2, 3, 1))):
        data = images.encode(pixels, extension, like=picture)
        assert thumbnail[-30:] not in data
        kept = Image.Exif()
        kept.load(images.decode(data).exif)
        height, width = pixels.shape[:2]
        assert (kept[274], kept[256]) == (1, width)
        assert (kept.get_ifd(34665)[40962], kept.get_ifd(34665)[40963]) == (width, height)
        assert kept.get_ifd(34665)[37500] == b"maker's note \x01\x02"
        assert not kept.get_ifd(1)


def test_preview_in_a_makers_note_is_removed():
    block = exif_with_thumbnail("<", b"").replace(b"maker's note \x01\x02", b"\xff\xd8\xff\xe0 JPEG \xff\xd9..")
    assert b"JPEG" not in images.decode(saved(RGB, "JPEG", exif=b"Exif\0\0" + block)).exif


def test_big_endian_exif_goes_into_a_tiff():
    exif = Image.Exif()
    exif.endian = ">"
    exif[271], exif[274] = "Maker", 6
    exif[34665] = {0x9003: "2020:01:01 00:00:00", 0x829A: 0.5, 40962: WIDTH}
    exif[34853] = {2: (52.0, 30.0, 15.5)}
    block = exif.tobytes()
    assert block.startswith(b"Exif\0\0MM")
    for pixels in (RGB, DEEP):
        like = images.decode(saved(RGB.transpose(1, 0, 2), "PNG", exif=block))
        picture = images.decode(images.encode(pixels, ".tif", like=like))
        np.testing.assert_array_equal(picture.pixels, pixels)
        kept = Image.Exif()
        kept.load(picture.exif)
        assert (kept[271], kept[274]) == ("Maker", 1)
        assert kept.get_ifd(34665) == {0x9003: "2020:01:01 00:00:00", 0x829A: 0.5, 40962: WIDTH}
        assert kept.get_ifd(34853) == {2: (52.0, 30.0, 15.5)}


# === Memory, pipes, and what a library leaves alone ===


@pytest.mark.parametrize("kind", ["jpg", "progressive", "png", "gif", "bmp", "tif", "tif lzw"])
def test_size_that_the_bytes_cannot_hold(kind, monkeypatch):
    """Refused before a decoder would allocate."""
    data, side = bytearray(FILES[kind]()), 5000
    if kind in ("jpg", "progressive"):
        (at,) = (data.index(marker) + 5 for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
        struct.pack_into(">HH", data, at, side, side)
    elif kind == "png":
        head, *rest = chunks(bytes(data))
        data = rebuilt([(b"IHDR", struct.pack(">II", side, side) + head[1][8:]), *rest])
    elif kind == "gif":
        struct.pack_into("<HH", data, 6, side, side)
    elif kind == "bmp":
        struct.pack_into("<ii", data, 18, side, side)
    else:
        data = tiff_tag(tiff_tag(bytes(data), 256, side), 257, side)
        data = tiff_tag(data, 278, side)
    monkeypatch.setattr(native, "decode", None)
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.decode(bytes(data))


def test_threads_do_not_share_errors():
    whole = FILES["jpg"]()
    kinds = [whole, whole[: len(whole) // 2], FILES["progressive"](), FILES["png16"](), FILES["tif"]()[:-9]]

    def one(number):
        try:
            return images.decode(kinds[number % len(kinds)]).pixels.shape
        except ImageError as error:
            return str(error)

    alone = [one(number) for number in range(len(kinds))]
    with futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(200))) == alone * 40


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "photo.png")
    for use in (images.read, images.read_mask, lambda path: images.copy(path, tmp_path / "copy.png")):
        with pytest.raises(ImageError) as error:
            use(tmp_path / "photo.png")
        assert one_line(error, "photo.png", "not a regular file")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize("head", [b"text", b"\x89PNG\r\n\x1a\n", saved(RGB, "JPEG")[:300]])
def test_a_large_file_is_not_read_before_its_header(tmp_path, head):
    with (tmp_path / "photo.png").open("wb") as file:
        file.write(head)
        file.truncate(3_000_000_000)  # takes no room on the disk
    # ru_maxrss would count what this process had when it forked.
    code = (
        "import re, sys; from vaekit import images\n"
        "try: images.read(sys.argv[1])\n"
        "except images.ImageError: print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "photo.png")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 400_000  # kB


def test_nothing_global_is_changed(tmp_path):
    code = """
import logging, sys, warnings
import cv2
from PIL import Image, ImageFile

def state():
    return (
        cv2.utils.logging.getLogLevel(), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES,
        list(warnings.filters), logging.root.level, list(logging.root.handlers), cv2.getNumThreads(),
    )

before = state()
from vaekit import images
for path in sys.argv[1:]:
    picture = images.read(path)
    images.encode(picture.pixels, images.output_suffix(picture, ".tif"), like=picture)
    try: images.decode(open(path, "rb").read()[:-40])
    except images.ImageError: pass
assert state() == before, (before, state())
assert "tensorflow" not in sys.modules
"""
    paths = []
    for kind, make in FILES.items():
        paths.append(tmp_path / kind)
        paths[-1].write_bytes(make())
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
