"""Stretches at another level are found; scattered slow samples are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.benchmarks.stability import unstable_share, unstable_stretches


def ms(*values):
    return np.array([round(value * 1e6) for value in values], np.int64)


def test_a_slow_stretch_is_found_where_it_is():
    samples = ms(*[10] * 400, *[13] * 60, *[10] * 400)
    ((first, last),) = unstable_stretches(samples, [len(samples)])
    assert abs(first - 400) <= 11
    assert abs(last - 460) <= 11


def test_slow_samples_here_and_there_make_no_stretch():
    rng = np.random.default_rng(0)
    samples = np.where(rng.random(3000) < 0.2, 30e6, 10e6).astype(np.int64)
    assert unstable_stretches(samples, [3000]) == ()


def test_noise_of_thirty_percent_makes_no_stretch():
    rng = np.random.default_rng(1)
    samples = (10e6 * rng.lognormal(0, 0.3, 5000)).astype(np.int64)
    assert unstable_share(samples, unstable_stretches(samples, [5000])) < 0.02


def test_a_window_never_reaches_over_a_block_s_end():
    # Two blocks at two levels, the change in the middle of what would be a window.
    samples = ms(*[10] * 105, *[20] * 55)
    ((first, last),) = unstable_stretches(samples, [105, 55])
    assert (first, last) == (105, 160)


@given(
    st.lists(st.integers(1, 10**9), min_size=0, max_size=300),
    st.integers(1, 300),
)
def test_stretches_are_ordered_apart_and_within_the_samples(values, cut):
    blocks = [size for size in (min(cut, len(values)), max(0, len(values) - cut)) if size]
    stretches = unstable_stretches(values, blocks)
    ends = [0, *(end for stretch in stretches for end in stretch), len(values)]
    assert ends == sorted(ends)
    assert 0 <= unstable_share(values, stretches) <= 1


def test_the_share_is_of_time_and_not_of_samples():
    samples = ms(10, 10, 20)
    assert unstable_share(samples, [(2, 3)]) == pytest.approx(0.5)
