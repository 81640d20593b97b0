"""Where symmetric int8 clips: at the least squared error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.export.clipping import least_error_limit

BINS = 2048


def counts(values, largest):
    return np.histogram(np.minimum(np.abs(values), largest), bins=BINS, range=(0, largest))[0]


def error(values, limit):
    step = limit / 127
    return float(((values - np.clip(np.rint(values / step), -127, 127) * step) ** 2).mean())


def test_one_large_value_does_not_cost_all_the_others():
    rng = np.random.default_rng(0)
    values = np.append(rng.normal(size=100_000), 20.0)
    limit = least_error_limit(counts(values, 20.0), 20.0)
    assert limit < 15
    assert error(values, limit) < 0.8 * error(values, 20.0)


def test_an_even_spread_is_not_clipped():
    values = np.random.default_rng(0).uniform(-3, 3, 100_000)
    assert least_error_limit(counts(values, 3.0), 3.0) == pytest.approx(3.0, rel=0.02)


def test_a_tensor_of_zeros_keeps_its_range():
    assert least_error_limit(np.zeros(BINS, np.int64), 4.0) == 4.0


@given(
    seed=st.integers(0, 2**32 - 1),
    heavy=st.floats(0.5, 4.0),
    largest=st.floats(1e-6, 1e6),
)
def test_clipping_is_never_worse_than_not_clipping(seed, heavy, largest):
    values = np.abs(np.random.default_rng(seed).standard_t(heavy, 5000))
    values *= largest / values.max()
    limit = least_error_limit(counts(values, largest), largest)
    assert 0 < limit <= largest
    # The histogram knows a value to a sixteenth of a step.
    assert error(values, limit) <= 1.05 * error(values, largest)
