import pytest

from edgekit.benchmarks.watch import Reading


class FakeClock:
    """Time that passes only when a fake inference says so, and one nanosecond for each look."""

    def __init__(self):
        self.now_ns = 1_000

    def __call__(self):
        self.now_ns += 1
        return self.now_ns

    def sleep_ms(self, milliseconds):
        self.now_ns += round(milliseconds * 1e6)


class FakeModel:
    """An inference that takes what the sequence says, then the last of it for ever."""

    def __init__(self, clock, *milliseconds):
        self.clock = clock
        self.pending = list(milliseconds)
        self.runs = 0

    def __call__(self):
        self.runs += 1
        ms = self.pending.pop(0) if len(self.pending) > 1 else self.pending[0]
        self.clock.sleep_ms(ms)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def model(clock):
    return lambda *milliseconds: FakeModel(clock, *milliseconds)


@pytest.fixture
def idle():
    """A watch that sees nothing."""
    return lambda: Reading()
