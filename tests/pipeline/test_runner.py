from __future__ import annotations

import sys
import time
import tracemalloc
from itertools import count
from threading import Barrier, Semaphore, Thread, active_count

import numpy as np
import pytest

from edgekit.benchmarks.memory import rss_bytes
from edgekit.core.errors import BadInput
from edgekit.pipeline.answer import STAGES
from edgekit.pipeline.foresight import Foresight
from edgekit.pipeline.runner import Runner
from edgekit.pipeline.slot import Closed, NewestSlot, ShortQueue


@pytest.fixture
def run(engine, plain_task):
    """Make a runner of fakes that is stopped at the end; answers are in its `answers`."""
    made = []

    def make(inlet, *, session=None, task=None, deliver=None, **options):
        answers = []
        runner = Runner(
            session or engine(),
            task or plain_task(),
            inlet,
            deliver or answers.append,
            input_name="x",
            **options,
        )
        runner.answers = answers
        runner.start()
        made.append(runner)
        return runner

    yield make
    for each in made:
        each._halt()
        assert each.finished.wait(30)


def numbers(runner):
    return [answer.frame.number for answer in runner.answers]


def fill(inlet, frames):
    for each in frames:
        inlet.put(each)
    inlet.close()


def at_the(place, call):
    """Return what calls at one of its own calls only, counted from 0."""
    calls = count()
    return lambda: call() if next(calls) == place else None


def until(condition):
    """Wait until something comes true."""
    limit = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_every_frame_is_answered_in_order_with_its_own_answer(run, frame):
    inlet = ShortQueue(2)
    runner = run(inlet, every_frame=True)
    fill(inlet, (frame(number) for number in range(500)))
    assert runner.join(60)
    assert numbers(runner) == list(range(500))
    assert [a.result.outputs["y"].item() for a in runner.answers] == [n % 256 for n in range(500)]


@pytest.mark.parametrize("every_frame", [False, True])
def test_a_frame_is_laid_out_while_one_is_inferred_and_one_is_read(
    run, frame, engine, plain_task, every_frame
):
    # Passes only where three threads are in the three stages at the same time.
    together = Barrier(3, timeout=30)
    inlet = ShortQueue(9)
    runner = run(
        inlet,
        session=engine(at_the(1, together.wait)),
        task=plain_task(laying=at_the(2, together.wait), reading=at_the(0, together.wait)),
        every_frame=every_frame,
    )
    fill(inlet, (frame(number) for number in range(3)))
    assert runner.join(60)
    assert numbers(runner) == [0, 1, 2]


class Counting:
    """An inlet that counts what was taken from it."""

    def __init__(self, inner):
        self.inner = inner
        self.taken = 0

    def take(self, timeout=None):
        frame = self.inner.take(timeout)
        self.taken += 1
        return frame

    def close(self):
        self.inner.close()


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_what_is_in_flight_is_bounded_by_the_lanes(run, frame, gate, lanes):
    delivering = gate()
    inlet = Counting(ShortQueue(20))
    for number in range(20):
        inlet.inner.put(frame(number))
    runner = run(inlet, deliver=lambda _: delivering(), every_frame=True, lanes=lanes)
    # One delivered, whose lane is free again, and as many as have a lane.
    until(lambda: inlet.taken == 1 + lanes)
    time.sleep(0.05)
    assert inlet.taken == 1 + lanes
    delivering.open()
    inlet.close()
    assert runner.join(30)
    assert inlet.taken == 20


def test_a_frame_that_would_wait_for_the_reader_is_not_taken(run, frame, gate):
    delivering = gate()
    inlet = Counting(ShortQueue(20))
    for number in range(20):
        inlet.inner.put(frame(number))
    runner = run(inlet, deliver=lambda _: delivering())
    # One delivered, one inferred that waits for it.
    until(lambda: inlet.taken >= 2)
    time.sleep(0.05)
    assert inlet.taken <= 3
    delivering.open()
    inlet.close()
    assert runner.join(30)


