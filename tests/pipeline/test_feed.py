"""Images given at moments of the caller's choice; the answers are those of the live pipeline."""

import time

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.pipeline.feed import Feed

IMAGES = [np.full((2, 2, 3), shade, np.uint8) for shade in (10, 20, 30)]


@pytest.fixture
def feed(engine, plain_task):
    made = []

    def make(**options):
        one = Feed(engine(**options), plain_task(), "x", IMAGES)
        made.append(one)
        return one

    yield make
    for each in made:
        each.close()


def test_each_frame_that_is_awaited_is_answered_by_its_number(feed):
    stream = feed()
    for number in range(4):
        captured = time.perf_counter_ns()
        assert stream.put(captured) == number
        (answer,) = stream.settle()
        assert answer.frame.number == number
        assert answer.frame.captured_ns == captured
        assert answer.frame.pixels.tolist() == IMAGES[number % 3].tolist()
        assert answer.age_ns > 0
    assert stream.settle() == []


def test_of_frames_that_wait_the_newest_is_answered_and_the_others_are_not_waited_for(feed, gate):
    engine_busy = gate()
    stream = feed(inferring=engine_busy)
    stream.put(1)
    assert engine_busy.entered.acquire(timeout=30)
    for captured in range(2, 12):
        stream.put(captured)
    engine_busy.open()
    answered = [answer.frame.number for answer in stream.settle()]
    assert answered[0] == 0
    assert answered[-1] == 10
    # One more may have been laid out while the engine was busy.
    assert len(answered) <= 3
    assert stream.settle() == []


def test_what_a_thread_of_the_pipeline_raises_ends_the_wait(feed):
    def failing():
        raise BadInput("the engine is gone")

    stream = feed(inferring=failing)
    stream.put(1)
    with pytest.raises(BadInput, match="the engine is gone"):
        stream.settle()
