"""Predictions drawn onto their image: boxes, a banner of classes, a mask with its legend."""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from edgekit.core.errors import BadInput
from edgekit.tasks.draw_instances import draw_instance
from edgekit.tasks.image_like import Colour, ImageLike, as_image
from edgekit.tasks.predictions import (
    BoxPrediction,
    ClassPrediction,
    MaskPrediction,
    Prediction,
    RawPrediction,
)
from edgekit.tasks.task import Image

__all__ = ["class_colour", "draw"]

BGR = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_PANEL = (40, 40, 40)
# Smaller images are enlarged by whole pixels first, or no word would fit on them.
_SHORT_SIDE = 160
# Classes that mean "nothing here" keep their pixels as they are.
_BACKGROUND = frozenset({"background", "__background__", "unlabeled", "unlabelled", "void"})
_MASK_OPACITY = 0.55
# Before version 5, OpenCV's fonts know ASCII only and write "?" for everything else.
_KNOWS_UNICODE = int(cv2.__version__.partition(".")[0]) >= 5


def draw(image: ImageLike, prediction: Prediction, *, colour: Colour = "BGR") -> Image:
    """Draw a prediction onto the image it was made of.

    Boxes get their label and score in a colour of their class, over the object's mask or keypoints
    where the model gives them; a classification gets a banner above
    the image with its best classes; a mask is laid over the image, its legend below. An image whose
    short side is under 160 pixels is enlarged by a whole factor.

    Args:
        image: As it was given to `predict`; it is not changed.
        prediction: What `predict` returned for it.
        colour: Order of an array's channels, as it was given to `predict`.

    Returns:
        (H', W', 3) uint8, BGR, a new array; larger than the image where banner, legend or
        enlargement ask for it.

    Raises:
        BadInput: The prediction is of another image size, or of a model without a task.
    """
    if isinstance(prediction, RawPrediction):
        raise BadInput("The outputs of a model without a task cannot be drawn.")
    pixels = as_image(image, colour)
    if pixels.shape[:2] != prediction.size:
        raise BadInput(
            f"The prediction is of an image of {prediction.size} and this one is "
            f"{pixels.shape[:2]} (height, width).",
            hint="Draw onto the image that the prediction was made of.",
        )
    zoom = max(1, -(-_SHORT_SIDE // min(pixels.shape[:2])))
    canvas = np.repeat(np.repeat(pixels, zoom, axis=0), zoom, axis=1)
    if isinstance(prediction, BoxPrediction):
        return _with_boxes(canvas, prediction, zoom)
    if isinstance(prediction, ClassPrediction):
        return _with_banner(canvas, prediction)
    return _with_mask(canvas, prediction, zoom)


def class_colour(index: int) -> BGR:
    """Return a class's colour; neighbouring indices are far apart on the colour wheel."""
    # Steps of the golden ratio never come close to one another on the circle.
    red, green, blue = colorsys.hsv_to_rgb(
        (index * 0.618034) % 1.0, 0.65 + 0.35 * (index % 2), 0.95 - 0.25 * (index % 3 == 1)
    )
    return round(255 * blue), round(255 * green), round(255 * red)


def _with_boxes(canvas: Image, prediction: BoxPrediction, zoom: int) -> Image:
    height, width = canvas.shape[:2]
    thick = max(2, round(min(height, width) / 250))
    # The best stands on top.
    for one in reversed(prediction.detections):
        tint = class_colour(one.class_index)
        draw_instance(canvas, one, tint, zoom=zoom)
        # Far outside the image a coordinate would leave OpenCV's 32 bits.
        x1, y1, x2, y2 = (
            round(min(max(zoom * value, -1.0), limit))
            for value, limit in zip(one.box, (width, height, width, height), strict=True)
        )
        cv2.rectangle(canvas, (x1, y1), (x2, y2), tint, thick, cv2.LINE_AA)
        _tag(canvas, f"{one.label} {one.score:.2f}", (x1, y1), tint)
    return canvas


def _with_banner(canvas: Image, prediction: ClassPrediction) -> Image:
    lines = [f"{one.label}  {100 * one.probability:.1f} %" for one in prediction.top(3)]
    tints = [_WHITE, *[(180, 180, 180)] * (len(lines) - 1)]
    band = _band(canvas.shape[1], lines, tints, _scale(canvas))
    return np.concatenate([band, canvas])


def _with_mask(canvas: Image, prediction: MaskPrediction, zoom: int) -> Image:
    shares = prediction.shares
    table = np.zeros((256, 1, 3), np.uint8)
    covered = np.zeros(256, np.uint8)
    for one in shares:
        table[one.class_index, 0] = class_colour(one.class_index)
        covered[one.class_index] = one.label.lower() not in _BACKGROUND
    mask = np.repeat(np.repeat(prediction.mask, zoom, axis=0), zoom, axis=1)
    tinted = cv2.LUT(cv2.merge([mask, mask, mask]), table.reshape(1, 256, 3))
    blended = cv2.addWeighted(canvas, 1 - _MASK_OPACITY, tinted, _MASK_OPACITY, 0)
    drawn = np.where(covered[mask][..., None], blended, canvas)
    lines = [f"{one.label}  {100 * one.share:.1f} %" for one in shares]
    tints = [class_colour(one.class_index) for one in shares]
    swatches = [bool(covered[one.class_index]) for one in shares]
    band = _band(canvas.shape[1], lines, [_WHITE] * len(lines), _scale(canvas), tints, swatches)
    return np.concatenate([drawn.astype(np.uint8), band])


def _tag(canvas: Image, text: str, corner: tuple[int, int], tint: BGR) -> None:
    """Write on a filled box whose lower left corner is `corner`, moved into the image."""
    scale = _scale(canvas)
    words = _fitting(text, canvas.shape[1] - 4, scale)
    (width, height), below = cv2.getTextSize(words, _FONT, scale, 1)
    left = max(0, min(corner[0], canvas.shape[1] - width - 4))
    top = max(0, min(corner[1] - height - below - 2, canvas.shape[0] - height - below - 4))
    cv2.rectangle(canvas, (left, top), (left + width + 4, top + height + below + 2), tint, -1)
    place = (left + 2, top + height + 1)
    cv2.putText(canvas, words, place, _FONT, scale, _ink(tint), 1, cv2.LINE_AA)


def _band(
    width: int,
    lines: Sequence[str],
    inks: Sequence[BGR],
    scale: float,
    tints: Sequence[BGR] = (),
    swatches: Sequence[bool] = (),
) -> Image:
    """Return a dark band of text lines, each behind a swatch where `tints` has a colour for it."""
    (_, height), below = cv2.getTextSize("Ag", _FONT, scale, 1)
    step = height + below + 4
    band = np.full((step * len(lines) + 4, width, 3), _PANEL, np.uint8)
    indent = 4 + (step if tints else 0)
    for row, (line, ink) in enumerate(zip(lines, inks, strict=True)):
        top = 2 + row * step
        if tints:
            corner = (4, top + 2), (step - 2, top + step - 4)
            cv2.rectangle(band, *corner, tints[row], -1 if swatches[row] else 1)
        words = _fitting(line, width - indent - 4, scale)
        place = (indent, top + height + 2)
        cv2.putText(band, words, place, _FONT, scale, ink, 1, cv2.LINE_AA)
    return band


def _scale(canvas: Image) -> float:
    """Size of the letters: about a fortieth of the short side, never too small to read."""
    height, width = canvas.shape[:2]
    return max(0.45, float(min(height, width)) / 900)


def _ink(tint: BGR) -> BGR:
    """Black or white, whichever stands out from a colour (luma of ITU-R BT.601)."""
    blue, green, red = tint
    return _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else _WHITE


def _fitting(text: str, width: int, scale: float) -> str:
    """Shorten a text to so many pixels, in letters that the font has."""
    words = text if _KNOWS_UNICODE else _ascii(text)
    if cv2.getTextSize(words, _FONT, scale, 1)[0][0] <= width:
        return words
    while words and cv2.getTextSize(f"{words}...", _FONT, scale, 1)[0][0] > width:
        words = words[:-1]
    return f"{words.rstrip()}..."


def _ascii(text: str) -> str:
    """Strip accents; what has no plain form becomes "?"."""
    plain = unicodedata.normalize("NFKD", text)
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return kept.encode("ascii", "replace").decode()
