import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.ratio import (
    FEWEST_ROUNDS,
    RatioCourse,
    RatioInterval,
    RatioRule,
    judge,
    judge_both,
    ratios,
)
from edgekit.benchmarks.statistics import percentile
from edgekit.core.errors import BadInput

SAMPLES = st.lists(st.floats(1e3, 1e9), min_size=4, max_size=6)
ROUNDS = st.lists(SAMPLES, min_size=8, max_size=12)


def rounds(count, seed, *, scale=1.0, spread=0.02, samples=40):
    rng = np.random.default_rng(seed)
    return [scale * 1e6 * rng.lognormal(0, spread, samples) for _ in range(count)]


def between(low, high):
    return RatioInterval(ratio=math.sqrt(low * high), low=low, high=high)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.01, 1.09, "SLOWER"),
        (0.90, 0.99, "FASTER"),
        (0.99, 1.02, "SAME"),
        # Proven to be slower, and proven to be so by less than matters.
        (1.002, 1.01, "SAME"),
        (0.98, 1.05, "UNCLEAR"),
        (None, None, "UNCLEAR"),
    ],
)
def test_the_verdict_is_what_the_interval_proves(low, high, verdict):
    assert judge(low, high, 0.03) == verdict


SLOWER, FASTER, UNCLEAR = between(1.2, 1.4), between(0.6, 0.8), between(0.9, 1.2)
SAME, SAME_BELOW = between(1.002, 1.01), between(0.99, 0.998)


@pytest.mark.parametrize(
    ("typical", "mean", "verdict"),
    [
        (SLOWER, SLOWER, "SLOWER"),
        (FASTER, FASTER, "FASTER"),
        (SAME, SAME_BELOW, "SAME"),
        (SLOWER, FASTER, "UNCLEAR"),
        (FASTER, SLOWER, "UNCLEAR"),
        (SAME, FASTER, "UNCLEAR"),
        (SLOWER, SAME, "UNCLEAR"),
        (SLOWER, UNCLEAR, "UNCLEAR"),
        (UNCLEAR, SAME, "UNCLEAR"),
        (SLOWER, None, "SLOWER"),
        (None, None, "UNCLEAR"),
    ],
)
def test_a_verdict_takes_both_ratios_and_says_so_where_they_differ(typical, mean, verdict):
    """Red where the medians alone decided: FASTER in equal time was called SLOWER."""
    found = judge_both(typical, mean)
    assert found.verdict == verdict
    assert bool(found.reason) == (None not in (typical, mean) and found.typical != found.mean)
    if found.reason:
        assert found.typical in found.reason
        assert found.mean in found.reason


def test_a_ratio_is_the_quotient_of_the_figures_beside_it():
    """Red where blocks counted alike: three slow blocks of few samples outvoted two fast ones."""
    fast, slow = [1e6] * 40, [9e6] * 4
    base = [[2e6] * 20] * 10
    new = [slow, slow, fast, slow, fast] * 2
    found = ratios(new, base, 0.99)
    pooled = np.concatenate(new)
    assert found.typical.ratio == percentile(pooled, 50) / 2e6 == 0.5
    assert found.mean.ratio == pytest.approx(pooled.mean() / 2e6)


@given(ROUNDS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=20)
def test_exchanging_the_two_inverts_the_ratios_and_their_intervals(new, random):
    base = [[random.uniform(1e3, 1e9) for _ in one] for one in new]
    there, back = ratios(new, base, 0.99), ratios(base, new, 0.99)
    for one, other in ((there.typical, back.typical), (there.mean, back.mean)):
        assert one.ratio == pytest.approx(1 / other.ratio)
        assert one.low == pytest.approx(1 / other.high)
        assert one.high == pytest.approx(1 / other.low)


def test_what_disturbs_a_round_disturbs_both_and_not_their_ratio():
    rng = np.random.default_rng(5)
    levels = rng.choice([1.0, 1.5], size=40)
    new = [level * one for level, one in zip(levels, rounds(40, 1), strict=True)]
    base = [level * one for level, one in zip(levels, rounds(40, 2), strict=True)]
    assert ratios(new, base, 0.99).mean.half_width < 0.02


def test_fewer_than_eight_rounds_have_no_interval_and_few_samples_no_median():
    few = rounds(FEWEST_ROUNDS - 1, 0)
    found = ratios(few, few, 0.99)
    assert (found.typical.low, found.mean.low, found.half_width) == (None, None, None)
    scarce = rounds(8, 0, samples=1)
    found = ratios(scarce, scarce, 0.99)
    assert found.typical is None
    assert found.mean.low is not None
    assert found.half_width is None


@pytest.mark.parametrize("n", [24, 80])
def test_the_intervals_of_two_engines_in_bursts_miss_no_more_often_than_they_say(n):
    """One engine is slowed as a whole in a burst, the other stalls now and then."""
    rng = np.random.default_rng(n)

    def measured(count):
        new, base = [], []
        for _ in range(count):
            burst = rng.random() < 0.3
            one, other = (1e6 * rng.lognormal(0, 0.03, 30) for _ in range(2))
            if burst:
                one = one * 1.6
                other = np.where(rng.random(30) < 0.05, other + 5e6, other)
            new.append(one)
            base.append(other)
        return new, base

    new, base = (np.concatenate(side) for side in measured(20_000))
    truth = (np.median(new) / np.median(base), new.mean() / base.mean())
    missed = np.zeros(2, int)
    for _ in range(100):
        found = ratios(*measured(n), 0.99)
        for place, one in enumerate((found.typical, found.mean)):
            missed[place] += not one.low <= truth[place] <= one.high
    # Expected 1; percentiles of the resamples missed the mean several times as often.
    assert missed.max() <= 4


def test_thousands_of_rounds_are_laid_together():
    found = ratios(rounds(3000, 0, scale=1.05, samples=4), rounds(3000, 1, samples=4), 0.99)
    assert found.mean.low < 1.05 < found.mean.high
    assert found.half_width < 0.005


def test_narrow_intervals_end_it_and_the_verdict_does_not():
    for true in (1.0, 1.05):
        course = RatioCourse(RatioRule())
        for new, base in zip(rounds(99, 1, scale=true), rounds(99, 2), strict=True):
            if not course.stopped_by:
                course.add(new, base, 0.16)
        assert course.stopped_by == "interval"
        assert 24 <= course.rounds <= 60


def test_a_wide_mean_goes_on_although_the_median_is_known():
    """Red where the typical ratio alone ended it."""
    course = RatioCourse(RatioRule(seconds=10))
    rng = np.random.default_rng(0)
    while not course.stopped_by:
        stalls = np.where(rng.random((2, 40)) < 0.02, 300e6, 0)
        new, base = 1e6 * rng.lognormal(0, 0.01, (2, 40)) + stalls
        course.add(new, base, 0.2)
    assert course.stopped_by == "time"
    assert course.seconds == pytest.approx(10, abs=0.3)
    assert course.ratios().typical.half_width < 0.01


def test_a_slow_model_gets_more_time_until_an_interval_exists():
    def rounds_at(seconds):
        course = RatioCourse(RatioRule(seconds=10))
        while not course.stopped_by:
            course.add([1e9, 1e9], [1e9, 1e9], seconds)
        assert course.stopped_by == "time"
        return course.rounds

    assert rounds_at(4.0) == 8
    assert rounds_at(20.0) == 3


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0}, {"margin": math.nan}, {"confidence": 1.0}, {"rounds": 0}]
)
def test_a_rule_that_cannot_be_met_is_refused(wrong):
    with pytest.raises(BadInput):
        RatioRule(**wrong)
