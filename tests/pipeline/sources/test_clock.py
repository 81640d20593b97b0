"""When a streamed picture was taken: bursts, drift, clocks that jump."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.pipeline.sources.clock import StreamClock

MS = 1_000_000
SECOND = 1000 * MS


def test_an_even_stream_is_as_old_as_its_arrival():
    clock = StreamClock()
    for i in range(100):
        assert clock.captured(i / 20, 7 * SECOND + i * 50 * MS) == 7 * SECOND + i * 50 * MS


def test_a_burst_after_a_pause_is_as_old_as_it_is():
    clock = StreamClock()
    for i in range(20):
        clock.captured(i / 20, i * 50 * MS)
    # Frames 20 to 39 lay somewhere and come at once.
    ages = [39 * 50 * MS - clock.captured(i / 20, 39 * 50 * MS) for i in range(20, 40)]
    assert [round(age / MS / 50) for age in ages] == list(range(19, -1, -1))


def test_a_clock_that_drifts_by_a_ten_thousandth_is_followed():
    clock = StreamClock()
    for i in range(200_000):
        arrived = round(i * 50 * MS * 1.0001)
        assert arrived - clock.captured(i / 20, arrived) < MS


@pytest.mark.parametrize("stamp_s", [0.0, 100_000.0])
def test_a_clock_that_was_set_is_begun_anew(stamp_s):
    clock = StreamClock()
    for i in range(20):
        clock.captured(1000 + i / 20, i * 50 * MS)
    for i in range(20, 40):
        arrived = i * 50 * MS
        assert clock.captured(stamp_s + i / 20, arrived) == arrived


def test_a_clock_that_runs_slow_is_believed_for_ten_seconds_at_most():
    clock = StreamClock()
    ages = []
    for i in range(4000):
        arrived = i * 50 * MS
        ages.append(arrived - clock.captured(i / 20 * 0.9, arrived))
    assert max(ages) <= 10 * SECOND


def test_without_a_stamp_it_is_the_arrival():
    assert StreamClock().captured(None, 5) == 5


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**9)), max_size=50))
def test_never_taken_after_it_arrived_nor_long_before(frames):
    clock = StreamClock()
    now = 0
    for seconds, pause in frames:
        now += pause
        assert now - 10 * SECOND - MS <= clock.captured(seconds, now) <= now
