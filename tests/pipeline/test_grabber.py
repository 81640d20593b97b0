"""The grabber on made-up sources: states in order, frames in order, an end within a second."""

from __future__ import annotations

import threading
import time
from threading import Event

import numpy as np
import pytest

from edgekit.core.errors import BadInput, Unavailable
from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.grabber import Grabber, Patience
from edgekit.pipeline.slot import NewestSlot, ShortQueue
from edgekit.pipeline.source import SourceEnded, SourceLost

# Retries at once; who waits for a processor is not stalled.
CALM = Patience(stalled_s=300, abandon_s=300, first_retry_s=0.02, last_retry_s=0.05)
QUICK = Patience(stalled_s=0.8, abandon_s=2.0, first_retry_s=0.02, last_retry_s=0.05)


class Made:
    """A source that plays a script: numbers are frames, exceptions are raised, events waited for.

    A list is one opening; the last one is played again and again.
    """

    name = "made"

    def __init__(self, *openings, live=True, rate=None, size=(4, 3)):
        self.openings = list(openings)
        self.live = live
        self.rate = rate
        self.size = size
        self.opened = 0
        self.closed = 0
        self.interrupted = Event()
        self.threads = set()
        self.script = []

    def open(self):
        self.threads.add(threading.current_thread())
        script = list(self.openings[min(self.opened, len(self.openings) - 1)])
        self.opened += 1
        if isinstance(script[0], Exception):
            raise script[0]
        self.script = script
        return Granted(width=self.size[0], height=self.size[1], rate=self.rate, backend="made")

    def read(self):
        step = self.script.pop(0) if self.script else SourceLost("The script is over.")
        if isinstance(step, Event):
            step.wait()
            return self.read()
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Frame):
            return step
        return Frame(
            np.full((self.size[1], self.size[0], 3), step, np.uint8), step, time.perf_counter_ns()
        )

    def interrupt(self):
        self.interrupted.set()

    def close(self):
        self.closed += 1


class Everything(ShortQueue):
    """Keeps every frame for the test."""

    def __init__(self):
        super().__init__(10_000)

    @property
    def numbers(self):
        return [frame.number for frame in self._items]


@pytest.fixture
def run(states):
    """Start a grabber on a made-up source, with a queue that keeps all frames."""
    started = []

    def start(source, *, patience=CALM, handover=None, **keys):
        handover = Everything() if handover is None else handover
        grabber = Grabber(source, handover, states, patience=patience, **keys)
        started.append(grabber)
        grabber.start()
        return grabber, handover

    yield start
    for grabber in started:
        grabber.stop()


def test_a_file_is_read_to_its_end(run, states):
    source = Made([0, 1, 2, SourceEnded()], live=False)
    grabber, queue = run(source)
    states.wait("ended")
    assert states.names == ["connecting", "live", "ended"]
    assert queue.numbers == [0, 1, 2]
    assert grabber.captured == 3
    assert grabber.failure is None
    assert source.closed == 1
    assert len(source.threads) == 1


@pytest.mark.parametrize("error", [BadInput("No such file."), Unavailable("No camera.")])
def test_what_cannot_be_opened_at_first_is_raised_to_the_caller(run, states, error):
    grabber, _ = run(Made([error]))
    with pytest.raises(type(error), match=error.message):
        grabber.wait_open(60)
    states.wait("ended")
    assert states.names == ["connecting", "ended"]
    assert states.events[-1].reason == error.message


def test_what_is_busy_at_first_is_asked_again(run, states):
    grabber, queue = run(Made([SourceLost("Busy.")], [0, 1, SourceEnded()]))
    assert grabber.wait_open(60).width == 4
    states.wait("ended")
    assert states.names == ["connecting", "reconnecting", "live", "ended"]
    assert queue.numbers == [0, 1]


@pytest.mark.parametrize("error", [SourceLost("Cut."), BadInput("Garbage."), Unavailable("Gone.")])
def test_a_live_source_lost_later_comes_back_whatever_it_says(run, states, error):
    source = Made([0, 1, SourceLost("Unplugged.")], [error], [error], [2, 3, SourceEnded()])
    _, queue = run(source)
    states.wait("ended")
    assert states.names == ["connecting", "live", "reconnecting", "live", "ended"]
    assert states.events[2].reason == "Unplugged."
    assert queue.numbers == [0, 1, 2, 3]
    assert source.opened == 4


def test_numbers_go_on_where_a_source_counts_anew(run, states):
    _, queue = run(Made([0, 1, 5, SourceLost("Cut.")], [0, 1, 4, SourceEnded()]))
    states.wait("ended")
    assert queue.numbers == [0, 1, 5, 6, 7, 10]


def test_a_frame_from_before_the_break_does_not_come_after_it(run, states):
    old = Frame(np.zeros((3, 4, 3), np.uint8), 1, time.perf_counter_ns())
    _, queue = run(Made([0, SourceLost("Cut.")], [old, 2, SourceEnded()]))
    states.wait("ended")
    assert queue.numbers == [0, 2]


def test_a_blocked_read_is_stalled_and_live_again(run, states):
    silence = Event()
    _, queue = run(Made([0, silence, 1, SourceEnded()]), patience=QUICK)
    states.wait("stalled")
    silence.set()
    states.wait("ended")
    assert states.names == ["connecting", "live", "stalled", "live", "ended"]
    assert queue.numbers == [0, 1]


