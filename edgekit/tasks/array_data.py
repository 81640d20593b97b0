"""Arrays by input name in .npz files, for models without a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from edgekit.core.arrays import read_npz
from edgekit.core.card import GraphCard, ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.memory import free_memory
from edgekit.core.names import closest
from edgekit.core.texts import shown
from edgekit.tasks.samples import FoundSamples, Sample

__all__ = ["read_arrays"]

_SAMPLE_BYTES = 1024  # what one takes beside its values


def read_arrays(folder: Path, card: ModelCard) -> FoundSamples | None:
    """Read .npz files: an array an input, whose first axis counts the samples.

    Args:
        folder: A folder of .npz files, or one such file.
        card: Its inputs, where it names any, are the names to expect; what the model feeds back to
            itself may be left out.

    Of a model of several graphs, each has a file by the name of its role.

    Raises:
        BadInput: A file is broken or holds objects, is named after no graph, an input is unknown
            or missing, or the arrays of a file differ in length.
    """
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.npz"))
    samples = []
    for path in paths:
        arrays = read_npz(path)
        own = {} if card.graphs else card.inputs
        if len(arrays) == len(own) == 1:
            # One input has no other to be confused with, so its name stands.
            arrays = dict(zip(own, arrays.values(), strict=True))
        if card.graphs and path.stem not in card.graphs:
            raise BadInput(
                f"{path} is named after no graph of the model.",
                hint=closest(path.stem, list(card.graphs)),
            )
        _check(arrays, card.graph(path.stem if card.graphs else "main"), path)
        for index in range(len(next(iter(arrays.values())))):
            row = {name: array[index : index + 1] for name, array in arrays.items()}
            samples.append(Sample(f"{path.name}[{index}]", path, arrays=row))
    return FoundSamples("npz", tuple(samples), labelled=False) if samples else None


def _check(arrays: dict[str, npt.NDArray[Any]], card: GraphCard, path: Path) -> None:
    if not arrays:
        raise BadInput(f"{path} holds no arrays.")
    if card.inputs:
        for name in arrays:
            if name not in card.inputs:
                raise BadInput(
                    f"{path} holds {shown(name)}, which is no input of the model.",
                    hint=closest(name, list(card.inputs)),
                )
        fed_back = set(card.state.values())
        missing = [name for name in card.inputs if name not in arrays and name not in fed_back]
        if missing:
            raise BadInput(f"{path} lacks the input {missing[0]!r}.")
    lengths = {name: array.shape[0] if array.ndim else None for name, array in arrays.items()}
    if None in lengths.values() or len(set(lengths.values())) > 1:
        listing = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise BadInput(
            f"The arrays of {path} do not hold the same number of samples: {listing}.",
            hint="The first axis of each counts the samples.",
        )
    # Samples without a value take a file no bytes, and memory all the same.
    (count,) = set(lengths.values())
    if count is not None and count * _SAMPLE_BYTES > free_memory():
        raise BadInput(f"{path} holds {count} samples, and there is not that much memory.")
