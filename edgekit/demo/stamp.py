"""A time stamp in the picture that a program can read back, from a screen too.

A strip of black and white cells at the lower left: two rows of 32, most significant bit first. It
is a third as wide as the picture, so that it can be found at any size that the picture is shown in.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.tasks.task import Image

__all__ = ["Stamp", "draw_stamp", "read_stamp", "stamp_height"]

_COLUMNS, _ROWS = 32, 2
# The other 44 bits are the time; Unix time in milliseconds needs 41 until the year 2039.
_NUMBER_BITS, _CHECK_BITS = 12, 8
# A strip is so many times narrower than its picture.
_SHARE = 3


@dataclass(frozen=True)
class Stamp:
    """What a strip says.

    Attributes:
        milliseconds: Unix time at which the frame was taken.
        number: Of the frame, modulo 4096.
    """

    milliseconds: int
    number: int


def stamp_height(width: int) -> int:
    """Height of the strip in a picture of that width, pixels."""
    return max(1, round(_ROWS * width / _SHARE / _COLUMNS))


def draw_stamp(picture: Image, milliseconds: int, number: int) -> None:
    """Write a stamp into the lower left corner of a picture.

    Args:
        picture: (H, W, 3) uint8, changed in place; at least 640 pixels wide for a stamp that
            survives compression.
        milliseconds: Unix time, 0 to 2^44 - 1.
        number: Of the frame; its lowest 12 bits are kept.
    """
    value = (milliseconds << _NUMBER_BITS) | (number % (1 << _NUMBER_BITS))
    word = (value << _CHECK_BITS) | _check(value)
    bits = np.array([(word >> (63 - place)) & 1 for place in range(64)], np.uint8)
    height, width = picture.shape[:2]
    strip = cv2.resize(
        bits.reshape(_ROWS, _COLUMNS) * 255,
        (max(1, round(width / _SHARE)), stamp_height(width)),
        interpolation=cv2.INTER_NEAREST,
    )
    picture[height - strip.shape[0] :, : strip.shape[1]] = strip[..., None]


def read_stamp(picture: npt.NDArray[np.uint8]) -> Stamp | None:
    """Read the stamp of a picture, at whatever size it is shown.

    Args:
        picture: (H, W, 3) uint8, the whole picture, perhaps scaled and compressed.

    Returns:
        None where there is none, or where it can no longer be read.
    """
    height, width = picture.shape[:2]
    cell = width / _SHARE / _COLUMNS
    word = 0
    for row in range(_ROWS):
        y = height - (_ROWS - row - 0.5) * cell
        for column in range(_COLUMNS):
            x = (column + 0.5) * cell
            # The middle of the cell: its edges are blurred.
            reach = max(0.5, cell / 5)
            rows = slice(max(int(y - reach), 0), int(y + reach) + 1)
            middle = picture[rows, max(int(x - reach), 0) : int(x + reach) + 1]
            word = (word << 1) | bool(middle.size and middle.mean() > 127)
    value, check = word >> _CHECK_BITS, word & ((1 << _CHECK_BITS) - 1)
    if check != _check(value) or value >> _NUMBER_BITS == 0:
        return None
    return Stamp(value >> _NUMBER_BITS, value & ((1 << _NUMBER_BITS) - 1))


def _check(value: int) -> int:
    return zlib.crc32(value.to_bytes(8, "big")) & ((1 << _CHECK_BITS) - 1)
