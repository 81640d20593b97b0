"""How times are distributed and how often something happens, for weeks, in fixed memory."""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from collections.abc import Callable
from itertools import accumulate
from threading import Lock

from edgekit.core.documents import Distribution
from edgekit.core.percentiles import missing_samples, nearest_rank

__all__ = ["Rate", "Times"]

# Buckets grow by 1 %, so that the middle of one is within half a percent of all that is in it.
_GROWTH = math.log(1.01)
# The first one begins at a microsecond, the last one ends beyond a quarter of an hour.
_FIRST_NS = 1000
_BUCKETS = 2080


class Times:
    """Counts durations by size; used from any thread. 16 kB, however many there are."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._buckets = array("q", bytes(8 * _BUCKETS))
        self._count = 0
        self._sum_ns = 0
        self._max_ns = 0

    def add(self, nanoseconds: int) -> None:
        """Count one; what is below a microsecond or negative counts as the shortest."""
        place = 0
        if nanoseconds > _FIRST_NS:
            place = min(_BUCKETS - 1, int(math.log(nanoseconds / _FIRST_NS) / _GROWTH))
        with self._lock:
            self._buckets[place] += 1
            self._count += 1
            self._sum_ns += nanoseconds
            self._max_ns = max(self._max_ns, nanoseconds)

    def distribution(self) -> Distribution:
        """Return count, mean and largest, which are exact, and what percentiles there may be.

        A percentile is within half a percent; None where there are too few samples for it.
        """
        with self._lock:
            buckets, count = self._buckets[:], self._count
            sum_ns, largest_ns = self._sum_ns, self._max_ns
        if not count:
            return Distribution(n=0)
        p50, p90, p99 = (
            _percentile_ms(buckets, count, largest_ns, percent) for percent in (50, 90, 99)
        )
        return Distribution(
            n=count,
            mean_ms=sum_ns / count / 1e6,
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            max_ms=largest_ns / 1e6,
        )


class Rate:
    """How often something happens, over the last two seconds and over all; from any thread.

    Args:
        clock: In nanoseconds.
    """

    _RECENT_NS = 2_000_000_000
    # More often than this in two seconds, it looks at a shorter time.
    _KEPT = 1024

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._lock = Lock()
        self._clock = clock
        self._last: deque[int] = deque(maxlen=self._KEPT)
        self._first_ns = 0
        self._count = 0

    def tick(self) -> None:
        """It happened."""
        with self._lock:
            now = self._clock()
            self._last.append(now)
            self._count += 1
            if self._count == 1:
                self._first_ns = now

    @property
    def count(self) -> int:
        """How often it happened."""
        with self._lock:
            return self._count

    @property
    def overall(self) -> float:
        """Times a second from the first to the last; 0 before there are two."""
        with self._lock:
            if self._count < 2:
                return 0.0
            return 1e9 * (self._count - 1) / max(1, self._last[-1] - self._first_ns)

    @property
    def recent(self) -> float:
        """Times a second over the last two seconds; it falls to 0 where nothing happens."""
        with self._lock:
            now = self._clock()
            lately = [each for each in self._last if now - each < self._RECENT_NS]
            if len(lately) < 2:
                return 1e9 * len(lately) / self._RECENT_NS
            began = len(lately) == self._KEPT or lately[0] == self._first_ns
            # What began within these two seconds, or is cut short, is counted from its first.
            if began:
                return 1e9 * (len(lately) - 1) / max(1, now - lately[0])
            return 1e9 * len(lately) / self._RECENT_NS


def _percentile_ms(
    buckets: array[int], count: int, largest_ns: int, percent: float
) -> float | None:
    if missing_samples(count, percent):
        return None
    rank = nearest_rank(count, percent)
    place = next(place for place, below in enumerate(accumulate(buckets)) if below > rank)
    middle_ns = _FIRST_NS * math.exp((place + 0.5) * _GROWTH)
    return min(middle_ns, largest_ns) / 1e6
