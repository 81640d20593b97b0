from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.images import UnreadableImage, image_files, read_image, read_mask


def encode(suffix, pixels, *options):
    done, content = cv2.imencode(suffix, pixels, list(options))
    assert done
    return content.tobytes()


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("name", ["a.png", "ein Bild – ü.png", "a.bmp", "a.PNG"])
def test_an_image_is_bgr_as_written(tmp_path, name):
    pixels = noise(5, 7, 3)
    (tmp_path / name).write_bytes(encode(name[-4:].lower(), pixels))
    assert np.array_equal(read_image(tmp_path / name), pixels)


def test_grey_alpha_and_16_bits_become_three_channels_of_8(tmp_path):
    grey = noise(5, 7)
    cases = {
        "grey": (grey, np.repeat(grey[..., None], 3, axis=2)),
        "alpha": (np.dstack([noise(5, 7, 3), noise(5, 7)]), noise(5, 7, 3)),
        "deep": (noise(5, 7, 3).astype(np.uint16) * 256, noise(5, 7, 3)),
    }
    for name, (written, expected) in cases.items():
        (tmp_path / f"{name}.png").write_bytes(encode(".png", written))
        assert np.array_equal(read_image(tmp_path / f"{name}.png"), expected), name


def test_exif_orientation_is_applied(tmp_path):
    # Orientation 6: the camera was turned, so a 4 x 8 file shows an 8 x 4 picture.
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    plain = encode(".jpg", noise(4, 8, 3))
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    (tmp_path / "plain.jpg").write_bytes(plain)
    (tmp_path / "turned.jpg").write_bytes(turned)
    expected = cv2.rotate(read_image(tmp_path / "plain.jpg"), cv2.ROTATE_90_CLOCKWISE)
    assert np.array_equal(read_image(tmp_path / "turned.jpg"), expected)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_image_is_refused_by_name(tmp_path, suffix, share):
    content = encode(suffix, noise(64, 64, 3))
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableImage, match=f"cut{suffix}"):
        read_image(path)


def test_a_chunk_longer_than_its_png_takes_no_memory(tmp_path):
    path = tmp_path / "i.png"
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    content = path.read_bytes()
    at = content.index(b"IDAT") - 4
    path.write_bytes(content[:at] + b"\xc8" + content[at + 1 :])
    with pytest.raises(UnreadableImage, match="truncated"):
        read_image(path)


def test_a_truncated_jpeg_is_seen_behind_its_thumbnail(tmp_path):
    thumbnail = encode(".jpg", noise(8, 8, 3))
    exif = b"Exif\0\0" + thumbnail
    content = encode(".jpg", noise(64, 64, 3))
    content = content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]
    (tmp_path / "whole.jpg").write_bytes(content)
    read_image(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes(content[:-200])
    with pytest.raises(UnreadableImage, match="before its end marker"):
        read_image(tmp_path / "cut.jpg")


def test_bytes_behind_the_end_of_a_jpeg_do_no_harm(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(".jpg", noise(8, 8, 3)) + b"\0" * 50)
    assert read_image(tmp_path / "a.jpg").shape == (8, 8, 3)


@pytest.mark.parametrize("content", [b"", b"not an image at all"])
def test_what_is_no_image_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage, match=r"a\.jpg"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImage, match=r"gone\.jpg"):
        read_image(tmp_path / "gone.jpg")


def chunk(name, body):
    import zlib

    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def palette_png(indices, depth):
    """Write a palette PNG by hand; indices (H, W), W a multiple of 8 / depth."""
    import zlib

    height, width = indices.shape
    bits = np.unpackbits(indices.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    packed = np.packbits(bits.reshape(height, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    palette = noise(2**depth, 3).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, 3, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"PLTE", palette),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_mask_gives_indices_and_not_colours(tmp_path, depth):
    indices = np.random.default_rng(0).integers(0, 2**depth, (6, 16))
    (tmp_path / "m.png").write_bytes(palette_png(indices, depth))
    assert np.array_equal(read_mask(tmp_path / "m.png"), indices)


def test_a_grey_mask_is_read_as_it_is_and_a_coloured_one_refused(tmp_path):
    mask = noise(6, 6)
    (tmp_path / "m.png").write_bytes(encode(".png", mask))
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)
    (tmp_path / "c.png").write_bytes(encode(".png", noise(6, 6, 3)))
    with pytest.raises(BadInput, match=r"c\.png is not a mask"):
        read_mask(tmp_path / "c.png")


def test_image_files_are_sorted_and_hidden_ones_left_out(tmp_path, picture):
    for name in ("b.png", "sub/a.jpg", "a.png", ".hidden.png", ".cache/x.png"):
        picture(tmp_path / name)
    (tmp_path / "note.txt").write_text("x")
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert found == ["a.png", "b.png", "sub/a.jpg"]


def png(width, height, depth=8, kind=2):
    """A PNG that says it has that size, and has next to no pixels."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + content + chunk(b"IEND", b"")


def test_an_image_too_large_for_opencv_is_named_with_the_limit(tmp_path):
    (tmp_path / "a.png").write_bytes(png(50_000, 50_000))
    with pytest.raises(UnreadableImage, match=r"a\.png is too large.*OPENCV_IO_MAX_IMAGE_PIXELS"):
        read_image(tmp_path / "a.png")


def test_the_command_line_takes_smaller_images_than_opencv(tmp_path):
    """In a process of its own: OpenCV reads the limit once, when it is imported."""
    (tmp_path / "a.png").write_bytes(png(20_000, 20_000))
    code = (
        "import sys; from pathlib import Path; from edgekit.cli.main import run; run(['--version'])"
        "; from edgekit.tasks.images import read_image; read_image(Path(sys.argv[1]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True
    )
    assert "UnreadableImage" in ended.stderr
    assert "268,435,456 pixels" in ended.stderr


@pytest.mark.parametrize("depth", [0, 3, 255])
def test_a_palette_of_no_depth_is_a_fault_of_the_file(tmp_path, depth):
    (tmp_path / "a.png").write_bytes(png(4, 4, depth, kind=3))
    with pytest.raises(BadInput, match=r"a\.png"):
        read_mask(tmp_path / "a.png")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_an_image_whose_name_is_no_utf_8_is_refused_by_name(tmp_path, picture):
    picture(tmp_path / "a.png").rename(tmp_path / "caf\udce9.png")
    with pytest.raises(BadInput, match="caf"):
        image_files(tmp_path)
