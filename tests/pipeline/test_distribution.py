from threading import Thread

import numpy as np
import pytest

from edgekit.core.percentiles import nearest_rank
from edgekit.pipeline.distribution import Rate, Times


def counted(samples):
    times = Times()
    for each in samples:
        times.add(int(each))
    return times


@pytest.mark.parametrize("percent", [50, 90, 99])
@pytest.mark.parametrize("scale_ns", [2e3, 5e6, 8e10])
def test_a_percentile_is_within_half_a_percent_of_the_sample_at_its_rank(percent, scale_ns):
    samples = np.sort(np.random.default_rng(0).lognormal(0, 0.7, 2000) * scale_ns).astype(int)
    samples = samples[samples > 1000]
    exact_ms = samples[nearest_rank(len(samples), percent)] / 1e6
    found = counted(samples).distribution()
    assert getattr(found, f"p{percent}_ms") == pytest.approx(exact_ms, rel=0.00501)


def test_count_mean_and_largest_are_exact():
    samples = [3, 999, 1000, 1001, 123_456_789, 987_654_321_987]
    found = counted(samples).distribution()
    assert (found.n, found.max_ms) == (6, 987_654_321_987 / 1e6)
    assert found.mean_ms == sum(samples) / 6 / 1e6


@pytest.mark.parametrize(("n", "known"), [(10, 0), (11, 1), (63, 1), (64, 2), (661, 2), (662, 3)])
def test_a_percentile_with_too_few_frames_is_none(n, known):
    found = counted([1_000_000] * n).distribution()
    assert [found.p50_ms, found.p90_ms, found.p99_ms].count(None) == 3 - known


def test_no_percentile_is_above_the_largest():
    found = counted([1_000_001] * 1000).distribution()
    assert found.p99_ms <= found.max_ms == 1.000001


def test_nothing_counted_is_a_count_of_zero():
    assert Times().distribution().n == 0
    assert Times().distribution().mean_ms is None


def test_what_no_bucket_holds_counts_in_the_nearest():
    times = counted([-5, 0, 1, 10**18] * 5)
    assert times.distribution().n == 20
    assert times.distribution().p50_ms == pytest.approx(0.001, rel=0.01)


def test_threads_lose_no_count():
    times = Times()
    threads = [Thread(target=lambda: [times.add(5000) for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = times.distribution()
    assert (found.n, found.mean_ms) == (20_000, 0.005)


class Clock:
    def __init__(self):
        self.ns = 0

    def __call__(self):
        return self.ns


def ticked(rate, clock, times, every_ns):
    for _ in range(times):
        clock.ns += every_ns
        rate.tick()


def test_a_rate_tells_the_last_two_seconds_and_all():
    clock = Clock()
    rate = Rate(clock)
    ticked(rate, clock, 1001, 100_000_000)
    assert rate.recent == pytest.approx(10)
    ticked(rate, clock, 200, 10_000_000)
    assert rate.recent == pytest.approx(100)
    assert rate.overall == pytest.approx(1200 / 102)
    assert rate.count == 1201


def test_a_rate_that_has_just_begun_is_not_divided_by_two_seconds():
    clock = Clock()
    rate = Rate(clock)
    ticked(rate, clock, 11, 20_000_000)
    assert rate.recent == pytest.approx(50)


def test_a_rate_falls_to_zero_where_nothing_happens():
    clock = Clock()
    rate = Rate(clock)
    assert rate.recent == rate.overall == 0
    ticked(rate, clock, 100, 10_000_000)
    clock.ns += 1_500_000_000
    assert 0 < rate.recent < 100
    clock.ns += 1_500_000_000
    assert rate.recent == 0
    assert rate.overall == pytest.approx(100)


def test_a_very_high_rate_is_told_from_what_is_kept():
    clock = Clock()
    rate = Rate(clock)
    ticked(rate, clock, 50_000, 100_000)
    assert rate.recent == pytest.approx(10_000)
