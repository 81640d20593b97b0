"""Raw samples that a file claims: times that can have been measured, or none."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.benchmarks.stored_ratio import Figure
from edgekit.jobs.results.raw import read_samples


@pytest.mark.parametrize("samples", [[0, 0], [5, -5], [2**62, 2**62], []])
def test_times_that_nothing_took_are_no_samples(tmp_path, samples):
    """A mean of 0 ended `compare` in a division by zero."""
    np.savez(tmp_path / "s.npz", samples_ns=np.array(samples, np.int64))
    assert read_samples(tmp_path / "s.npz") is None


def test_blocks_and_counts_below_zero_are_left_out(tmp_path):
    arrays = {"samples_ns": [5, 6, 7], "blocks": [5, -2], "counts": [1, -1, 1]}
    np.savez(tmp_path / "s.npz", **{name: np.array(one) for name, one in arrays.items()})
    found = read_samples(tmp_path / "s.npz")
    assert found is not None
    assert found.blocks.tolist() == [3]
    assert found.counts.size == 0


def test_a_ratio_is_taken_of_times_above_zero():
    assert Figure(value=1.0).usable
    assert not Figure(value=0.0).usable
    assert not Figure(value=1.0, low=-1.0, high=2.0).usable