def test_only_the_newest_frame_is_taken_when_the_engine_is_slow(run, frame, engine, gate):
    inferring = gate()
    inlet = NewestSlot()
    runner = run(inlet, session=engine(inferring))
    inlet.put(frame(0))
    assert inferring.entered.acquire(timeout=30)
    for number in range(1, 10):
        inlet.put(frame(number))
    inferring.open()
    until(lambda: 9 in numbers(runner))
    inlet.close()
    assert runner.join(30)
    # While 0 was inferred one more was laid out; of the others the newest is answered.
    assert numbers(runner) == sorted(numbers(runner))
    assert len(numbers(runner)) + inlet.dropped == 10
    assert len(numbers(runner)) <= 3


def test_a_frame_is_not_taken_before_it_must_be(run, frame, engine, gate, monkeypatch):
    monkeypatch.setattr(Foresight, "lead_ns", lambda _: 10**12)
    inferring = gate()
    inlet = NewestSlot()
    runner = run(inlet, session=engine(inferring))
    inlet.put(frame(0))
    assert inferring.entered.acquire(timeout=30)
    for number in range(1, 10):
        time.sleep(0.002)
        inlet.put(frame(number))
    inferring.open()
    until(lambda: len(runner.answers) == 2)
    # The inference ended long before it was expected to, and the newest was taken at once.
    assert numbers(runner) == [0, 9]


@pytest.mark.parametrize("every_frame", [False, True])
def test_when_the_inlet_closes_what_is_in_flight_is_answered(run, frame, every_frame):
    inlet = ShortQueue(9)
    for number in range(5):
        inlet.put(frame(number))
    inlet.close()
    runner = run(inlet, every_frame=every_frame)
    assert runner.join(30)
    assert numbers(runner) == [0, 1, 2, 3, 4]
    with pytest.raises(Closed):
        inlet.put(frame(5))


class Broken:
    """An inlet that raises, or hands over something that is no frame."""

    def __init__(self, inner):
        self._inner = inner

    def take(self, timeout=None):
        raise BadInput("broken")

    def close(self):
        self._inner.close()


def broken():
    raise BadInput("broken")


@pytest.mark.parametrize(
    "stage", ["inlet", "preprocess", "inference", "postprocess", "confidence", "deliver"]
)
@pytest.mark.parametrize("way", ["join", "stop"])
def test_what_goes_wrong_in_any_thread_ends_all_and_is_raised_once(
    run, frame, engine, plain_task, stage, way
):
    before = active_count()
    inlet = ShortQueue(2)
    runner = run(
        Broken(inlet) if stage == "inlet" else inlet,
        session=engine(broken if stage == "inference" else lambda: None),
        task=plain_task(
            laying=broken if stage == "preprocess" else lambda: None,
            reading=broken if stage == "postprocess" else lambda: None,
        ),
        confidence=broken if stage == "confidence" else lambda: None,
        deliver=(lambda _: broken()) if stage == "deliver" else None,
        every_frame=True,
    )
    # A source that waits for room is let go.
    with pytest.raises(Closed):
        for number in count():
            inlet.put(frame(number))
    assert runner.finished.wait(30)
    with pytest.raises(BadInput, match="broken"):
        getattr(runner, way)()
    runner.stop()
    assert runner.join()
    assert runner.answers == []
    until(lambda: active_count() <= before)


def test_an_output_that_closed_ends_it_without_an_error(run, frame):
    def deliver(_):
        raise Closed

    inlet = ShortQueue(2)
    runner = run(inlet, deliver=deliver)
    inlet.put(frame(0))
    assert runner.join(30)


@pytest.mark.parametrize("stage", ["inlet", "preprocess", "postprocess", "deliver"])
def test_it_stops_although_a_stage_is_blocked(run, frame, plain_task, gate, stage):
    blocked = gate()
    inlet = NewestSlot()
    runner = run(
        inlet,
        task=plain_task(
            laying=blocked if stage == "preprocess" else lambda: None,
            reading=blocked if stage == "postprocess" else lambda: None,
        ),
        deliver=(lambda _: blocked()) if stage == "deliver" else None,
    )
    if stage != "inlet":
        inlet.put(frame(0))
        assert blocked.entered.acquire(timeout=30)
    runner.stop()  # The gate is closed still.
    assert runner.finished.is_set() == (stage == "inlet")
    blocked.open()
    assert runner.join(30)


