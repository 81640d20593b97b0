"""The network input that a stream needs: no padding beyond the stride of the network."""

from __future__ import annotations

import msgspec

from edgekit.core.axes import takes_size
from edgekit.core.card import Axis, ModelCard
from edgekit.core.errors import BadInput
from edgekit.tasks.preprocess import image_input

__all__ = ["DEFAULT_STRIDE", "card_at", "shape_text", "stream_shape"]

# The coarsest map of the usual detectors has a cell every 32 pixels.
DEFAULT_STRIDE = 32


def stream_shape(stream: tuple[int, int], stride: int, size: tuple[int, int]) -> tuple[int, int]:
    """Choose the network input for a stream.

    The longer side of the model stays, so that the picture is scaled as the model's square would
    scale it and objects keep their size in pixels; the other side is what the picture fills then,
    rounded up to the stride. The result never exceeds the model's square.

    Args:
        stream: (width, height) of the frames, pixels, as cameras and streams are described.
        stride: Both sides of a network input are multiples of it, pixels.
        size: (height, width) of the model's own input, pixels.

    Returns:
        (height, width), pixels.
    """
    width, height = stream
    if min(width, height, stride, *size) < 1:
        raise ValueError(f"sizes and stride must be positive, got {stream}, {stride}, {size}")
    side = max(size)
    # Rounded up twice, in whole numbers: the scaled picture, then the stride.
    filled = -(-side * min(width, height) // max(width, height))
    short = min(side, -(-filled // stride) * stride)
    return (short, side) if width >= height else (side, short)


def card_at(card: ModelCard, size: tuple[int, int]) -> ModelCard:
    """Return the card with its network input fixed at a size.

    Args:
        card: Whose `preprocess` letterboxes.
        size: (height, width), pixels.

    Raises:
        BadInput: The card letterboxes nothing, so no padding can be saved.
    """
    preprocess = card.preprocess
    if preprocess is None:
        raise BadInput(
            f"A {card.task} model takes arrays, so it cannot be fitted to a stream.",
            hint="Give it a card with a task and `preprocess`.",
        )
    if preprocess.resize != "letterbox":
        raise BadInput(
            f"The card's `resize: {preprocess.resize}` pads nothing, so the stream's own shape "
            "would only show the network other proportions than it was trained on.",
            hint="Leave --stream out; it is for models with `resize: letterbox`.",
        )
    placed = msgspec.structs.replace(
        card, preprocess=msgspec.structs.replace(preprocess, size=size)
    )
    found = image_input(card)
    if found is None:
        return placed
    name, tensor = found
    layout = tensor.layout or "NCHW"
    sides = {"H": size[0], "W": size[1]}
    for letter, axis in zip(layout, tensor.shape, strict=True):
        if letter in sides and not isinstance(axis, int) and not takes_size(axis, sides[letter]):
            raise _outside(axis, sides[letter])
    shape = tuple(
        sides.get(letter, axis) for letter, axis in zip(layout, tensor.shape, strict=True)
    )
    fixed = msgspec.structs.replace(tensor, shape=shape)
    return msgspec.structs.replace(placed, inputs={**card.inputs, name: fixed})


def _outside(axis: str | Axis, size: int) -> BadInput:
    own = Axis(axis) if isinstance(axis, str) else axis
    top = "any size" if own.max is None else str(own.max)
    return BadInput(
        f"The axis {own.name!r} of the model takes {own.min} to {top}, not {size}.",
        hint="Leave --stream out, or name a stream that is less narrow.",
    )


def shape_text(size: tuple[int, int]) -> str:
    """Return "384x640" of (height, width)."""
    return f"{size[0]}x{size[1]}"
