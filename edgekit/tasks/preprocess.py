"""From an image to the network input."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.core.card import Axis, ModelCard, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.tasks.task import Fit, Image

__all__ = ["Preprocessor", "image_input", "preprocessor"]

_INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}


class Preprocessor:
    """Lays images into a network input as a card says.

    A pixel has only 256 values, so scale, mean and std become one table a channel, computed in
    float64: one pass over the picture, and each number is rounded once.

    Args:
        preprocess: The card's section.
        layout: "NCHW" or "NHWC".

    Raises:
        BadInput: `resize_to` is smaller than the crop, or the layout is unknown.
    """

    def __init__(self, preprocess: Preprocess, layout: str = "NCHW") -> None:
        if layout not in ("NCHW", "NHWC"):
            raise BadInput(
                f"The layout {layout!r} of an image input is unknown.", hint="Known: NCHW, NHWC."
            )
        short = preprocess.resize_to
        if preprocess.resize == "crop" and short is not None and short < min(preprocess.size):
            raise BadInput(
                f"The card's `preprocess.resize_to` of {short} is smaller than the crop of "
                f"{list(preprocess.size)}.",
                hint="The short side is scaled to `resize_to`, then the centre is cut out.",
            )
        self.preprocess = preprocess
        self.layout = layout
        levels = np.arange(256, dtype=np.float64)[:, None] * preprocess.scale
        channels = preprocess.channels
        mean = np.array(preprocess.mean[:channels])
        std = np.array(preprocess.std[:channels])
        # (256, C), in the order of `colour`.
        self._table = ((levels - mean) / std).astype(np.float32)

    def __call__(self, image: Image) -> tuple[npt.NDArray[np.float32], Fit]:
        """Lay one image into the network input.

        Args:
            image: (H, W, 3) uint8, BGR, any H and W from 1.

        Returns:
            (1, C, H, W) or (1, H, W, C) float32, and how the image was fitted.

        Raises:
            BadInput: The array is no such image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise BadInput(
                f"An image is (H, W, 3) uint8 in BGR, got {image.shape} {image.dtype}.",
                hint="Read it with edgekit.tasks.images.read_image.",
            )
        if self.preprocess.colour == "GRAY":
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
        fitted, fit = self._fit(image)
        return self._normalise(fitted), fit

    def _fit(self, image: Image) -> tuple[Image, Fit]:
        """Return the image as (h, w[, 3]) uint8 of the network's size, and its Fit."""
        height, width = image.shape[:2]
        rows, columns = self.preprocess.size
        top = left = 0
        if self.preprocess.resize == "stretch":
            scale_y, scale_x = rows / height, columns / width
            fitted = self._resize(image, (rows, columns))
        elif self.preprocess.resize == "letterbox":
            scale_y = scale_x = ratio = min(rows / height, columns / width)
            centred = self.preprocess.anchor == "center"
            # Networks are fed as they were trained. Those that want the image at the top left come
            # from YOLOX, which cuts a fraction of a pixel off; centred ones come from YOLOv5 and
            # its heirs, which round. On 64 images of COCO the wrong one moves yolox_nano's mAP by
            # 0.004 to 0.010. Both scale boxes by the ratio itself.
            whole = round if centred else _floor
            new = (
                min(rows, max(1, whole(height * ratio))),
                min(columns, max(1, whole(width * ratio))),
            )
            if centred:
                top, left = (rows - new[0]) // 2, (columns - new[1]) // 2
            fitted = np.full((rows, columns, *image.shape[2:]), self.preprocess.pad, np.uint8)
            fitted[top : top + new[0], left : left + new[1]] = self._resize(image, new)
        else:
            ratio = max(rows / height, columns / width)
            if self.preprocess.resize_to is not None:
                # A crop that is not square may need more than the short side gives.
                ratio = max(ratio, self.preprocess.resize_to / min(height, width))
            new = max(rows, round(height * ratio)), max(columns, round(width * ratio))
            scale_y, scale_x = new[0] / height, new[1] / width
            y, x = (new[0] - rows) // 2, (new[1] - columns) // 2
            top, left = -y, -x
            fitted = self._resize(image, new)[y : y + rows, x : x + columns]
        return fitted, Fit(
            image=(height, width),
            size=(rows, columns),
            scale_x=scale_x,
            scale_y=scale_y,
            left=float(left),
            top=float(top),
        )

    def _resize(self, image: Image, size: tuple[int, int]) -> Image:
        if image.shape[:2] == size:
            return image
        interpolation = _INTERPOLATIONS[self.preprocess.interpolation]
        return cv2.resize(  # type: ignore[return-value]
            image, (size[1], size[0]), interpolation=interpolation
        )

    def _normalise(self, image: Image) -> npt.NDArray[np.float32]:
        """Turn (h, w[, 3]) uint8 BGR into the network input."""
        rows, columns = image.shape[:2]
        if image.ndim == 2:
            grey: npt.NDArray[np.float32] = cv2.LUT(image, self._table[:, 0])  # type: ignore[assignment]
            return grey.reshape(
                (1, 1, rows, columns) if self.layout == "NCHW" else (1, rows, columns, 1)
            )
        rgb = self.preprocess.colour == "RGB"
        if self.layout == "NHWC":
            ordered = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if rgb else image
            packed: npt.NDArray[np.float32] = cv2.LUT(ordered, self._table[None])  # type: ignore[assignment]
            return packed[None]
        out = np.empty((1, 3, rows, columns), np.float32)
        for source, plane in enumerate(cv2.split(image)):
            channel = 2 - source if rgb else source
            out[0, channel] = cv2.LUT(
                plane, np.ascontiguousarray(self._table[:, channel]), out[0, channel]
            )
        return out


