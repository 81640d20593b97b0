"""Finding a network's output by its shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from edgekit.core.errors import BadInput

__all__ = ["Outputs", "pick"]

Outputs = Mapping[str, npt.NDArray[Any]]


def pick(
    outputs: Outputs,
    *,
    reader: str,
    expected: str,
    fits: Callable[[tuple[int, ...]], bool],
    prefers: Callable[[tuple[int, ...]], bool] = lambda _: False,
) -> tuple[str, npt.NDArray[Any]]:
    """Return name and array of the one output that a decoder can read.

    Args:
        outputs: Name to array, batch of one.
        reader: Who reads, for the message: "The head 'yolox'".
        expected: The shape in words, for the message: "(1, 3549, 5 + classes)".
        fits: Whether a shape can be read at all.
        prefers: Decides where several fit.

    Raises:
        BadInput: None fits, or several do; names the outputs and the shape expected.
    """
    found = [name for name, array in outputs.items() if fits(array.shape)]
    if len(found) > 1:
        found = [name for name in found if prefers(outputs[name].shape)] or found
    if len(found) == 1:
        return found[0], outputs[found[0]]
    shapes = ", ".join(f"{name} {array.shape}" for name, array in outputs.items()) or "none"
    verb = "several outputs fit" if found else "no output fits"
    raise BadInput(
        f"{reader} expects an output of shape {expected}, and {verb}: {shapes}.",
        hint="Check `postprocess.decode` and `preprocess.size` in the card.",
    )
