"""The numbers behind every parity check."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.parity import ParityMeter


def measured(*pairs):
    meter = ParityMeter()
    for reference, output in pairs:
        meter.add(np.asarray(reference, np.float32), np.asarray(output, np.float32))
    return meter.result()


def test_equal_arrays_are_far_above_every_limit():
    result = measured(([1, 2, 3], [1, 2, 3]))
    assert (result.max_abs, result.cosine, result.finite) == (0, 1, True)
    assert result.sqnr_db >= 200


def test_an_error_of_one_in_ten_thousand_is_80_db():
    reference = np.random.default_rng(0).normal(size=1000)
    result = measured((reference, reference * (1 + 1e-4)))
    assert result.sqnr_db == pytest.approx(80, abs=0.1)
    assert result.max_rel == pytest.approx(1e-4, rel=0.05)


def test_a_nan_is_seen_and_fails():
    result = measured(([1, 2], [1, np.nan]))
    assert not result.finite
    assert result.max_abs == np.inf
    assert result.sqnr_db < 0


def test_the_same_infinity_is_no_difference():
    assert measured(([1, -np.inf], [1, -np.inf])).max_abs == 0


def test_another_shape_fails():
    assert measured(([1, 2], [1, 2, 3])).sqnr_db < 0


def test_zero_against_something_fails():
    assert measured(([0, 0], [1, 1])).sqnr_db < 0


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=40), st.integers(1, 39))
def test_parts_add_up_to_the_whole(values, cut):
    reference = np.asarray(values, np.float32)
    output = reference + np.float32(0.25)
    cut = min(cut, len(values) - 1)
    whole = measured((reference, output))
    parts = measured((reference[:cut], output[:cut]), (reference[cut:], output[cut:]))
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db, abs=1e-6)
    assert parts.max_abs == whole.max_abs
