"""From an image to the network input."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.core.axes import axis_label, takes_size
from edgekit.core.card import Axis, ModelCard, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import with_typical
from edgekit.tasks.task import Fit, Image, Input

__all__ = [
    "Preprocessor",
    "image_input",
    "levels",
    "picture_axes",
    "preprocessor",
    "with_picture_size",
]

_INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}

# (top, bottom, left, right) of the picture in the network input, pixels.
_Place = tuple[int, int, int, int]


class Preprocessor:
    """Lays images into a network input as a card says.

    A pixel has only 256 values, so scale, mean and std become one table a channel: one pass over
    the picture, into the network's own buffer where that is given. A network that takes uint8 gets
    the pixels as they were resized. Used from any thread.

    Args:
        preprocess: The card's section.
        layout: "NCHW" or "NHWC".
        dtype: "float32" or "uint8".

    Raises:
        BadInput: `resize_to` is smaller than the crop, the layout is unknown, or pixels that stay
            uint8 have a scale, mean or std.
    """

    def __init__(
        self, preprocess: Preprocess, layout: str = "NCHW", dtype: str = "float32"
    ) -> None:
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
        self._table: Input = levels(preprocess)
        if dtype == "uint8":
            if not (self._table == np.arange(256)[:, None]).all():
                raise BadInput(
                    "The image input is uint8, so `preprocess` in the card must leave the pixels "
                    "as they are.",
                    hint="Leave out `scale`, `mean` and `std`; the graph itself normalises.",
                )
            self._table = self._table.astype(np.uint8)
        # Pixels that only change their type are copied in half the time of a table.
        self._plain = bool((self._table == np.arange(256)[:, None]).all())
        self._columns = [np.ascontiguousarray(column) for column in self._table.T]
        rows, columns = preprocess.size
        channels = preprocess.channels
        self._shape = (
            (1, channels, rows, columns) if layout == "NCHW" else (1, rows, columns, channels)
        )

    def __call__(self, image: Image, out: Input | None = None) -> tuple[Input, Fit]:
        """Lay one image into the network input.

        Args:
            image: (H, W, 3) uint8, BGR, any H and W from 1.
            out: Where to write it: C-contiguous, of the shape and type returned; None makes one.

        Returns:
            (1, C, H, W) or (1, H, W, C), float32 or uint8, and how the image was fitted.

        Raises:
            BadInput: The array is no such image, or `out` no such network input.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise BadInput(
                f"An image is (H, W, 3) uint8 in BGR, got {image.shape} {image.dtype}.",
                hint="Read it with edgekit.tasks.images.read_image.",
            )
        if out is None:
            out = np.empty(self._shape, self._table.dtype)
        elif (
            out.shape != self._shape or out.dtype != self._table.dtype or not out.flags.c_contiguous
        ):
            raise BadInput(
                f"The card's `preprocess` makes {self._shape} {self._table.dtype}, which does not "
                f"fit an input of {out.shape} {out.dtype}.",
                hint="Check `preprocess.size`, `preprocess.colour` and the input's `layout`.",
            )
        if self.preprocess.colour == "GRAY":
            grey = _SCRATCH.array("grey", image.shape[:2])
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY, dst=grey)  # type: ignore[assignment]
        fitted, fit, place = self._fit(image)
        self._normalise(fitted, out, place)
        return out, fit

    def _fit(self, image: Image) -> tuple[Image, Fit, _Place]:
        """Return the image as (h, w[, 3]) uint8, its Fit, and the place of the input it fills."""
        height, width = image.shape[:2]
        rows, columns = self.preprocess.size
        top = left = 0
        place = (0, rows, 0, columns)
        if self.preprocess.resize == "stretch":
            scale_y, scale_x = rows / height, columns / width
            fitted = self._resize(image, (rows, columns))
        elif self.preprocess.resize == "letterbox":
            ratio = min(rows / height, columns / width)
            centred = self.preprocess.anchor == "center"
            # Networks are fed as they were trained. Those that want the image at the top left come
            # from YOLOX, which cuts a fraction of a pixel off; centred ones come from YOLOv5 and
            # its heirs, which round. On 64 images of COCO the wrong one moves yolox_nano's mAP by
            # 0.004 to 0.010.
            whole = round if centred else _floor
            new = (
                min(rows, max(1, whole(height * ratio))),
                min(columns, max(1, whole(width * ratio))),
            )
            if centred:
                top, left = (rows - new[0]) // 2, (columns - new[1]) // 2
            # YOLOX scales boxes by the ratio itself, the others by what each side became.
            scale_y = new[0] / height if centred else ratio
            scale_x = new[1] / width if centred else ratio
            place = (top, top + new[0], left, left + new[1])
            fitted = self._resize(image, new)
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
        fit = Fit(
            image=(height, width),
            size=(rows, columns),
            scale_x=scale_x,
            scale_y=scale_y,
            left=float(left),
            top=float(top),
        )
        return fitted, fit, place

    def _resize(self, image: Image, size: tuple[int, int]) -> Image:
        if image.shape[:2] == size:
            return image
        return cv2.resize(  # type: ignore[return-value]
            image,
            (size[1], size[0]),
            dst=_SCRATCH.array("resized", (*size, *image.shape[2:])),
            interpolation=_INTERPOLATIONS[self.preprocess.interpolation],
        )

    def _normalise(self, image: Image, out: Input, place: _Place) -> None:
        """Write (h, w[, 3]) uint8 BGR into its place of the network input, and fill the rest."""
        top, bottom, left, right = place
        rgb = self.preprocess.colour == "RGB"
        if self.layout == "NHWC" and image.ndim == 3:
            inside = out[0, top:bottom, left:right]
            if rgb:
                ordered = _SCRATCH.array("ordered", image.shape)
                image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, ordered)  # type: ignore[assignment]
            if self._plain:
                np.copyto(inside, image)
            else:
                cv2.LUT(image, self._table[None], inside)
            around = self._table[self.preprocess.pad]
            # A row of three different numbers is filled far slower than with one number.
            _fill_around(out[0], place, around[0] if (around == around[0]).all() else around)
            return
        planes: Sequence[Image] = (image,)
        if image.ndim == 3:
            planes = cv2.split(image, _SCRATCH.planes(image.shape[:2]))  # type: ignore[assignment]
        # With a single channel, (1, H, W, 1) is laid out like (1, 1, H, W).
        channels = out.reshape(len(planes), *self.preprocess.size)
        for source, plane in enumerate(planes):
            channel = 2 - source if rgb else source
            whole = channels[channel]
            inside = whole[top:bottom, left:right]
            if self._plain:
                np.copyto(inside, plane)
            else:
                cv2.LUT(plane, self._columns[channel], inside)
            _fill_around(whole, place, self._table[self.preprocess.pad, channel])


