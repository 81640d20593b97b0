"""Paced: frames fall due at a rate, and a sample is how old one is when its result is there."""

import numpy as np
import pytest

from edgekit.benchmarks.paced import Paced, PacedRule
from edgekit.benchmarks.steady import Steady
from edgekit.core.errors import BadInput
from edgekit.pipeline.answer import STAGES, Answer
from edgekit.pipeline.frame import Frame

STEADY = Steady(windows=2, window_samples=3, window_seconds=0.0, seconds=5)
PIXELS = np.zeros((1, 1, 3), np.uint8)


class FakeStream:
    """An engine that takes so long for each frame, and then the newest that waits."""

    def __init__(self, clock, milliseconds):
        self.clock = clock
        self.takes_ns = round(milliseconds * 1e6)
        self.free_ns = 0
        self.waiting = None
        self.put_ns = 0
        self.given = 0
        self.due = []
        self.answers = []

    def put(self, captured_ns):
        self._work(self.clock.now_ns)
        self.waiting = Frame(PIXELS, self.given, captured_ns)
        self.put_ns = self.clock.now_ns
        self.due.append(captured_ns)
        self.given += 1
        return self.given - 1

    def settle(self):
        self._work(self.clock.now_ns + 10 * self.takes_ns)
        self.clock.now_ns = max(self.clock.now_ns, self.free_ns)
        answers, self.answers = self.answers, []
        return answers

    def _work(self, until_ns):
        if self.waiting is None or self.free_ns > until_ns:
            return
        done = max(self.free_ns, self.put_ns) + self.takes_ns
        stages = dict.fromkeys(STAGES, 0) | {"inference": self.takes_ns}
        self.answers.append(Answer(self.waiting, None, stages, done))
        self.free_ns, self.waiting = done, None


@pytest.fixture
def measure(clock, idle):
    def make(milliseconds, **rule):
        stream = FakeStream(clock, milliseconds)
        paced = Paced(
            PacedRule(**rule),
            steady=STEADY,
            clock=clock,
            sleep=lambda seconds: clock.sleep_ms(seconds * 1e3),
            watch=idle,
            observe=dict,
        )
        paced.warm(stream)
        while not paced.done:
            paced.block(stream, 0.5)
        return paced.summary(), stream

    return make


def test_an_engine_that_keeps_up_answers_each_frame_after_one_inference(measure):
    found, stream = measure(8, rate=30, seconds=3)
    assert found.scenario == "paced"
    assert found.latency.boundary == "age.e2e"
    assert found.latency.p50_ms == pytest.approx(8, rel=1e-3)
    assert (found.latency.n, found.dropped) == (90, 0)
    assert found.throughput_per_s == pytest.approx(30)
    assert found.stages["inference"].p50_ms == pytest.approx(8)
    assert found.stopped_by == "time"
    assert found.valid, found.reasons
    # Three frames at the beginning of each block warm up what the pause has cooled.
    assert found.rewarmup == 3 * len(found.blocks)
    assert stream.given == 90 + found.rewarmup + found.warmup


def test_an_engine_that_does_not_keep_up_leaves_frames_out_and_its_answers_do_not_grow_old(measure):
    found, _ = measure(50, rate=100, seconds=4)
    # Every fifth frame is taken; it has waited for less than an interval.
    assert found.latency.n + found.dropped == 400
    assert found.throughput_per_s == pytest.approx(20, rel=0.1)
    assert max(found.samples_ns) <= 61e6
    assert found.valid, found.reasons


def test_frames_fall_due_at_their_rate_whatever_the_machine_does(measure):
    _, stream = measure(50, rate=100, seconds=0.3)
    steps = np.diff(stream.due[-30:])
    assert steps == pytest.approx(1e7, abs=2)


def test_an_age_counts_from_the_moment_at_which_a_frame_fell_due(clock, idle):
    stream = FakeStream(clock, 1)

    def oversleep(seconds):
        clock.sleep_ms(seconds * 1e3 + 5)

    rule = PacedRule(rate=20, seconds=1)
    paced = Paced(rule, steady=STEADY, clock=clock, sleep=oversleep, watch=idle)
    paced.warm(stream)
    paced.block(stream, 1)
    # The engine was given each five milliseconds late.
    assert paced.summary().latency.p50_ms == pytest.approx(6, rel=1e-3)


def test_a_camera_faster_than_frames_can_be_given_takes_no_more_time_and_drops(clock, idle):
    class SlowToGive(FakeStream):
        def put(self, captured_ns):
            self.clock.sleep_ms(1)
            return super().put(captured_ns)

    stream = SlowToGive(clock, 0.1)
    paced = Paced(PacedRule(rate=10_000, seconds=1), steady=STEADY, clock=clock, watch=idle)
    paced.warm(stream)
    before = clock.now_ns
    paced.block(stream, 0.5)
    assert clock.now_ns - before < 0.7e9
    found = paced.summary()
    assert found.latency.n + found.dropped == 5000
    assert found.latency.n == pytest.approx(500, rel=0.02)


def test_a_block_has_a_frame_however_slow_the_camera(measure):
    found, _ = measure(8, rate=1, seconds=3)
    assert found.latency.n == 3
    assert not found.valid
    assert "too few for a median" in " ".join(found.reasons)


def test_it_ends_early_where_the_median_is_known(measure):
    found, _ = measure(2, rate=200, seconds=100)
    assert found.stopped_by == "interval"
    assert found.latency.n < 1000


def test_without_a_warm_up_or_without_time_nothing_is_measured(clock):
    with pytest.raises(BadInput, match="before the warm-up"):
        Paced(clock=clock).block(FakeStream(clock, 1), 0.5)
    with pytest.raises(BadInput, match="above 0"):
        PacedRule(rate=0)
