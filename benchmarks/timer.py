"""What the clock resolves, and what the measuring itself costs."""

from __future__ import annotations

import itertools
import statistics
from array import array

from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.sampling import take_host

__all__ = ["measuring_overhead_ns", "timer_resolution_ns"]

_LOOKS = 2000


def timer_resolution_ns(clock: Clock = monotonic_clock, looks: int = _LOOKS) -> float:
    """Return the smallest step above 0 between two readings of a clock, nanoseconds.

    It is the clock's tick or the time that a reading takes, whichever is longer: nothing shorter
    can be told from nothing.
    """
    readings = [clock() for _ in range(looks)]
    steps = [after - before for before, after in itertools.pairwise(readings) if after > before]
    return float(min(steps)) if steps else 0.0


def measuring_overhead_ns(clock: Clock = monotonic_clock, looks: int = _LOOKS) -> float:
    """Return what a sample of an inference that does nothing reads, nanoseconds, the median.

    The same loop that takes the samples, around a Python function that returns at once, which is
    what the null runtime's binding costs. So much of every sample is the measuring.
    """
    samples = array("q")
    for _ in range(looks):
        take_host(_nothing, clock, samples, 0)
    return float(statistics.median(samples))


def _nothing() -> None:
    """An inference that does nothing."""
