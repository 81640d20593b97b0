"""Raw samples into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.files import atomic_path
from edgekit.jobs.results.raw import RawSamples

__all__ = ["write_samples"]


def write_samples(path: Path, samples: RawSamples | None, *, record: bytes = b"") -> None:
    """Write raw samples as a compressed NumPy archive, whole or not at all.

    The keys are those that `read_samples` reads: samples_ns, blocks, block_starts_ns, counts and
    stage_NAME, all int64.

    Args:
        path: The file, *.npz.
        samples: What was measured; None where an entry has no samples and only `record` is kept.
        record: What the samples belong to, as JSON, so that the file explains itself; the key
            "record", uint8.

    Raises:
        Unwritable: The folder cannot be made or written, or the disk is full.
    """
    arrays: dict[str, Any] = {}
    if samples is not None:
        arrays = {
            "samples_ns": samples.samples_ns,
            "blocks": samples.blocks,
            "block_starts_ns": samples.block_starts_ns,
            "counts": samples.counts,
            **{f"stage_{name}": one for name, one in samples.stages_ns.items()},
        }
    arrays = {key: np.asarray(one, np.int64) for key, one in arrays.items()}
    if record:
        arrays["record"] = np.frombuffer(record, np.uint8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
