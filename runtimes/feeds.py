"""Checks of what is fed to a session, and feeds made up where only the shapes matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.runtime import Array, Feeds, TensorInfo

__all__ = ["check_feeds", "closed", "placeholder_feeds"]


def check_feeds(inputs: Sequence[TensorInfo], feeds: Feeds) -> None:
    """Check names, dtypes and shapes.

    Raises:
        BadInput: Names the input, what it needs and what it got.
    """
    for info in inputs:
        array = feeds.get(info.name)
        if not isinstance(array, np.ndarray) or not info.accepts(array):
            _refuse(info, inputs, feeds)
    if len(feeds) != len(inputs):
        known = [info.name for info in inputs]
        extra = next(name for name in feeds if name not in known)
        raise BadInput(f"The model has no input {extra!r}.", hint=closest(extra, known))


def closed() -> NoReturn:
    """Stand in for `run` once a session is closed.

    Raises:
        BadInput: Always.
    """
    raise BadInput("The session is closed.", hint="Open the engine again to run it.")


def placeholder_feeds(
    inputs: Sequence[TensorInfo], shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[dict[str, Array]]:
    """Yield zeros to run the graph on, for those who only ask what runs where.

    Dynamic axes are 1. For a graph that cannot run so, all but the first (the batch) grow from one
    try to the next; the shapes that are known to run come last, for they may be large.

    Args:
        inputs: Of the graph.
        shapes: By input name, shapes that are known to run; may be empty.
    """
    for size in (1, 2, 8, 32, 64, 128, 224, 512):
        yield {
            info.name: np.zeros(
                [
                    axis if isinstance(axis, int) else (1 if place == 0 else size)
                    for place, axis in enumerate(info.shape)
                ],
                info.dtype,
            )
            for info in inputs
        }
    if shapes:
        yield {info.name: np.zeros(shapes[info.name], info.dtype) for info in inputs}


def _refuse(info: TensorInfo, inputs: Sequence[TensorInfo], feeds: Feeds) -> NoReturn:
    array = feeds.get(info.name)
    if array is None:
        known = [one.name for one in inputs]
        extra = next((name for name in feeds if name not in known), None)
        if extra is not None:
            raise BadInput(f"The model has no input {extra!r}.", hint=closest(extra, known))
        raise BadInput(f"Input {info.name!r} is missing.", hint=f"Known: {', '.join(known)}.")
    if not isinstance(array, np.ndarray):
        raise BadInput(
            f"Input {info.name!r} needs a numpy array, got {type(array).__name__}.",
            hint="Use numpy.asarray.",
        )
    if array.dtype != np.dtype(info.dtype):
        raise BadInput(
            f"Input {info.name!r} needs the dtype {info.dtype}, got {array.dtype}.",
            hint="Convert it with .astype().",
        )
    wanted = ", ".join(str(size) for size in info.shape)
    raise BadInput(
        f"Input {info.name!r} needs the shape ({wanted}), got {array.shape}.",
        hint="Axes given by name take any size.",
    )
