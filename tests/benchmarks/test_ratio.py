import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.ratio import (
    RatioCourse,
    RatioRule,
    judge,
    quad_log_ratio,
    ratio_interval,
    rounds_needed,
)
from edgekit.core.errors import BadInput

ROUNDS = st.lists(st.floats(-0.5, 0.5), min_size=8, max_size=40)


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


def test_ninety_nine_percent_take_eight_rounds_and_fewer_have_no_ends():
    assert rounds_needed(0.99) == 8
    assert ratio_interval([0.1] * 7, 0.99).low is None
    assert ratio_interval([0.1] * 8, 0.99).low == pytest.approx(math.exp(0.1))
    assert ratio_interval([], 0.99) is None


def test_the_ends_are_those_of_the_tables_of_the_signed_rank_test():
    # n = 20, two-sided 5 %: the critical value is 52, so the ends are the 53rd averages.
    values = np.random.default_rng(1).normal(size=20) / 100
    walsh = np.sort([(a + b) / 2 for i, a in enumerate(values) for b in values[i:]])
    found = ratio_interval(values, 0.95)
    assert found.low == pytest.approx(math.exp(walsh[52]))
    assert found.high == pytest.approx(math.exp(walsh[-53]))


@given(ROUNDS)
@settings(deadline=None)
def test_exchanging_the_two_inverts_the_ratio_and_its_interval(values):
    one, other = ratio_interval(values, 0.99), ratio_interval([-x for x in values], 0.99)
    assert one.ratio == pytest.approx(1 / other.ratio)
    assert one.low == pytest.approx(1 / other.high)
    assert one.high == pytest.approx(1 / other.low)


@given(st.lists(st.floats(1e3, 1e9), min_size=4, max_size=4), st.floats(1, 1e3))
@settings(deadline=None)
def test_another_unit_of_time_leaves_the_ratio(times, unit):
    before = quad_log_ratio(*[[time] for time in times])
    after = quad_log_ratio(*[[time * unit] for time in times])
    assert before == pytest.approx(after, abs=1e-9)


def test_a_drift_of_the_machine_cancels_out_of_a_quad():
    blocks = [[100 * 1.1], [100 * 1.1**2], [100 * 1.1**3], [100 * 1.1**4]]
    assert quad_log_ratio(*blocks) == pytest.approx(0, abs=1e-12)


def test_a_disturbed_sample_in_a_block_and_a_disturbed_round_move_nothing_far():
    assert quad_log_ratio([10, 10, 9000], [10], [10], [10]) == pytest.approx(0)
    calm = [0.05 + 0.001 * (-1) ** n for n in range(20)]
    found = ratio_interval([*calm, 3.0], 0.99)
    assert found.high < math.exp(0.06)


@pytest.mark.parametrize("n", [8, 12, 30, 80])
def test_the_interval_misses_the_truth_no_more_often_than_it_says_under_heavy_tails(n):
    rng = np.random.default_rng(n)
    missed = 0
    for _ in range(1000):
        found = ratio_interval(rng.standard_t(2, size=n) * 0.01, 0.99)
        missed += not found.low <= 1 <= found.high
    # Expected 10; 20 would be three standard deviations more.
    assert missed <= 20


def test_thousands_of_rounds_are_averaged_in_groups():
    values = np.random.default_rng(0).normal(0.05, 0.02, size=5000)
    found = ratio_interval(values, 0.99)
    assert found.low < math.exp(0.05) < found.high
    assert found.half_width < 0.002


def test_a_narrow_interval_ends_it_and_the_verdict_does_not():
    for true in (0.0, math.log(1.05)):
        rng = np.random.default_rng(3)
        course = RatioCourse(RatioRule())
        while not course.stopped_by:
            course.add([true + rng.normal(0, 0.01)], 0.16)
        assert course.stopped_by == "interval"
        assert 12 <= course.rounds <= 30


def test_time_ends_a_ratio_that_stays_wide():
    rng = np.random.default_rng(3)
    course = RatioCourse(RatioRule(seconds=10))
    while not course.stopped_by:
        course.add([rng.normal(0, 0.5)], 0.2)
    assert course.stopped_by == "time"
    assert course.seconds == pytest.approx(10, abs=0.3)


def test_a_slow_model_gets_more_time_until_an_interval_exists():
    course = RatioCourse(RatioRule(seconds=10))
    while not course.stopped_by:
        course.add([0.0], 4.0)
    assert course.stopped_by == "time"
    assert course.rounds == 8
    hopeless = RatioCourse(RatioRule(seconds=10))
    while not hopeless.stopped_by:
        hopeless.add([0.0], 20.0)
    assert hopeless.rounds == 3


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0}, {"margin": math.nan}, {"confidence": 1.0}, {"rounds": 0}]
)
def test_a_rule_that_cannot_be_met_is_refused(wrong):
    with pytest.raises(BadInput):
        RatioRule(**wrong)
