import pytest

from edgekit.benchmarks.steady import Steady, warm_up

RULE = Steady(windows=3, tolerance=0.05, window_samples=5, window_seconds=0.02, seconds=2)


def test_a_steady_model_is_warm_after_the_smallest_number_of_windows(clock, model):
    found = warm_up(model(10), RULE, clock)
    assert found.steady
    assert found.samples == 15
    assert found.medians_ns == pytest.approx([10e6] * 3, rel=1e-3)


def test_a_model_that_speeds_up_is_warmed_until_it_stops(clock, model):
    slow = [50 - index for index in range(40)]
    found = warm_up(model(*slow, 10), RULE, clock)
    assert found.steady
    assert found.samples >= 40 + 15 - 5
    assert max(found.medians_ns[-3:]) <= 1.05 * min(found.medians_ns[-3:])


def test_a_model_that_never_settles_ends_at_the_cap_and_says_so(clock, model):
    wild = [10 * (1 + index // 5 % 2) for index in range(1000)]
    began = clock.now_ns
    found = warm_up(model(*wild), RULE, clock)
    assert not found.steady
    assert 2.0 <= (clock.now_ns - began) / 1e9 < 2.05


def test_a_window_of_a_fast_model_lasts_its_time(clock, model):
    found = warm_up(model(0.1), RULE, clock)
    assert found.steady
    assert found.samples == pytest.approx(600, abs=5)


def test_a_very_slow_model_runs_at_least_once(clock, model):
    found = warm_up(model(5000), RULE, clock)
    assert (found.samples, found.steady) == (1, False)
