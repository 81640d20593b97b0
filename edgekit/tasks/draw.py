"""Predictions drawn onto their image: boxes, a banner of classes, a mask with its legend."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgekit.core.errors import BadInput
from edgekit.tasks.image_like import Colour, ImageLike, as_image
from edgekit.tasks.marks import (
    BGR,
    Lettering,
    class_colour,
    covers,
    fitting,
    mark_mask,
    mark_objects,
    word,
)
from edgekit.tasks.predictions import (
    BoxPrediction,
    ClassPrediction,
    MaskPrediction,
    Prediction,
    RawPrediction,
)
from edgekit.tasks.task import Image

__all__ = ["class_colour", "draw"]

_WHITE, _GREY = (255, 255, 255), (180, 180, 180)
_PANEL = (40, 40, 40)
# Smaller images are enlarged by whole pixels first, or no word would fit on them; not beyond the
# other limit, for a strip of 1 x 20,000 pixels would become one that no file holds.
_SHORT_SIDE, _LONG_SIDE = 160, 4096


def draw(image: ImageLike, prediction: Prediction, *, colour: Colour = "BGR") -> Image:
    """Draw a prediction onto the image it was made of.

    Boxes get their label and score in a colour of their class, over the object's mask or keypoints
    where the model gives them; a classification gets a banner above
    the image with its best classes; a mask is laid over the image, its legend below. An image whose
    short side is under 160 pixels is enlarged by a whole factor, to a long side of 4096 at most.

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
    short, long = sorted(pixels.shape[:2])
    zoom = max(1, min(-(-_SHORT_SIDE // short), _LONG_SIDE // long))
    canvas = _enlarged(pixels, zoom)
    if isinstance(prediction, BoxPrediction):
        mark_objects(canvas, prediction.detections, zoom)
        return canvas
    if isinstance(prediction, ClassPrediction):
        return np.concatenate([_banner(canvas, prediction), canvas])
    return np.concatenate([canvas, _mask_and_legend(canvas, prediction, zoom)])


def _enlarged(pixels: Image, zoom: int) -> Image:
    """Return a copy, each pixel a square; repeating once costs ten times a plain copy."""
    if zoom == 1:
        return pixels.copy()
    return np.repeat(np.repeat(pixels, zoom, axis=0), zoom, axis=1)


def _banner(canvas: Image, prediction: ClassPrediction) -> Image:
    lines = [f"{one.label}  {100 * one.probability:.1f} %" for one in prediction.top(3)]
    return _band(canvas, lines, [_WHITE, _GREY, _GREY][: len(lines)])


def _mask_and_legend(canvas: Image, prediction: MaskPrediction, zoom: int) -> Image:
    """Lay the mask over the canvas and return its legend."""
    shares = prediction.shares
    mask = np.repeat(np.repeat(prediction.mask, zoom, axis=0), zoom, axis=1)
    mark_mask(canvas, mask, shares)
    lines = [f"{one.label}  {100 * one.share:.1f} %" for one in shares]
    tints = [class_colour(one.class_index) for one in shares]
    return _band(canvas, lines, [_WHITE] * len(lines), tints, [covers(one) for one in shares])


def _band(
    canvas: Image,
    lines: Sequence[str],
    inks: Sequence[BGR],
    tints: Sequence[BGR] = (),
    filled: Sequence[bool] = (),
) -> Image:
    """Return a dark band as wide as the canvas with lines of text.

    Each stands behind a swatch where `tints` has a colour for it.
    """
    letters = Lettering.of(canvas)
    width, step = canvas.shape[1], letters.step
    band = np.full((step * len(lines) + 4, width, 3), _PANEL, np.uint8)
    indent = 4 + (step if tints else 0)
    for row, (line, ink) in enumerate(zip(lines, inks, strict=True)):
        top = 2 + row * step
        if tints:
            corner = (4, top + 2), (step - 2, top + step - 4)
            cv2.rectangle(band, *corner, tints[row], -1 if filled[row] else 1)
        words = fitting(line, width - indent - 4, letters)
        word(band, words, (indent, top + letters.pad + letters.ascent), ink, letters)
    return band
