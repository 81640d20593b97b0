"""Several frames at a time: all of them, in order, as many at once as there are workers."""

from __future__ import annotations

import contextlib
from threading import Barrier, Event, Lock, Thread

import numpy as np
import pytest

from edgekit.core.runtime import TensorInfo
from edgekit.pipeline.slot import Closed, ShortQueue
from edgekit.pipeline.workers import Workers

COUNT = 3


class Engine:
    """A session whose bindings may run at the same time; `inferring` is called within every run."""

    def __init__(self, inferring=lambda: None):
        self.inputs = (TensorInfo("x", "uint8", (1, 1, 1, 1)),)
        self.outputs = (TensorInfo("y", "int64", (1, 1)),)
        self.inferring = inferring

    def bind(self, feeds):
        return Bound(self, feeds)


class Bound:
    def __init__(self, engine, feeds):
        self._engine = engine
        self.inputs = {name: array.copy() for name, array in feeds.items()}
        self.outputs = {"y": np.zeros((1, 1), np.int64)}

    def run(self):
        self._engine.inferring()
        self.outputs["y"][:, 0] = self.inputs["x"][:, 0, 0, 0]


@pytest.fixture
def workers(plain_task):
    """Start workers on an engine; they are stopped at the end."""
    made = []

    def start(deliver, inferring=lambda: None):
        inlet = ShortQueue(4)
        one = Workers(Engine(inferring), plain_task(), inlet, deliver, input_name="x", count=COUNT)
        made.append(one)
        one.start()
        return inlet, one

    yield start
    for one in made:
        one.stop()


def _fill(inlet, frame, count):
    def put():
        for number in range(count):
            inlet.put(frame(number))
        inlet.close()

    Thread(target=put, daemon=True).start()


def test_every_frame_is_answered_in_order_with_its_own_answer(workers, frame):
    answers = []
    inlet, one = workers(answers.append)
    _fill(inlet, frame, 200)
    assert one.join(30)
    assert [answer.frame.number for answer in answers] == list(range(200))
    for answer in answers:
        assert answer.result.outputs["y"][0, 0] == answer.frame.pixels[0, 0, 0]
        assert set(answer.stages_ns) == {
            "read",
            "wait",
            "preprocess",
            "inference",
            "postprocess",
        }
        assert answer.done_ns >= answer.frame.captured_ns


def test_as_many_run_at_once_as_there_are_workers(workers, frame):
    # Passed only by so many together; with one fewer, nothing would ever be answered.
    together = Barrier(COUNT)
    answers = []
    inlet, one = workers(answers.append, lambda: together.wait(20))
    _fill(inlet, frame, 4 * COUNT)
    assert one.join(30)
    assert len(answers) == 4 * COUNT


def test_answers_come_one_at_a_time_and_a_slow_reader_holds_all(workers, frame):
    lock, answers = Lock(), []

    def deliver(answer):
        assert lock.acquire(blocking=False), "two at once"
        answers.append(answer)
        lock.release()

    inlet, one = workers(deliver)
    _fill(inlet, frame, 100)
    assert one.join(30)
    assert len(answers) == 100


def test_an_error_of_a_worker_ends_all_and_is_raised(workers, frame):
    def broken():
        raise RuntimeError("the engine")

    inlet, one = workers(lambda _: None, broken)
    Thread(target=lambda: _put(inlet, frame(0)), daemon=True).start()
    with pytest.raises(RuntimeError, match="the engine"):
        one.join(30)
    assert one.finished.is_set()
    with pytest.raises(Closed):
        inlet.put(frame(1))


def test_a_reader_that_is_gone_ends_it_without_an_error(workers, frame):
    def gone(answer):
        raise Closed

    inlet, one = workers(gone)
    Thread(target=lambda: _put(inlet, frame(0)), daemon=True).start()
    assert one.join(30)


def test_stopping_waits_for_running_inferences_and_drops_the_rest(workers, frame):
    begun, go_on = Event(), Event()

    def inferring():
        begun.set()
        assert go_on.wait(20)

    inlet, one = workers(lambda _: None, inferring)
    for number in range(3):
        inlet.put(frame(number))
    assert begun.wait(20)
    stopping = Thread(target=one.stop)
    stopping.start()
    go_on.set()
    stopping.join(20)
    assert one.finished.wait(20)


def test_after_an_error_a_running_inference_is_waited_for_all_the_same(workers, frame):
    begun, go_on, ended, calls = Event(), Event(), Event(), iter(range(9))

    def inferring():
        if next(calls) == 0:
            assert begun.wait(20)
            raise RuntimeError("the engine")
        begun.set()
        assert go_on.wait(20)

    inlet, one = workers(lambda _: None, inferring)
    for number in range(2):
        inlet.put(frame(number))

    def stop():
        with pytest.raises(RuntimeError, match="the engine"):
            one.stop()
        ended.set()

    assert begun.wait(20)
    Thread(target=stop, daemon=True).start()
    # Longer than it waits for anything else: the session may be closed when it returns.
    assert not ended.wait(1.5)
    go_on.set()
    assert ended.wait(20)


def test_it_may_be_stopped_before_it_starts(plain_task):
    one = Workers(
        Engine(), plain_task(), ShortQueue(1), lambda _: None, input_name="x", count=COUNT
    )
    one.stop()
    assert one.finished.is_set()


def _put(inlet, item):
    with contextlib.suppress(Closed):
        inlet.put(item)