class _Scratch(threading.local):
    """Pictures between two steps, kept for the next image: new memory costs more than the steps."""

    def __init__(self) -> None:
        self._arrays: dict[str, Image] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Image:
        """Return an array of any content; the same as last time where the shape is."""
        kept = self._arrays.get(name)
        if kept is None or kept.shape != shape:
            kept = self._arrays[name] = np.empty(shape, np.uint8)
        return kept

    def planes(self, shape: tuple[int, int]) -> tuple[Image, Image, Image]:
        """Return three channels."""
        first, second, third = self.array("planes", (3, *shape))
        return first, second, third


_SCRATCH = _Scratch()


def _fill_around(plane: Input, place: _Place, value: Input | np.generic) -> None:
    """Fill what a picture leaves free of (H, W) or of (H, W, C)."""
    top, bottom, left, right = place
    plane[:top] = value
    plane[bottom:] = value
    plane[top:bottom, :left] = value
    plane[top:bottom, right:] = value


def levels(preprocess: Preprocess) -> npt.NDArray[np.float32]:
    """Return the number that each of the 256 levels of a pixel becomes, by channel.

    Computed in float64, so that each number is rounded once.

    Returns:
        (256, C) float32, in the order of `colour`.
    """
    channels = preprocess.channels
    scaled = np.arange(256, dtype=np.float64)[:, None] * preprocess.scale
    mean, std = np.array(preprocess.mean[:channels]), np.array(preprocess.std[:channels])
    normalised: npt.NDArray[np.float32] = ((scaled - mean) / std).astype(np.float32)
    return normalised


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


def picture_axes(inputs: Mapping[str, TensorCard], card: ModelCard) -> dict[str, int]:
    """Return height and width, pixels, by the name of their axis, where the card states them.

    Args:
        inputs: Of the graph, under the graph's own names of axes.
        card: Lays pictures into one input; else there are none.
    """
    images = [(name, tensor) for name, tensor in inputs.items() if len(tensor.shape) == 4]
    if card.preprocess is None or len(images) != 1:
        return {}
    name, tensor = images[0]
    written = card.inputs.get(name, tensor)
    rows, columns = card.preprocess.size
    places = zip(written.layout or "NCHW", map(axis_label, tensor.shape), strict=True)
    return {
        label: {"H": rows, "W": columns}[letter]
        for letter, label in places
        if isinstance(label, str) and letter in "HW"
    }


def with_picture_size(card: ModelCard) -> ModelCard:
    """State the typical height and width of the image input: those of the card's `preprocess`."""
    inputs = with_typical(card.inputs, picture_axes(card.inputs, card))
    return msgspec.structs.replace(card, inputs=inputs)


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
    if tensor.dtype not in ("float32", "uint8"):
        raise BadInput(
            f"The image input {name!r} is {tensor.dtype}, and edgekit feeds images as float32 or "
            "uint8.",
            hint="Export the model with a float32 input.",
        )
    made = Preprocessor(card.preprocess, layout, tensor.dtype)
    rows, columns = card.preprocess.size
    sizes = {"N": 1, "C": card.preprocess.channels, "H": rows, "W": columns}
    for letter, axis in zip(layout, tensor.shape, strict=True):
        if letter != "N" and not takes_size(axis, sizes[letter]):
            raise BadInput(
                f"`preprocess` makes {layout} {[sizes[each] for each in layout]}, which does not "
                f"fit the input {name!r} of shape {_text(tensor)} (axis {letter}).",
                hint="Check `preprocess.size`, `preprocess.colour` and the input's `layout`.",
            )
    return made


def _floor(value: float) -> int:
    # 427 * (416 / 427) may come out a hair below 416.
    return int(value + 1e-6)


def _text(tensor: TensorCard) -> str:
    axes = (axis.name if isinstance(axis, Axis) else str(axis) for axis in tensor.shape)
    return f"[{', '.join(axes)}]"