def test_a_slow_camera_is_not_stalled(run, states):
    source = Made([0, Event(), 1, SourceEnded()], rate=1.0)
    threading.Timer(1.2, source.openings[0][1].set).start()
    run(source, patience=QUICK)
    states.wait("ended")
    assert states.names == ["connecting", "live", "ended"]


def test_a_consumer_that_makes_it_wait_is_no_stall(run, states):
    queue = ShortQueue(1)
    run(Made([0, 1, 2, 3, SourceEnded()]), handover=queue, patience=QUICK)
    states.wait("live")
    time.sleep(1.5 * QUICK.stalled_s)
    numbers = [queue.take(60).number for _ in range(4)]
    states.wait("ended")
    assert numbers == [0, 1, 2, 3]
    assert states.names == ["connecting", "live", "ended"]


def test_a_read_that_never_returns_is_left_behind(run, states, wait_until):
    never = Event()
    blocked = Made([0, never, 1])
    pause = Event()
    again = lambda: Made([0, 1, pause, SourceEnded()])  # noqa: E731
    _, queue = run(blocked, renew=again, patience=QUICK)
    states.wait("live", 2)
    assert states.names[:5] == ["connecting", "live", "stalled", "reconnecting", "live"]
    assert blocked.interrupted.is_set()
    # What comes back after all is not handed over, and lets go of its device.
    never.set()
    wait_until(lambda: blocked.closed, "the device")
    assert blocked.closed == 1
    pause.set()
    states.wait("ended")
    assert queue.numbers == [0, 1, 2]


def test_without_a_new_source_a_blocked_one_is_waited_for(run, states):
    silence = Event()
    source = Made([0, silence, 1, SourceEnded()])
    run(source, patience=QUICK)
    states.wait("stalled")
    time.sleep(1.2 * QUICK.abandon_s)
    silence.set()
    states.wait("ended")
    assert source.opened == 1


@pytest.mark.parametrize("where", ["open", "read", "wait"])
def test_stop_comes_back_whatever_is_blocked(run, states, where):
    # For ever, or for an hour: it comes back because it waits for none of that.
    never = Event()
    source = Made([0, never] if where == "read" else [SourceLost("Cut.")])
    if where == "open":
        source.open = never.wait
    patience = Patience(stalled_s=0.8, first_retry_s=3600, last_retry_s=3600)
    grabber, _ = run(source, patience=patience, handover=NewestSlot())
    states.wait({"open": "connecting", "read": "stalled", "wait": "reconnecting"}[where])
    grabber.stop()
    states.wait("ended")
    if where != "wait":
        assert source.interrupted.is_set()
    never.set()


def test_patience_ends(run, states):
    patience = Patience(first_retry_s=0.05, last_retry_s=0.05, give_up_s=0.4)
    grabber, _ = run(Made([0, SourceLost("Unplugged.")], [SourceLost("Gone.")]), patience=patience)
    states.wait("ended")
    assert states.names == ["connecting", "live", "reconnecting", "ended"]
    assert isinstance(grabber.failure, Unavailable)
    assert "gave no frame for 0.4 s" in states.events[-1].reason


def test_a_bug_in_a_source_reaches_who_waits(run, states):
    grabber, _ = run(Made([ZeroDivisionError("bug")]))
    with pytest.raises(ZeroDivisionError):
        grabber.wait_open(60)
    states.wait("ended")


def test_a_file_that_breaks_off_is_not_read_again(run, states):
    source = Made([0, SourceLost("The disk is gone.")], live=False)
    grabber, queue = run(source)
    states.wait("ended")
    assert queue.numbers == [0]
    assert source.opened == 1
    assert str(grabber.failure) == "The disk is gone."


def test_the_size_is_that_of_the_last_frame(run, states):
    larger = Frame(np.zeros((8, 6, 3), np.uint8), 1, time.perf_counter_ns())
    grabber, _ = run(Made([0, larger, SourceEnded()]))
    states.wait("ended")
    assert (grabber.granted.width, grabber.granted.height) == (6, 8)


def test_waits_grow_to_a_limit_and_differ():
    patience = Patience(first_retry_s=1, last_retry_s=10)
    for attempt, longest in enumerate([1, 2, 4, 8, 10, 10]):
        waits = {patience.retry_s(attempt) for _ in range(200)}
        assert longest / 2 <= min(waits) < max(waits) <= longest
        assert len(waits) > 100
    assert patience.retry_s(10_000) <= 10


def test_reconnecting_waits_longer_each_time_and_starts_over_after_a_frame(
    run, states, monkeypatch
):
    attempts = []
    monkeypatch.setattr(Patience, "retry_s", lambda self, n: attempts.append(n) or 0.001)
    cut, away = SourceLost("Cut."), SourceLost("Away.")
    run(Made([cut], [0, cut], [away], [away], [1, cut], [SourceEnded()]))
    states.wait("ended")
    assert attempts == [1, 0, 1, 2, 0]


def test_a_source_of_ten_thousand_frames_keeps_none(run, states):
    slot = NewestSlot()
    grabber, _ = run(Made([*range(256)] * 40 + [SourceEnded()], live=True), handover=slot)
    states.wait("ended")
    assert grabber.captured == 40 * 256
    assert slot.dropped == 40 * 256 - 1


def test_who_hears_of_a_state_may_stop_it(states):
    grabbers = []
    log = type(states)(lambda event: event.state == "reconnecting" and grabbers[0].stop())
    grabbers.append(Grabber(Made([SourceLost("Cut.")]), NewestSlot(), log, patience=QUICK))
    grabbers[0].start()
    log.wait("ended")
    assert log.names == ["connecting", "reconnecting", "ended"]
