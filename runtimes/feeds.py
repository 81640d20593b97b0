"""Checks of what is fed to a session, and feeds made up where only the shapes matter."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from edgekit.core.engine_error import engine_error
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.runtime import Array, Feeds, TensorInfo

__all__ = ["check_feeds", "checked_run", "closed", "placeholder_feeds"]


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


def checked_run(
    library: str,
    call: Callable[..., Any],
    *arguments: Any,
    inputs: Sequence[TensorInfo] = (),
    feeds: Feeds | None = None,
) -> Any:
    """Call into an engine, its errors as ours.

    Args:
        library: The engine's, as a sentence calls it.
        call: Runs it.
        arguments: Of the call.
        inputs: Of the graph, as far as they are known here.
        feeds: What it runs on.

    Raises:
        BadInput: The engine cannot run the graph on these inputs.
    """
    try:
        return call(*arguments)
    except Exception as error:
        raise engine_error(library, error, _sizes_hint(inputs, feeds or {})) from error


def _sizes_hint(inputs: Sequence[TensorInfo], feeds: Feeds) -> str:
    open_ = [
        info
        for info in inputs
        if info.name in feeds and any(isinstance(axis, str) for axis in info.shape[1:])
    ]
    if not open_:
        return ""
    ran = ", ".join(f"{info.name} was {list(feeds[info.name].shape)}" for info in open_)
    lines = " ".join(f"--input {shlex.quote(_line(info))}" for info in open_)
    return (
        f"Here {ran}: if the model takes other sizes, give real inputs with --data, or its sizes "
        f"in numbers, as {lines} (bench and compile: --shapes)."
    )


def _line(info: TensorInfo) -> str:
    """An input as --input takes it: a number for each axis but the first that has only a name."""
    sizes = [
        str(axis) if isinstance(axis, int) else "batch" if not place else "NUMBER"
        for place, axis in enumerate(info.shape)
    ]
    return f"{info.name}={','.join(sizes)}"


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
