"""Outliers are flagged with advice that fits, and nothing is dropped."""

import numpy as np

from edgekit.benchmarks.outliers import find_outliers


def steady(n, seed=0):
    return (10e6 + np.random.default_rng(seed).normal(0, 1e5, n)).astype(np.int64)


def test_a_far_sample_is_flagged_and_a_near_one_is_not():
    samples = steady(200)
    samples[50] = 50_000_000
    found = find_outliers(samples, [200])
    assert found.count == 1
    assert 10 < found.limit_ms < 12
    assert "One sample is far above the others (up to 5.0 times the median)" in found.advice


def test_without_outliers_there_is_no_advice():
    assert find_outliers(np.full(100, 10_000_000), [100]).advice == ""


def test_fewer_samples_than_a_median_needs_are_not_judged():
    assert find_outliers([1, 1, 1, 1, 900], [5]).count == 0


def test_first_runs_of_blocks_are_told_from_interruptions():
    samples = steady(200)
    samples[[0, 50, 100, 150]] = 40_000_000
    assert "first in their block" in find_outliers(samples, [50] * 4).advice
    samples = steady(200)
    samples[[20, 70, 120, 170]] = 40_000_000
    assert "interrupted" in find_outliers(samples, [50] * 4).advice


def test_a_busy_machine_is_blamed_first():
    samples = steady(200)
    samples[[20, 70]] = 40_000_000
    assert "close them" in find_outliers(samples, [200], disturbed=True).advice
