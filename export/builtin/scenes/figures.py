"""The outlines of what a scene holds: ten shapes and the ten printed digits."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "DIGITS", "FONTS", "SHAPES", "outline"]

Mask = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

SHAPES = (
    "circle",
    "square",
    "triangle",
    "pentagon",
    "star",
    "cross",
    "bolt",
    "heart",
    "arrow",
    "crescent",
)
DIGITS = tuple("0123456789")
CLASSES = (*SHAPES, *DIGITS)

# Stroke fonts of OpenCV, drawn with a thickness of so many hundredths of the height.
FONTS = (
    (cv2.FONT_HERSHEY_SIMPLEX, 14),
    (cv2.FONT_HERSHEY_SIMPLEX, 22),
    (cv2.FONT_HERSHEY_DUPLEX, 14),
    (cv2.FONT_HERSHEY_COMPLEX, 10),
    (cv2.FONT_HERSHEY_TRIPLEX, 12),
)
# Figures are drawn once at these heights; a scene shrinks the next larger one.
_HEIGHTS = (32, 64, 128, 256)
# Vertices are given in 1/16 pixel.
_SHIFT = 4


def outline(index: int, font: int, pixels: float) -> Mask:
    """Return the mask of a figure at the smallest stored height that is at least `pixels`.

    Args:
        index: Of the class, in the order of CLASSES.
        font: Index into FONTS; shapes leave it unused.
        pixels: Height in which it will be seen.

    Returns:
        (S, S) uint8, 255 inside; the figure touches the square's upper and lower edge, or its left
        and right one, whichever is longer.
    """
    side = next((height for height in _HEIGHTS if height >= pixels), _HEIGHTS[-1])
    return _drawn(index, font if index >= len(SHAPES) else 0, side)


@cache
def _drawn(index: int, font: int, side: int) -> Mask:
    name = CLASSES[index]
    mask = _digit(name, font, side) if name in DIGITS else _shape(name, side)
    mask.flags.writeable = False
    return mask


def _shape(name: str, side: int) -> Mask:
    canvas = np.zeros((side, side), np.uint8)
    if name == "circle":
        _disc(canvas, 0.5, 0.5, 0.5, 255)
    elif name == "crescent":
        _disc(canvas, 0.5, 0.5, 0.5, 255)
        _disc(canvas, 0.72, 0.5, 0.42, 0)
    else:
        points = _VERTICES[name]
        points = (points - points.min(0)) / (points.max(0) - points.min(0)).max()
        points += (1 - points.max(0)) / 2
        _polygon(canvas, points * side - 0.5)
    return canvas


def _disc(canvas: Mask, x: float, y: float, radius: float, value: int) -> None:
    side, one = canvas.shape[0], 1 << _SHIFT
    centre = (round((x * side - 0.5) * one), round((y * side - 0.5) * one))
    cv2.circle(
        canvas, centre, round(radius * side * one), (value,), cv2.FILLED, cv2.LINE_AA, _SHIFT
    )


def _polygon(canvas: Mask, points: Points) -> None:
    corners = np.rint(points * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], (255,), cv2.LINE_AA, _SHIFT)


def _regular(corners: int, inner: float | None = None) -> Points:
    """Corners of a regular polygon, the first one on top; with `inner`, of a star."""
    count = corners if inner is None else 2 * corners
    angles = 2 * np.pi * np.arange(count) / count - np.pi / 2
    radii = np.ones(count)
    if inner is not None:
        radii[1::2] = inner
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _cross() -> Points:
    a, b = 1 / 3, 2 / 3
    return np.array(
        [
            *((a, 0), (b, 0), (b, a), (1, a), (1, b), (b, b)),
            *((b, 1), (a, 1), (a, b), (0, b), (0, a), (a, a)),
        ]
    )


def _heart() -> Points:
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    x = 16 * np.sin(angles) ** 3
    y = -(
        13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles) - np.cos(4 * angles)
    )
    return np.stack([x, y], axis=1)


_VERTICES: dict[str, Points] = {
    "square": np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float),
    "triangle": _regular(3),
    "pentagon": _regular(5),
    "star": _regular(5, inner=0.42),
    "cross": _cross(),
    "heart": _heart(),
    "bolt": np.array(
        [(0.45, 0), (0.85, 0), (0.6, 0.36), (0.9, 0.36), (0.3, 1), (0.45, 0.54), (0.15, 0.54)],
        float,
    ),
    "arrow": np.array(
        [(0, 0.32), (0.5, 0.32), (0.5, 0), (1, 0.5), (0.5, 1), (0.5, 0.68), (0, 0.68)], float
    ),
}


def _digit(name: str, font: int, side: int) -> Mask:
    """Print a digit so large that it must be shrunk, then cut it out and fit it into the square."""
    face, weight = FONTS[font]
    thickness = max(1, round(2 * side * weight / 100))
    height = cv2.getTextSize("0", face, 1.0, 1)[0][1]
    scale = 2 * side / height
    canvas = np.zeros((4 * side, 4 * side), np.uint8)
    cv2.putText(canvas, name, (side, 3 * side), face, scale, (255,), thickness, cv2.LINE_AA)
    x, y, width, tall = cv2.boundingRect(canvas)
    cut = canvas[y : y + tall, x : x + width]
    factor = side / max(width, tall)
    size = (max(1, math.floor(width * factor)), max(1, math.floor(tall * factor)))
    small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    mask = np.zeros((side, side), np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    mask[top : top + size[1], left : left + size[0]] = small
    return mask