def test_stopping_waits_for_a_running_inference_and_drops_what_is_in_flight(
    run, frame, engine, gate
):
    inferring, stopped = gate(), Semaphore(0)
    inlet = NewestSlot()
    runner = run(inlet, session=engine(inferring))
    inlet.put(frame(0))
    assert inferring.entered.acquire(timeout=30)
    stopper = Thread(target=lambda: (runner.stop(), stopped.release()))
    stopper.start()
    # Longer than it waits for anything else.
    assert not stopped.acquire(timeout=1.1)
    inferring.open()
    assert stopped.acquire(timeout=30)
    assert runner.finished.is_set()
    assert runner.answers == []


def test_pythons_threads_take_turns_more_often_while_it_runs(run, frame, engine, gate):
    before = sys.getswitchinterval()
    inferring = gate()
    inlet = ShortQueue(1)
    runner = run(inlet, session=engine(inferring))
    inlet.put(frame(0))
    inlet.close()
    assert inferring.entered.acquire(timeout=30)
    assert sys.getswitchinterval() < before
    inferring.open()
    assert runner.join(30)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_one_that_never_started_stops(engine, plain_task):
    runner = Runner(engine(), plain_task(), NewestSlot(), print, input_name="x")
    runner.stop()
    assert runner.join(0)


def test_the_stages_are_named_and_are_the_frames_age(run, frame):
    inlet = ShortQueue(2)
    runner = run(inlet, every_frame=True)
    fill(inlet, (frame(number, captured_ns=time.perf_counter_ns()) for number in range(20)))
    assert runner.join(30)
    for answer in runner.answers:
        assert tuple(answer.stages_ns) == STAGES
        assert min(answer.stages_ns.values()) >= 0
        assert sum(answer.stages_ns.values()) == answer.age_ns


def test_frames_may_change_their_size_on_the_way(run, frame):
    inlet = ShortQueue(2)
    runner = run(inlet, every_frame=True)
    fill(inlet, (frame(number, shape=(2 + number % 3, 4 + number % 5)) for number in range(30)))
    assert runner.join(30)
    assert [answer.result.outputs["y"].item() for answer in runner.answers] == list(range(30))


def test_a_batch_larger_than_one_gets_the_frame_repeated(run, frame, engine):
    session = engine(batch=4)
    inlet = ShortQueue(2)
    runner = run(inlet, session=session, every_frame=True, lanes=1)
    fill(inlet, [frame(7)])
    assert runner.join(30)
    assert session.bindings[0].inputs["x"].reshape(-1).tolist() == [7, 7, 7, 7]
    assert runner.answers[0].result.outputs["y"].tolist() == [[7]]


def test_the_threshold_is_asked_for_with_every_frame(run, frame):
    inlet = ShortQueue(2)
    asked = count()
    runner = run(inlet, every_frame=True, confidence=lambda: next(asked) / 10)
    fill(inlet, (frame(number) for number in range(4)))
    assert runner.join(30)
    found = [answer.result.outputs["confidence"].item() for answer in runner.answers]
    assert found == [0.0, 0.1, 0.2, 0.3]


def grown(run, frame, frames, warm, memory):
    """Bytes that memory grows from the `warm`-th frame to the last."""
    inlet, marks = ShortQueue(2), []

    def deliver(answer):
        if answer.frame.number in (warm, frames - 1):
            marks.append(memory())

    runner = run(inlet, deliver=deliver, every_frame=True)
    fill(inlet, (frame(number) for number in range(frames)))
    assert runner.join(500)
    first, last = marks
    return last - first


def test_memory_stays_flat(run, frame):
    tracemalloc.start()
    try:
        held = grown(run, frame, 5_000, 500, lambda: tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held < 100_000


@pytest.mark.slow
def test_the_process_stays_small_over_a_hundred_thousand_frames(run, frame):
    # A list of what was answered alone would take 9 MB.
    assert grown(run, frame, 100_000, 10_000, rss_bytes) < 2_000_000


def test_pixels_are_not_copied_or_written(run, frame):
    inlet = ShortQueue(2)
    runner = run(inlet, every_frame=True)
    given = frame(3)
    given.pixels.flags.writeable = False
    fill(inlet, [given])
    assert runner.join(30)
    assert runner.answers[0].frame is given
    assert np.array_equal(given.pixels, frame(3).pixels)
