"""Raw samples as they are stored, and a measurement with its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.core.arrays import read_npz
from edgekit.core.documents import BenchDocument
from edgekit.core.errors import BadInput

__all__ = ["RawSamples", "StoredResult", "read_samples"]


@dataclass(frozen=True)
class RawSamples:
    """The raw samples of one entry.

    Attributes:
        samples_ns: (n,) int64 in order of time: single latencies, or for offline the time of each
            chunk of inferences.
        blocks: (b,) int64: samples of each block in order; their sum is n.
        block_starts_ns: (b,) int64: when each block began, from the first one's beginning; empty
            where not known.
        counts: (n,) int64: inferences of each chunk, for offline; else empty.
        stages_ns: Stage of an end-to-end latency to its (n,) int64; else empty.
    """

    samples_ns: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int64]
    block_starts_ns: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    stages_ns: Mapping[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class StoredResult:
    """A measurement as it was stored.

    Attributes:
        name: What the user called it.
        document: Everything but the raw samples.
        samples: Place of an entry in the document to its raw samples, where they are readable.
        damage: What could not be read, each a sentence.
    """

    name: str
    document: BenchDocument
    samples: Mapping[int, RawSamples]
    damage: tuple[str, ...] = ()


# A day; more events than one sample counts.
_LONGEST_NS, _MOST = 86_400 * 10**9, 2**31


def read_samples(path: Path) -> RawSamples | None:
    """Read one file of raw samples; None where it is missing, damaged or holds none."""
    none = np.zeros(0, np.int64)
    try:
        held = read_npz(path)
    except BadInput:
        return None
    numbers = {
        key: one.reshape(-1).astype(np.int64) for key, one in held.items() if one.dtype.kind in "iu"
    }
    samples = numbers.get("samples_ns", none)
    if not samples.any() or not _within(samples, _LONGEST_NS):
        return None
    blocks = numbers.get("blocks", none)
    if not _within(blocks, samples.size) or int(blocks.sum()) != samples.size:
        blocks = np.array([samples.size], np.int64)
    stages = {
        key.removeprefix("stage_"): one
        for key, one in numbers.items()
        if key.startswith("stage_") and one.size == samples.size
    }
    starts = numbers.get("block_starts_ns", none)
    counts = numbers.get("counts", none)
    return RawSamples(
        samples_ns=samples,
        blocks=blocks,
        block_starts_ns=starts if starts.size == blocks.size else none,
        counts=counts if counts.size == samples.size and _within(counts, _MOST) else none,
        stages_ns=stages,
    )


def _within(numbers: npt.NDArray[np.int64], most: int) -> bool:
    return bool(np.all((numbers >= 0) & (numbers <= most)))
