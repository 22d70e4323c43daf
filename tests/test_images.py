import errno
import io
import os
import signal
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from vaekit import images
from vaekit.images import ImageError, Picture

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
def test_jpeg_with_missing_rows(kind):
    data = FILES[kind]()
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.decode(data[: len(data) // 2] + b"\xff\xd9")
    taller = bytearray(data)
    (at,) = (data.index(marker) + 5 for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    struct.pack_into(">H", taller, at, 2 * 8 * HEIGHT)
    with pytest.raises(ImageError, match="truncated or damaged"):
        images.decode(bytes(taller))


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
