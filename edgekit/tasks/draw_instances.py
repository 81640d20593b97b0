"""Masks and keypoints of single objects, drawn in place onto a picture."""

from __future__ import annotations

import cv2
import numpy as np

from edgekit.tasks.predictions import Detection
from edgekit.tasks.task import Image

__all__ = ["draw_instance"]

BGR = tuple[int, int, int]

_OPACITY = 0.45
# A point that the network is less sure of than this is not drawn.
_SHOWN = 0.5
_WHITE = (255, 255, 255)
# Which of COCO's 17 points of a person a line joins: limbs, shoulders, hips, and the face.
_PERSON = (
    *((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16)),
    *((5, 6), (11, 12), (5, 11), (6, 12), (0, 1), (0, 2), (1, 3), (2, 4)),
)


def draw_instance(canvas: Image, one: Detection, tint: BGR, *, zoom: int = 1) -> None:
    """Draw what an object has beyond its box: its mask under a tint, its keypoints as dots.

    Keypoints below a confidence of 0.5 are left out; those of a person (COCO's 17) are joined.

    Args:
        canvas: (H, W, 3) uint8, BGR; changed.
        one: The object, in pixels of the image that the canvas was made of.
        tint: Colour of its class.
        zoom: How many pixels of the canvas a pixel of the image has become on each side.
    """
    if one.mask is not None:
        _tint(canvas, one, tint, zoom)
    if one.keypoints is not None:
        _points(canvas, one, tint, zoom)


def _tint(canvas: Image, one: Detection, tint: BGR, zoom: int) -> None:
    assert one.mask is not None
    pixels = one.mask.pixels
    if zoom > 1:
        pixels = np.repeat(np.repeat(pixels, zoom, axis=0), zoom, axis=1)
    top, left = zoom * one.mask.top, zoom * one.mask.left
    under = canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]]
    if not under.size:
        return
    # A table and a masked copy: fewer passes over the pixels than blending in floats.
    mixed = cv2.LUT(under, _table(tint))
    cv2.copyTo(mixed, pixels, under)


def _table(tint: BGR) -> np.ndarray:
    """Return (1, 256, 3): every level of every channel, mixed with the colour."""
    levels = np.arange(256, dtype=np.float32)[:, None] * (1 - _OPACITY)
    table: np.ndarray = np.rint(levels + np.array(tint, np.float32) * _OPACITY)
    return table.astype(np.uint8).reshape(1, 256, 3)


def _points(canvas: Image, one: Detection, tint: BGR, zoom: int) -> None:
    assert one.keypoints is not None
    height, width = canvas.shape[:2]
    radius = max(2, round(min(height, width) / 160))
    places: list[tuple[int, int] | None] = []
    for x, y, seen in one.keypoints:
        # The middle of a pixel of the image; far outside, OpenCV's 32 bits would overflow.
        inside = -width <= zoom * x <= 2 * width and -height <= zoom * y <= 2 * height
        places.append((round(zoom * x), round(zoom * y)) if inside and seen >= _SHOWN else None)
    if len(places) == 17:
        for first, second in _PERSON:
            start, end = places[first], places[second]
            if start is not None and end is not None:
                cv2.line(canvas, start, end, tint, max(1, radius // 2), cv2.LINE_AA)
    for place in places:
        if place is not None:
            cv2.circle(canvas, place, radius + 1, _WHITE, -1, cv2.LINE_AA)
            cv2.circle(canvas, place, radius, tint, -1, cv2.LINE_AA)
