"""A path, an array and a PIL image of one picture are the same pixels."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from edgekit.core.errors import BadInput
from edgekit.tasks.image_like import as_image
from edgekit.tasks.images import UnreadableImage

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


@pytest.fixture
def png(tmp_path):
    path = tmp_path / "picture.png"
    assert cv2.imwrite(str(path), PIXELS)
    return path


def test_a_path_an_array_and_a_pil_image_are_the_same(png):
    for value in (png, str(png), cv2.imread(str(png)), Pillow.open(png), PIXELS):
        assert np.array_equal(as_image(value), PIXELS)


def test_an_array_in_rgb_is_said_to_be_so():
    assert np.array_equal(as_image(PIXELS[..., ::-1], "RGB"), PIXELS)
    assert np.array_equal(as_image(PIXELS[..., ::-1]), PIXELS[..., ::-1])
    with pytest.raises(BadInput, match="'HSV'"):
        as_image(PIXELS, "HSV")


def test_a_pil_image_knows_its_own_order(png):
    assert np.array_equal(as_image(Pillow.open(png), "RGB"), PIXELS)


def test_grey_becomes_three_equal_channels():
    grey = PIXELS[..., 0]
    for value in (grey, grey[..., None], Pillow.fromarray(grey)):
        assert np.array_equal(as_image(value), np.dstack([grey] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "I;16"])
def test_every_mode_of_a_png_is_what_the_file_is(tmp_path, mode):
    path = tmp_path / "picture.png"
    picture = Pillow.fromarray(PIXELS)
    if mode == "I;16":
        picture = Pillow.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    elif mode in ("RGBA", "LA", "PA"):
        picture = picture.convert("RGBA")
        picture.putalpha(Pillow.fromarray(PIXELS[..., 2]))
        picture = picture.convert("LA" if mode == "LA" else "RGBA")
    else:
        picture = picture.convert(mode)
    if mode == "PA":
        picture = picture.quantize(16)  # a palette whose colours have an alpha
    picture.save(path)
    opened = Pillow.open(path)
    # Formulas of grey differ by a level.
    assert np.abs(as_image(opened).astype(int) - as_image(path)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_of_exif_is_applied_as_to_a_file(tmp_path, orientation):
    # Smooth, so that the two decoders of JPEG agree.
    ramp = np.zeros((32, 48, 3), np.uint8)
    ramp[..., 0] = np.arange(48)[None] * 5
    ramp[..., 1] = np.arange(32)[:, None] * 7
    path = tmp_path / "turned.jpg"
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    Pillow.fromarray(ramp).save(path, exif=exif, quality=100, subsampling=0)
    turned = as_image(Pillow.open(path))
    assert turned.shape == ((32, 48, 3) if orientation < 5 else (48, 32, 3))
    assert np.abs(turned.astype(int) - as_image(path)).max() <= 3


def test_a_view_is_as_good_as_a_copy():
    wide = np.random.default_rng(1).integers(0, 256, (20, 40, 3), np.uint8)
    for view in (wide[::2, ::-1], wide[4:9, 3:30], np.asfortranarray(wide)):
        made = as_image(view)
        assert made.flags.c_contiguous
        assert np.array_equal(made, view)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros((4, 4, 3), np.float32), "uint8 .* float32"),
        (np.zeros((4, 4, 3), np.int64), "uint8 .* int64"),
        (np.zeros((4, 4, 3), bool), "uint8 .* bool"),
        (np.zeros((4, 4, 4), np.uint8), "alpha"),
        (np.zeros((3, 32, 32), np.uint8), "transpose"),
        (np.zeros((2, 4, 4, 3), np.uint8), "list"),
        (np.zeros(12, np.uint8), r"\(12,\)"),
        (Pillow.new("F", (4, 4)), "'F'"),
        (Pillow.new("I", (4, 4)), "'I'"),
        (Pillow.new("RGB", (0, 4)), "empty"),
        (None, "NoneType is no image"),
        (b"bytes", "bytes is no image"),
        (3, "int is no image"),
        ({"x": 1}, "dict is no image"),
    ],
)
def test_what_is_no_image_is_said_in_a_sentence(value, says):
    with pytest.raises(BadInput, match=says):
        as_image(value)


def test_a_truncated_pil_image_is_bad_input(tmp_path):
    path = tmp_path / "half.png"
    Pillow.fromarray(PIXELS).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with Pillow.open(path) as half, pytest.raises(BadInput, match="cannot be read"):
        as_image(half)
    with pytest.raises(UnreadableImage):
        as_image(path)


def test_pillow_is_not_imported_for_an_image_that_is_none_of_its_own():
    program = (
        "import sys, numpy as np; from edgekit.tasks.image_like import as_image;"
        "as_image(np.zeros((4, 4, 3), np.uint8)); print('PIL' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout.strip() == "False", ended.stderr
