"""Marks set onto a picture in place: boxes with labels, masks, lines of words.

`edgekit.tasks.draw` makes pictures of images with them, `edgekit.demo.overlay` frames of a video.
"""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.tasks.draw_instances import draw_instance
from edgekit.tasks.predictions import ClassShare, Detection
from edgekit.tasks.task import Image

__all__ = [
    "BGR",
    "Lettering",
    "class_colour",
    "colour_of",
    "covers",
    "fitting",
    "mark_mask",
    "mark_objects",
    "word",
]

BGR = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
# Classes that mean "nothing here" keep their pixels as they are.
_BACKGROUND = frozenset({"background", "__background__", "unlabeled", "unlabelled", "void"})
_MASK_OPACITY = 0.55
# Before version 5, OpenCV's fonts know ASCII only and write "?" for everything else, and their
# strokes are as wide as they are told; since then 2 is bold at any size.
_MODERN_FONT = int(cv2.__version__.partition(".")[0]) >= 5


@dataclass(frozen=True)
class Lettering:
    """How letters look on a picture of some size.

    Attributes:
        scale: OpenCV's: about a fortieth of the picture's short side, never too small to read.
        stroke: OpenCV's thickness.
        ascent: Height of a capital letter above its line, pixels.
        descent: Depth of a "g" below it, pixels.
    """

    scale: float
    stroke: int
    ascent: int
    descent: int

    @classmethod
    def of(cls, canvas: Image, *, bold: bool = False, times: int = 1) -> Lettering:
        """Return what suits a picture, (H, W, 3), or letters so many times as large."""
        return _lettering(times * min(canvas.shape[:2]), bold)

    @property
    def pad(self) -> int:
        """Space around words, pixels."""
        return max(2, self.ascent // 5)

    @property
    def step(self) -> int:
        """From one line to the next, pixels."""
        return self.ascent + self.descent + 2 * self.pad

    def width(self, words: str) -> int:
        """Pixels that words take, once `fitting` has made them writable."""
        return int(cv2.getTextSize(words, _FONT, self.scale, self.stroke)[0][0])


def class_colour(index: int) -> BGR:
    """Return a class's colour; neighbouring indices are far apart on the colour wheel."""
    # Steps of the golden ratio never come close to one another on the circle.
    red, green, blue = colorsys.hsv_to_rgb(
        (index * 0.618034) % 1.0, 0.65 + 0.35 * (index % 2), 0.95 - 0.25 * (index % 3 == 1)
    )
    return round(255 * blue), round(255 * green), round(255 * red)


def colour_of(found: Detection) -> BGR:
    """Return an object's colour: that of its track, or of its class where it has none."""
    return class_colour(found.class_index if found.track is None else found.track)


def covers(share: ClassShare) -> bool:
    """Say whether a class of a segmentation is laid over the image, or is its background."""
    return share.label.lower() not in _BACKGROUND


def mark_objects(canvas: Image, found: Sequence[Detection], zoom: int = 1) -> None:
    """Draw objects, the first on top: outlines first, then every label, so that none is crossed.

    Args:
        canvas: (H, W, 3) uint8, BGR; changed in place.
        found: Best first, in pixels of the image.
        zoom: Pixels of the canvas for one of the image.
    """
    thick = max(2, round(min(canvas.shape[:2]) / 300))
    corners = [_corners(canvas, one, zoom) for one in found]
    tints = [colour_of(one) for one in found]
    for one, tint in zip(reversed(found), reversed(tints), strict=True):
        draw_instance(canvas, one, tint, zoom=zoom)
    for (x1, y1, x2, y2), tint in zip(reversed(corners), reversed(tints), strict=True):
        cv2.rectangle(canvas, (x1, y1), (x2, y2), tint, thick)
    lettering = Lettering.of(canvas, bold=True)
    for one, (x1, y1, _, _), tint in zip(
        reversed(found), reversed(corners), reversed(tints), strict=True
    ):
        name = one.label if one.track is None else f"{one.label} {one.track}"
        _tag(canvas, f"{name} {one.score:.2f}", (x1, y1 - thick // 2), tint, lettering)


def mark_mask(canvas: Image, mask: npt.NDArray[np.uint8], shares: Sequence[ClassShare]) -> None:
    """Lay the classes of pixels over a picture; the background keeps its pixels.

    Args:
        canvas: (H, W, 3) uint8, BGR; changed in place.
        mask: (H, W) uint8, class index by pixel.
        shares: The classes that occur in it.
    """
    table = np.zeros((256, 1, 3), np.uint8)
    covered = np.zeros(256, np.uint8)
    for one in shares:
        table[one.class_index, 0] = class_colour(one.class_index)
        covered[one.class_index] = 255 * covers(one)
    tinted = cv2.applyColorMap(mask, table)
    cv2.addWeighted(canvas, 1 - _MASK_OPACITY, tinted, _MASK_OPACITY, 0, dst=tinted)
    cv2.copyTo(tinted, cv2.LUT(mask, covered), canvas)


def word(canvas: Image, words: str, place: tuple[int, int], ink: BGR, letters: Lettering) -> None:
    """Write one line; `place` is where its first letter stands."""
    cv2.putText(canvas, words, place, _FONT, letters.scale, ink, letters.stroke, cv2.LINE_AA)


def fitting(text: str, width: int, letters: Lettering) -> str:
    """Shorten a text to so many pixels, in letters that the font has."""
    words = text if _MODERN_FONT else _ascii(text)
    if letters.width(words) <= width:
        return words
    while words and letters.width(f"{words}...") > width:
        words = words[:-1]
    return f"{words.rstrip()}..."


@lru_cache(maxsize=64)
def _lettering(short_side: int, bold: bool) -> Lettering:
    scale = max(0.45, short_side / 900)
    stroke = (1 + bold) if _MODERN_FONT else max(1, round(scale * (1 + bold)))
    (_, ascent), descent = cv2.getTextSize("Ag", _FONT, scale, stroke)
    return Lettering(scale, stroke, int(ascent), int(descent))


def _corners(canvas: Image, one: Detection, zoom: int) -> tuple[int, int, int, int]:
    height, width = canvas.shape[:2]
    # Far outside the image a coordinate would leave OpenCV's 32 bits.
    x1, y1, x2, y2 = (
        round(min(max(zoom * value, -1.0), limit))
        for value, limit in zip(one.box, (width, height, width, height), strict=True)
    )
    return x1, y1, x2, y2


def _tag(canvas: Image, text: str, corner: tuple[int, int], tint: BGR, letters: Lettering) -> None:
    """Write on a filled box whose lower left corner is `corner`, moved into the image."""
    margin = letters.pad + 1
    words = fitting(text, canvas.shape[1] - 2 * margin, letters)
    width, height = letters.width(words) + 2 * margin, letters.step
    left = max(0, min(corner[0] - 1, canvas.shape[1] - width))
    top = max(0, min(corner[1] - height, canvas.shape[0] - height))
    cv2.rectangle(canvas, (left, top), (left + width - 1, top + height - 1), tint, -1)
    place = (left + margin, top + letters.pad + letters.ascent)
    word(canvas, words, place, _ink(tint), letters)


def _ink(tint: BGR) -> BGR:
    """Black or white, whichever stands out from a colour (luma of ITU-R BT.601)."""
    blue, green, red = tint
    return _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else _WHITE


def _ascii(text: str) -> str:
    """Strip accents; what has no plain form becomes "?"."""
    plain = unicodedata.normalize("NFKD", text)
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return kept.encode("ascii", "replace").decode()
