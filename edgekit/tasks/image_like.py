"""Everything a program may hold an image as, brought to (H, W, 3) uint8 BGR."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.core.errors import BadInput
from edgekit.tasks.images import read_image
from edgekit.tasks.task import Image

__all__ = ["Colour", "HasArray", "ImageLike", "as_image"]

Colour = Literal["BGR", "RGB"]

_READ = "Give a path, a numpy array (H, W, 3) uint8 or a PIL image."
# The EXIF specification's tag, and how each of its values is undone.
_ORIENTATION = 0x0112
_UPRIGHT: dict[int, tuple[bool, int | None]] = {
    # Orientation to (mirror left and right afterwards, turn first).
    2: (True, None),
    3: (False, cv2.ROTATE_180),
    4: (True, cv2.ROTATE_180),
    5: (True, cv2.ROTATE_90_CLOCKWISE),
    6: (False, cv2.ROTATE_90_CLOCKWISE),
    7: (True, cv2.ROTATE_90_COUNTERCLOCKWISE),
    8: (False, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


@runtime_checkable
class HasArray(Protocol):
    """What numpy can look at as an array, a PIL image among them."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """See numpy's "array interface protocol"."""
        ...


ImageLike = str | os.PathLike[str] | npt.NDArray[np.uint8] | HasArray


def as_image(value: ImageLike, colour: Colour = "BGR") -> Image:
    """Return an image as OpenCV would have read it.

    Args:
        value: A path; an array (H, W, 3), (H, W) or (H, W, 1) uint8; or a PIL image of any mode,
            which stands as its EXIF orientation says and loses its alpha, like a file.
        colour: Order of the channels of an array of three; paths and PIL images know their own.

    Returns:
        (H, W, 3) uint8, BGR, contiguous; the array itself where it is all of that already.

    Raises:
        UnreadableImage: The file is missing, truncated or no image.
        BadInput: Another type, dtype or shape.
    """
    if isinstance(value, str | os.PathLike):
        return read_image(Path(value))
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(value, pillow.Image):
        return _from_pil(value)
    if isinstance(value, np.ndarray):
        return _from_array(value, colour)
    if isinstance(value, HasArray):
        return _from_array(np.asarray(value), colour)
    raise BadInput(f"{type(value).__name__} is no image.", hint=_READ)


def _from_array(array: npt.NDArray[Any], colour: Colour) -> Image:
    if array.size == 0:
        raise BadInput(f"The image is empty: its shape is {array.shape}.", hint=_READ)
    if array.dtype != np.uint8:
        raise BadInput(
            f"An image holds uint8 pixels from 0 to 255, and this one holds {array.dtype}.",
            hint="Convert it; edgekit scales and normalises as the card says.",
        )
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    if not grey and (array.ndim != 3 or array.shape[2] != 3):
        raise BadInput(
            f"An image is (H, W, 3) or (H, W), and this array is {array.shape}.",
            hint=_shape_hint(array.shape),
        )
    if grey:
        return cv2.cvtColor(  # type: ignore[return-value]
            np.ascontiguousarray(array), cv2.COLOR_GRAY2BGR
        )
    if colour == "RGB":
        return _from_rgb(array)
    if colour != "BGR":
        raise BadInput(f"The colour order {colour!r} is unknown.", hint="Known: BGR, RGB.")
    return np.ascontiguousarray(array)


def _from_rgb(array: npt.NDArray[Any]) -> Image:
    return cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_RGB2BGR)  # type: ignore[return-value]


def _from_pil(image: Any) -> Image:
    if image.mode in ("I", "F"):
        raise BadInput(
            f"A PIL image of mode {image.mode!r} has no agreed range of values.",
            hint="Scale it to 8 bits and convert it to 'L' or 'RGB'.",
        )
    if 0 in image.size:
        raise BadInput(f"The image is empty: its size is {image.size}.", hint=_READ)
    try:
        if image.mode.startswith("I;16"):
            # Sixteen bits become eight as in a file: the upper ones stay.
            levels = np.asarray(image).astype(np.uint16)
            pixels = _from_array((levels >> 8).astype(np.uint8), "BGR")
        else:
            # A palette with transparency goes by way of RGBA, or PIL warns; alpha is dropped.
            step = image.convert("RGBA") if image.mode in ("P", "PA") else image
            pixels = _from_rgb(np.asarray(step.convert("RGB")))
        orientation = image.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInput(f"The PIL image cannot be read: {error}.") from error
    mirror, turn = _UPRIGHT.get(orientation, (False, None))
    if turn is not None:
        pixels = cv2.rotate(pixels, turn)  # type: ignore[assignment]
    return cv2.flip(pixels, 1) if mirror else pixels  # type: ignore[return-value]


def _shape_hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return "Give several images as a list: predict(list(images))."
    if len(shape) == 3 and shape[2] == 4:
        return "Drop the alpha channel: image[..., :3]."
    if len(shape) == 3 and shape[0] in (1, 3):
        return "Put the channels last: image.transpose(1, 2, 0)."
    return _READ
