import contextlib
import io
import struct
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.errors import PictureError
from mien.sources import formats, images
from mien.sources.images import MAX_PIXELS, decode, luma, read
from mien.sources.listing import find_pictures


def encode(picture, form, **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("suffix", "form", "options", "tolerance"),
    [
        (".jpg", "JPEG", {"quality": 98, "subsampling": 0}, 6),
        (".jfif", "JPEG", {"quality": 98, "subsampling": 0}, 6),
        (".png", "PNG", {}, 0),
        (".webp", "WEBP", {"lossless": True}, 0),
        (".bmp", "BMP", {}, 0),
        (".tiff", "TIFF", {}, 0),
        (".tif", "TIFF", {"compression": "tiff_lzw"}, 0),
        (".gif", "GIF", {}, 40),
        (".png", "PPM", {}, 0),  # the content counts, not the name
    ],
)
def test_every_form_gives_the_same_pixels(tmp_path, gradient, suffix, form, options, tolerance):
    data = encode(gradient, form, **options)
    file = tmp_path / f"picture{suffix}"
    file.write_bytes(data)
    pixels = read(file)
    assert pixels.dtype == np.uint8
    assert pixels.shape == gradient.shape
    assert np.abs(pixels.astype(int) - gradient).max() <= tolerance
    np.testing.assert_array_equal(read(str(file)), pixels)
    np.testing.assert_array_equal(read(data), pixels)
    np.testing.assert_array_equal(decode(data), pixels)
    with Image.open(file) as image:
        np.testing.assert_array_equal(read(image), pixels)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("colour", [False, True])
def test_16_bit_is_scaled_not_clipped(tmp_path, gradient, suffix, colour):
    wide = gradient.astype(np.uint16) * 257
    file = tmp_path / f"wide{suffix}"
    cv2.imwrite(str(file), wide[..., ::-1] if colour else wide[..., 0])
    expected = gradient if colour else np.repeat(gradient[..., :1], 3, axis=2)
    np.testing.assert_array_equal(read(file), expected)


def test_float_and_32_bit_tiff():
    shades = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    bright = encode(Image.fromarray(shades), "TIFF")
    assert read(bright)[-1, -1].tolist() == [255, 255, 255]
    with pytest.raises(PictureError, match="expected 0 to 1"):
        read(encode(Image.fromarray(shades * 300), "TIFF"))
    with pytest.raises(PictureError, match="expected 16 bits"):
        read(encode(Image.fromarray(np.full((2, 2), 70_000, np.int32)), "TIFF"))


def test_grey_becomes_three_equal_channels(gradient):
    grey = gradient[..., 0]
    for picture in (encode(grey, "PNG"), grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(read(picture), np.repeat(grey[..., None], 3, axis=2))


def test_grey_face_png_survives_exactly():
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    pixels = decode(encode(face, "PNG"))
    np.testing.assert_array_equal(luma(pixels), face)


def test_luma_weighs_the_channels_by_bt601():
    assert luma(np.eye(3, dtype=np.uint8)[None] * 255).tolist() == [[76, 150, 29]]


def test_transparent_shows_white(gradient):
    opacity = np.zeros(gradient.shape[:2], np.uint8)
    opacity[:, 30:] = 255
    rgba = np.dstack([gradient, opacity])
    expected = np.where(opacity[..., None] == 255, gradient, 255)
    palette = Image.fromarray(gradient).quantize(8)
    for picture in (encode(rgba, "PNG"), encode(rgba, "WEBP", lossless=True), Image.fromarray(rgba)):
        np.testing.assert_array_equal(read(picture), expected)
    np.testing.assert_array_equal(read(rgba, color="rgb"), expected)
    np.testing.assert_array_equal(read(rgba[..., [2, 1, 0, 3]], color="bgr"), expected)
    corner = palette.getpixel((0, 0))
    assert read(encode(palette, "PNG", transparency=corner))[0, 0].tolist() == [255, 255, 255]


def test_half_transparent_array_is_mixed_with_white():
    assert read(np.array([[[0, 0, 0, 128]]], np.uint8), color="rgb").tolist() == [[[127, 127, 127]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "HSV", "LAB"])
def test_other_colour_modes(mode):
    red = Image.new("RGB", (4, 3), (255, 0, 0))
    image = red.convert("RGBA").convert("LA") if mode == "LA" else None
    if mode == "LAB":
        image = Image.new("LAB", (4, 3), (255, 0, 0))
    pixels = read(image or red.convert(mode))
    assert pixels.shape == (3, 4, 3)
    if mode in ("P", "CMYK", "YCbCr", "HSV"):
        assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 3


def test_cmyk_jpeg():
    red = Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK")
    assert np.abs(read(encode(red, "JPEG")).astype(int) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_to_files_and_pil_images(tmp_path, gradient, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned.png"
    Image.fromarray(gradient).save(file, exif=exif)
    expected = cv2.imread(str(file))  # OpenCV's own reading of the tag, BGR
    np.testing.assert_array_equal(read(file), expected[..., ::-1])
    np.testing.assert_array_equal(read(expected, color="bgr"), read(file))
    with Image.open(file) as image:
        np.testing.assert_array_equal(read(image), read(file))
        assert image.size == (60, 40)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(form):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("black", "white")]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    assert read(buffer.getvalue()).max() <= 8


def test_arrays_state_their_channel_order(gradient):
    np.testing.assert_array_equal(read(gradient, color="rgb"), gradient)
    np.testing.assert_array_equal(read(gradient[..., ::-1], color="bgr"), gradient)
    with pytest.raises(PictureError, match=r"color='rgb', or color='bgr'"):
        read(gradient)
    with pytest.raises(PictureError, match="expected 'rgb' or 'bgr'"):
        read(gradient, color="gbr")


def test_arrays_of_other_depths(gradient):
    np.testing.assert_array_equal(read(gradient.astype(np.uint16) * 257, color="rgb"), gradient)
    for kind in (np.float32, np.float64):
        np.testing.assert_array_equal(read((gradient / 255).astype(kind), color="rgb"), gradient)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((4, 4, 3), np.int64), "array of int64, expected uint8, uint16, or floats"),
        (np.zeros((4, 4), bool), "array of bool"),
        (np.full((4, 4), 200.0), r"floats from 200 to 200, expected 0 to 1.*astype"),
        (np.full((4, 4), -0.1), "floats from -0.1"),
        (np.full((4, 4), np.nan), "floats from nan"),
        (np.zeros((4, 4), object), "array of object"),
        (np.zeros(4, np.uint8), r"shape \(4,\), expected"),
        (np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\), expected"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"shape \(2, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
    ],
)
def test_arrays_that_are_no_pictures(array, expected):
    with pytest.raises(PictureError, match=expected):
        read(array, color="rgb")


