"""The clock's step, and what measuring costs."""

from edgekit.benchmarks.timer import measuring_overhead_ns, timer_resolution_ns


def test_a_coarse_clock_is_known_by_its_step():
    readings = iter(int(1e6) * (number // 7) for number in range(10_000))
    assert timer_resolution_ns(lambda: next(readings)) == 1e6


def test_a_clock_that_stands_still_has_no_step():
    assert timer_resolution_ns(lambda: 5) == 0.0


def test_measuring_costs_what_two_readings_cost(clock):
    # Each look at the fake clock takes a nanosecond, and a sample ends with the second.
    assert measuring_overhead_ns(clock) == 1.0


def test_measuring_costs_less_than_a_microsecond_or_two():
    assert 0 < measuring_overhead_ns() < 50_000