def image_input(card: ModelCard) -> tuple[str, TensorCard] | None:
    """Return the name and card of the input that takes the image; None where the card names none.

    Raises:
        BadInput: The card's inputs leave no single choice.
    """
    if not card.inputs:
        return None
    fed_back = set(card.state.values())
    images = [
        (name, tensor)
        for name, tensor in card.inputs.items()
        if len(tensor.shape) == 4 and name not in fed_back
    ]
    if len(images) == 1:
        return images[0]
    shapes = ", ".join(f"{name} {_text(tensor)}" for name, tensor in card.inputs.items())
    raise BadInput(
        f"A {card.task} model takes one image input of 4 axes; the inputs are {shapes}.",
        hint="Describe the model's inputs in the card, or set `task: raw`.",
    )


def preprocessor(card: ModelCard) -> Preprocessor:
    """Make a card's preprocessor, checked against what the card says of the image input.

    Raises:
        BadInput: Size, channels, layout or type contradict the input.
    """
    assert card.preprocess is not None, "the card's own check"
    found = image_input(card)
    if found is None:
        return Preprocessor(card.preprocess)
    name, tensor = found
    layout = tensor.layout or "NCHW"
    made = Preprocessor(card.preprocess, layout)
    if tensor.dtype != "float32":
        raise BadInput(
            f"The image input {name!r} is {tensor.dtype}, and edgekit feeds images as float32.",
            hint="Export the model with a float32 input.",
        )
    rows, columns = card.preprocess.size
    sizes = {"N": 1, "C": card.preprocess.channels, "H": rows, "W": columns}
    for letter, axis in zip(layout, tensor.shape, strict=True):
        if letter != "N" and not _allows(axis, sizes[letter]):
            raise BadInput(
                f"`preprocess` makes {layout} {[sizes[each] for each in layout]}, which does not "
                f"fit the input {name!r} of shape {_text(tensor)} (axis {letter}).",
                hint="Check `preprocess.size`, `preprocess.colour` and the input's `layout`.",
            )
    return made


def _floor(value: float) -> int:
    # 427 * (416 / 427) may come out a hair below 416.
    return int(value + 1e-6)


def _allows(axis: int | str | Axis, size: int) -> bool:
    if isinstance(axis, Axis):
        return axis.min <= size and (axis.max is None or size <= axis.max)
    return isinstance(axis, str) or axis == size


def _text(tensor: TensorCard) -> str:
    axes = (axis.name if isinstance(axis, Axis) else str(axis) for axis in tensor.shape)
    return f"[{', '.join(axes)}]"