@pytest.mark.parametrize("thing", [None, 7, ["a.jpg"], io.BytesIO()])
def test_other_types_are_named(thing):
    with pytest.raises(PictureError, match=f"not {type(thing).__name__}"):
        read(thing)


def png_header(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(12_000, 12_000), (60_000, 60_000), (MAX_PIXELS + 1, 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, width, height):
    file = tmp_path / "bomb.png"
    file.write_bytes(png_header(width, height))
    with pytest.raises(PictureError, match=r"bomb\.png: .*134,217,728"):
        read(file)


def test_files_that_are_no_pictures_are_named(tmp_path, gradient):
    jpeg = encode(gradient, "JPEG")
    for name, content, expected in [
        ("empty.jpg", b"", "0 bytes, expected a JPEG"),
        ("text.jpg", b"not a picture at all", "not a picture that mien reads, expected JPEG"),
        ("cut.jpg", jpeg[: len(jpeg) // 2], "damaged or cut off"),
        ("cut.png", encode(gradient, "PNG")[:60], "damaged or cut off"),
        ("head.jpg", jpeg[:3], "not a picture|damaged"),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that mien reads"),
        ("print.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that mien reads"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PictureError, match=expected) as caught:
            read(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
    with pytest.raises(PictureError, match="a folder, expected a picture file"):
        read(tmp_path)
    with pytest.raises(PictureError, match=r"none\.jpg: no such file"):
        read(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="cannot be read"):
        read("nul\0byte.jpg")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"]),
    keep=st.floats(0, 1),
    place=st.floats(0, 0.999),
    value=st.integers(0, 255),
)
def test_damage_is_a_picture_error_or_a_picture(gradient, form, keep, place, value):
    data = bytearray(encode(gradient, form))
    data[int(place * len(data))] = value
    with contextlib.suppress(PictureError):
        assert read(bytes(data[: int(keep * len(data))])).shape[2] == 3


def test_pillows_warnings_stay_inside(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns above this, and fails above twice this
    image = Image.new("P", (4, 4))
    image.putpalette([10, 20, 30] * 256)
    image.info["transparency"] = bytes(256)  # Pillow warns when such a picture is converted to RGB
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read(image)[0, 0].tolist() == [255, 255, 255]
        read(encode(np.zeros((15, 10), np.uint8), "PNG"))
        assert not caught
        warnings.warn("of somebody else", UserWarning, stacklevel=1)
        assert len(caught) == 1


def test_four_threads_decode_at_once_and_silence_nobody_else(monkeypatch, gradient):
    together = threading.Barrier(5, timeout=20)  # broken, if one waits for another
    upright = images.orientation.upright

    def slow(image):
        warnings.warn("of Pillow", UserWarning, stacklevel=1)
        together.wait()
        together.wait()
        return upright(image)

    monkeypatch.setattr(images.orientation, "upright", slow)
    data = encode(gradient, "PNG")
    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("always")
        read(gradient, color="rgb")
        waiting = [pool.submit(decode, data) for _ in range(4)]
        together.wait()
        warnings.warn("of the main thread", UserWarning, stacklevel=1)
        together.wait()
        for one in waiting:
            np.testing.assert_array_equal(one.result(), gradient)
    assert [str(one.message) for one in caught] == ["of the main thread"]


def with_exif(data, exif):
    """A JPEG with these bytes as its EXIF."""
    block = b"Exif\0\0" + exif
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def tiff_tags(*tags):
    """EXIF of tags (number, type, count, value), one directory."""
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + bytes(4)
    )


ODD = [
    (0x110, 11, 1, 0x3F800000),  # a float where a text belongs
    (0x11A, 5, 1, 0xFFFFFFF0),  # points outside
    (0x9286, 7, 2**31, 8),  # longer than the file
    (0x10F, 2, 9, 0),
    (0x8769, 4, 1, 2**31),
]


@pytest.mark.parametrize("odd", [*ODD, None])
def test_an_odd_tag_of_exif_is_no_damage(gradient, odd):
    plain = encode(gradient, "JPEG")
    data = with_exif(plain, tiff_tags(*([odd] if odd else []), (0x112, 3, 1, 6)))
    np.testing.assert_array_equal(read(data), np.rot90(read(plain), -1))


@pytest.mark.parametrize("name", ["exif-model-is-float.jpg", "exif-rational-minus1.jpg"])
def test_photos_with_an_odd_tag_are_turned_and_read(name):
    folder = Path(__file__).resolve().parents[3] / "shared" / "cases"
    if not (folder / name).exists():
        pytest.skip("the cases are not beside the repository")
    with Image.open(folder / name) as image:
        size = image.size[::-1]
    assert read(folder / name).shape[:2] == size[::-1]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_exif_whatever_is_damage(gradient, exif):
    plain = encode(gradient[:8, :8], "JPEG")
    for start in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        assert sorted(read(with_exif(plain, start + exif)).shape) == [3, 8, 8]


def test_too_little_memory_is_not_called_damage(monkeypatch, gradient):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(images.orientation, "upright", full)
    with pytest.raises(PictureError, match="too little memory"):
        decode(encode(gradient, "PNG"))


def test_floats_within_rounding_of_0_to_1_are_taken(gradient):
    floats = gradient / 255
    for near in (floats * 1.0000001, floats - 1e-7, floats.astype(np.float32) * np.float32(1.000001)):
        np.testing.assert_array_equal(read(near, color="rgb"), gradient)


WRITTEN = {"HEIF": None, "JPEG2000": {"irreversible": False}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}


@pytest.mark.parametrize("suffix", sorted(formats.FORMAT_OF))
def test_every_suffix_of_the_list_is_decoded(tmp_path, gradient, suffix):
    form = formats.FORMAT_OF[suffix]
    file = tmp_path / f"picture{suffix.upper()}"
    if form == "HEIF":
        case = Path(__file__).resolve().parents[3] / "shared" / "cases" / "photo.heic"
        if not case.exists():
            pytest.skip("photo.heic is not beside the repository, and no library here writes HEIC")
        file.write_bytes(case.read_bytes())
        assert read(file).shape == (512, 512, 3)
    else:
        file.write_bytes(encode(gradient, form, **(WRITTEN.get(form) or {})))
        assert np.abs(read(file).astype(int) - gradient).mean() < 12
    assert find_pictures(tmp_path) == [file]


def test_heic_without_its_library_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    file = tmp_path / "photo.heic"
    file.write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(40))
    with pytest.raises(PictureError, match=r"photo\.heic: a HEIC picture.*pip install 'mien\[heic\]'"):
        read(file)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
def test_a_jpeg_that_lacks_its_last_bytes_is_read_with_a_note(options):
    picture = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    data = encode(picture, "JPEG", **options)
    whole = read(data)
    for lacking in (1, 2, 3, 40):
        pixels, note = images.read_noted(data[:-lacking])
        np.testing.assert_array_equal(pixels[:200], whole[:200])
        assert "last bytes are missing" in (note or "last bytes are missing")
    assert note
    with pytest.raises(PictureError, match="cut off"):
        read(data[: len(data) * 3 // 4])
    assert images.read_noted(data)[1] is None


def test_half_a_white_page_is_still_an_error():
    data = encode(np.full((800, 600, 3), 255, np.uint8), "JPEG")
    with pytest.raises(PictureError, match="cut off"):
        read(data[: len(data) * 2 // 3])
