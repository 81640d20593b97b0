"""Time left: absent while it is not known, and never nonsense."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.cli.pace import Countdown, Pace, left


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def run(seconds, total):
    """The guesses after each item; every item takes as long as given."""
    clock = Clock()
    pace = Pace(clock)
    guesses = []
    for one in seconds:
        clock.now += one
        pace.step()
        guesses.append(pace.left(total))
    return guesses


def test_there_is_no_guess_before_there_is_a_pace():
    assert run([0.1] * 9, 100) == [None] * 9
    assert run([5.0, 5.0], 100) == [None, None]
    assert Pace(Clock()).left(10) is None


def test_without_a_total_there_is_nothing_left_to_guess():
    assert run([1.0] * 10, None) == [None] * 10


def test_a_steady_pace_counts_down_to_nothing():
    guesses = [guess for guess in run([2.0] * 30, 30) if guess is not None]
    assert guesses == pytest.approx([2.0 * (30 - done) for done in range(3, 31)])


def test_a_slow_first_item_is_no_pace():
    assert run([60.0, 1.0, 1.0, 1.0], 10)[-1] == pytest.approx(6.0)


@given(
    st.lists(st.floats(min_value=0.001, max_value=100.0), min_size=1, max_size=80),
    st.integers(min_value=0, max_value=100),
)
def test_a_guess_is_never_negative_nor_beyond_the_slowest_item(seconds, more):
    for done, guess in enumerate(run(seconds, len(seconds) + more), start=1):
        if guess is not None:
            assert 0 <= guess <= (len(seconds) + more - done) * max(seconds) * 1.001 + 1e-6


@given(st.lists(st.floats(min_value=0.5, max_value=2.0), min_size=10, max_size=60))
def test_a_guess_jumps_up_by_half_of_what_it_was_wrong_at_most(seconds):
    guesses = [guess for guess in run(seconds, len(seconds)) if guess is not None]
    for before, after in pairwise(guesses):
        assert after <= before + len(seconds) * 2.0 / 2


def test_a_stalled_item_is_waited_for():
    clock = Clock()
    pace = Pace(clock)
    for _ in range(5):
        clock.now += 1.0
        pace.step()
    before = pace.left(10)
    clock.now += 300.0
    assert before == pytest.approx(5.0)
    assert 5.0 <= pace.left(10) <= 305.0


def test_a_countdown_stops_at_what_has_not_begun():
    clock = Clock()
    countdown = Countdown(clock)
    assert countdown.seconds is None
    countdown.set(50.0, after=30.0)
    clock.now += 10.0
    assert countdown.seconds == 40.0
    clock.now += 1000.0
    assert countdown.seconds == 30.0
    countdown.set(None)
    assert countdown.seconds is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.0, ""),
        (0.9, ""),
        (4.0, "a few seconds left"),
        (10.0, "about 10 s left"),
        (41.0, "about 50 s left"),
        (55.0, "about 1 min left"),
        (80.0, "about 1 min left"),
        (150.0, "about 2 min left"),
        (3600.0, "about 60 min left"),
        (9000.0, "about 2.5 h left"),
    ],
)
def test_a_guess_is_said_in_coarse_steps(seconds, words):
    assert left(seconds) == words
