"""Reading image files."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.core.errors import BadInput
from edgekit.core.opening import IMAGE_BYTES, read_file
from edgekit.core.reading import unnameable
from edgekit.core.texts import is_text, whole_number
from edgekit.tasks.opencv_log import silent_opencv
from edgekit.tasks.task import Image

__all__ = ["IMAGE_SUFFIXES", "LINK", "UnreadableImage", "image_files", "read_image", "read_mask"]

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

# What to do with images that a file of a data set names elsewhere.
LINK = "Move the images into that folder, or put a symbolic link to their folder there."

# OpenCV's own limit, which `edgekit` lowers as it begins, because OpenCV reads it once.
_PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS"
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"


class UnreadableImage(BadInput):
    """An image file that is missing, empty, truncated, or no image at all."""


def read_image(path: Path) -> Image:
    """Read an image file as OpenCV does by default.

    An EXIF orientation is applied, so that the picture stands as a viewer shows it; grey becomes
    three equal channels; alpha is dropped; 16 bits become 8.

    Args:
        path: Any format that this build of OpenCV reads.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        UnreadableImage: The file is missing, truncated or no image. Older releases of OpenCV fill a
            truncated picture with grey and say nothing, so the end is looked for here.
    """
    return _decode(_content(path), cv2.IMREAD_COLOR, path)


def read_mask(path: Path) -> npt.NDArray[np.uint8]:
    """Read a mask whose grey levels, or palette indices, are class indices.

    Args:
        path: A PNG (or another lossless image) of one channel, 8 bits or fewer.

    Returns:
        (H, W) uint8.

    Raises:
        UnreadableImage: As for `read_image`.
        BadInput: The file has several channels or more than 8 bits, so it holds colours.
    """
    content = _content(path)
    divisor = 1
    if content.startswith(_PNG):
        content, divisor = _palette_as_grey(content)
    mask = _decode(content, cv2.IMREAD_UNCHANGED, path)
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise BadInput(
            f"{path} is not a mask: it has {mask.shape[2] if mask.ndim == 3 else 1} channels of "
            f"{mask.dtype}.",
            hint="A mask has one channel of 8 bits whose values are class indices, 255 for ignore.",
        )
    return mask if divisor == 1 else (mask // divisor).astype(np.uint8)


def image_files(folder: Path) -> tuple[Path, ...]:
    """Return the image files below a folder, sorted by path; hidden ones are left out.

    Raises:
        BadInput: The name of one is not UTF-8.
    """
    found = tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    bad = next((path for path in found if not is_text(str(path))), None)
    if bad is not None:
        raise unnameable(bad)
    return found


def _content(path: Path) -> bytes:
    # The bytes are read here and not by OpenCV, which cannot open every path on Windows.
    try:
        content = read_file(path, IMAGE_BYTES)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadableImage(f"{path} cannot be read: {reason}.") from error
    if not content:
        raise UnreadableImage(f"{path} is empty.")
    if _truncated(content):
        raise UnreadableImage(f"{path} is truncated: the image ends before its end marker.")
    return content


def _decode(content: bytes, flags: int, path: Path) -> npt.NDArray[np.uint8]:
    try:
        with silent_opencv():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise UnreadableImage(
                f"{path} is too large: an image has at most {_pixels():,} pixels, and 1,048,576 in "
                "a row or a column.",
                hint=f"{_PIXELS} in the environment raises the limit.",
            ) from error
        if error.code == cv2.Error.StsNoMem:
            raise UnreadableImage(f"{path} needs more memory than there is.") from error
        image = None
    if image is None:
        raise UnreadableImage(f"{path} is not an image that OpenCV can read.")
    return image  # type: ignore[return-value]


def _pixels() -> int:
    said = whole_number(os.environ.get(_PIXELS, ""))
    return 1 << 30 if said is None else said


def _truncated(content: bytes) -> bool:
    """Say whether a JPEG or PNG lacks its end marker; other formats are left to the decoder."""
    if content.startswith(_JPEG):
        # The last start of scan is the picture's own; a thumbnail and its end come before it.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    if content.startswith(_PNG):
        # From chunk to chunk: OpenCV takes the memory that a chunk's length asks for, up to 4 GB.
        position = len(_PNG)
        while position + 8 <= len(content):
            length, kind = struct.unpack_from(">I4s", content, position)
            if kind == b"IEND":
                return False
            position += 12 + length
        return True
    return False


def _palette_as_grey(content: bytes) -> tuple[bytes, int]:
    """Rewrite a palette PNG as a grey one, so that decoding gives indices instead of colours.

    The chunk layout is that of the PNG specification (W3C, third edition), sections 5.3 and 11.2:
    colour type 3 differs from 0 only in what the samples mean.

    Returns:
        The file's content, and what the decoder multiplies samples of fewer than 8 bits by.
    """
    start = len(_PNG)
    header = bytearray(content[start + 8 : start + 8 + 13])
    depth = header[8] if len(header) == 13 else 0
    if header[9:10] != b"\x03" or depth not in (1, 2, 4, 8):
        return content, 1
    header[9] = 0
    chunks = [_PNG, _chunk(b"IHDR", bytes(header))]
    position = start + 12 + 13
    while position + 8 <= len(content):
        (length,) = struct.unpack(">I", content[position : position + 4])
        name = content[position + 4 : position + 8]
        end = position + 12 + length
        if name in (b"IDAT", b"IEND"):
            chunks.append(content[position:end])
        position = end
    return b"".join(chunks), 255 // (2**depth - 1)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
