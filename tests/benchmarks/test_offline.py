"""Offline: the queue kept full, and inferences a second counted while it is."""

import pytest

from edgekit.benchmarks.offline import Offline, OfflineRule
from edgekit.benchmarks.steady import Steady
from edgekit.core.errors import BadInput

STEADY = Steady(windows=2, window_samples=3, window_seconds=0.0, seconds=5)


class FakeQueue:
    """Two requests side by side, each as long as the sequence says; waiting takes fake time."""

    def __init__(self, clock, *milliseconds, depth=2):
        self.clock = clock
        self.depth = depth
        self.pending = list(milliseconds)
        self.ends = []
        self.submitted = 0
        self.most = 0

    def submit(self):
        if len(self.ends) >= self.depth:
            self.wait(min(self.ends))
        ms = self.pending.pop(0) if len(self.pending) > 1 else self.pending[0]
        self.ends.append(self.clock.now_ns + round(ms * 1e6))
        self.submitted += 1
        self.most = max(self.most, len(self.ends))

    def drain(self):
        if self.ends:
            self.wait(max(self.ends))

    def wait(self, until):
        self.clock.now_ns = max(self.clock.now_ns, until)
        self.ends = [end for end in self.ends if end > until]


def measure(clock, idle, queue, **rule):
    offline = Offline(OfflineRule(**rule), steady=STEADY, clock=clock, watch=idle)
    offline.warm(queue)
    while not offline.done:
        offline.block(queue, 0.5)
    return offline.summary()


def test_two_requests_of_ten_milliseconds_side_by_side_are_two_hundred_a_second(clock, idle):
    found = measure(clock, idle, FakeQueue(clock, 10), seconds=20)
    assert found.throughput_per_s == pytest.approx(200, rel=0.01)
    assert found.stopped_by == "interval"
    assert found.latency.boundary == "throughput.host"
    assert found.latency.p50_ms is None
    assert found.valid


def test_every_inference_counted_is_one_that_was_submitted_in_a_block(clock, idle):
    queue = FakeQueue(clock, 10)
    found = measure(clock, idle, queue, seconds=2)
    assert found.latency.n == sum(found.counts)
    assert found.latency.n + found.warmup + found.rewarmup == queue.submitted
    assert queue.most == 2


def test_the_interval_holds_the_figure_and_widens_with_the_noise(clock, idle):
    import random

    rng = random.Random(0)
    times = [10 * rng.lognormvariate(0, 0.5) for _ in range(8000)]
    found = measure(clock, idle, FakeQueue(clock, *times), seconds=6, half_width=1e-6)
    assert found.stopped_by == "time"
    low, high = found.throughput_low_per_s, found.throughput_high_per_s
    assert low < found.throughput_per_s < high
    assert 0.005 < found.half_width < 0.1


def test_too_few_chunks_are_not_valid_and_say_so(clock, idle):
    found = measure(clock, idle, FakeQueue(clock, 900), seconds=2)
    assert not found.valid
    assert found.throughput_low_per_s is None
    assert "too few for an interval" in " ".join(found.reasons)


def test_an_inference_that_fails_ends_the_block_and_leaves_the_queue_empty(clock, idle):
    class Failing(FakeQueue):
        def submit(self):
            if self.submitted > 200:
                raise BadInput("The engine gave up.")
            super().submit()

    queue = Failing(clock, 10)
    offline = Offline(OfflineRule(seconds=60), steady=STEADY, clock=clock, watch=idle)
    offline.warm(queue)
    with pytest.raises(BadInput, match="gave up"):
        while True:
            offline.block(queue, 0.5)
    assert not queue.ends
    # What was counted before stays.
    assert offline.summary().latency.n > 0


def test_a_block_before_the_warm_up_is_refused(clock, idle):
    with pytest.raises(BadInput, match="before the warm-up"):
        Offline(clock=clock, watch=idle).block(FakeQueue(clock, 1), 1)
