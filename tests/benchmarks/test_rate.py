"""Throughput and its interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.rate import rate_interval


def test_equal_cells_have_an_interval_of_no_width():
    rate = rate_interval([20_000_000] * 50, [4] * 50)
    assert rate.value == pytest.approx(200)
    assert rate.low == pytest.approx(200)
    assert rate.high == pytest.approx(200)


def test_few_cells_have_a_figure_and_no_interval():
    assert rate_interval([10**9, 10**9]) == (1.0, None, None)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        times = rng.gamma(4, 2.5e6, 400)
        low, high = rate_interval(times, resamples=300, seed=seed)[1:]
        hits += low <= 100 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_slow_stretches_widen_the_interval():
    rng = np.random.default_rng(1)
    slow = np.repeat(rng.choice([8e6, 12e6], 20), 50)
    alone, together = rate_interval(rng.permutation(slow)), rate_interval(slow)
    assert together.high - together.low > 3 * (alone.high - alone.low)


@settings(max_examples=50)
@given(
    st.lists(st.integers(1, 10**9), min_size=11, max_size=5000),
    st.integers(2, 1000),
)
def test_a_clock_in_another_unit_scales_the_figures(times, factor):
    rate = rate_interval(times, resamples=50)
    scaled = rate_interval([time * factor for time in times], resamples=50)
    for one, other in zip(rate, scaled, strict=True):
        assert other * factor == pytest.approx(one, rel=1e-9)
