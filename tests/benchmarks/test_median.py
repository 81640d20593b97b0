import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.median import block_length, median_interval


def autoregressive(n, rho, seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n)
    series = np.empty(n)
    series[0] = noise[0] / np.sqrt(1 - rho**2)
    for index in range(1, n):
        series[index] = rho * series[index - 1] + noise[index]
    return 100 + series


def test_independent_samples_need_short_blocks_and_dependent_ones_long_blocks():
    independent = np.median([block_length(autoregressive(1000, 0.0, seed)) for seed in range(15)])
    dependent = np.median([block_length(autoregressive(1000, 0.9, seed)) for seed in range(15)])
    assert independent <= 3
    assert dependent >= 15


def test_outliers_do_not_hide_dependence():
    series = autoregressive(1000, 0.9, 3)
    before = block_length(series)
    series[::97] *= 1000
    assert block_length(series) >= before / 2


@pytest.mark.parametrize("samples", [[5], [5, 5], [5] * 100, list(range(8))])
def test_few_or_equal_samples_have_blocks_of_one(samples):
    assert block_length(samples) == 1


def test_an_alternation_is_no_error():
    assert block_length([1, 2] * 200) >= 1


@pytest.mark.parametrize("n", [400, 9000])
def test_the_interval_has_the_width_that_theory_gives_a_median(n):
    # Standard error of a normal median: sqrt(pi / 2n).
    rng = np.random.default_rng(1)
    low, high = median_interval(rng.normal(size=n))
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(np.pi / 2 / n), rel=0.35)
    assert low < 0.1
    assert high > -0.1


def test_the_interval_covers_the_truth_although_neighbours_depend():
    hits = naive = 0
    for seed in range(60):
        series = autoregressive(400, 0.8, seed)
        low, high = median_interval(series, resamples=200)
        hits += low <= 100 <= high
        low, high = median_interval(series, resamples=200, block=1)
        naive += low <= 100 <= high
    assert hits >= 48
    assert naive < 40


def test_the_way_for_many_samples_agrees_with_the_way_for_few(monkeypatch):
    series = np.random.default_rng(0).lognormal(0, 0.3, 8000)
    direct = median_interval(series)
    monkeypatch.setattr("edgekit.benchmarks.median._DIRECT_LIMIT", 100)
    counted = median_interval(series)
    width = direct[1] - direct[0]
    assert counted == pytest.approx(direct, abs=0.25 * width)


def test_the_same_seed_gives_the_same_interval():
    series = np.random.default_rng(0).normal(size=500)
    assert median_interval(series, seed=3) == median_interval(series, seed=3)
    assert median_interval(series, seed=3) != median_interval(series, seed=4)


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=120),
    st.integers(1, 1000),
    st.integers(0, 10**6),
)
def test_the_interval_follows_shift_and_scale_and_stays_among_the_samples(samples, scale, shift):
    low, high = median_interval(samples, resamples=50)
    assert min(samples) <= low <= high <= max(samples)
    moved = median_interval([scale * s + shift for s in samples], resamples=50)
    assert moved == pytest.approx((scale * low + shift, scale * high + shift))


def test_equal_samples_have_an_interval_without_width():
    assert median_interval([7] * 50) == (7, 7)
    assert median_interval([7] * 20000) == (7, 7)
