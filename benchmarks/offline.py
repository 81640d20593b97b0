"""MLPerf's offline scenario: all queries at hand, the engine kept full; inferences a second."""

from __future__ import annotations

import math
from array import array

import msgspec
import numpy as np

from edgekit.benchmarks.autocorrelation import dependence
from edgekit.benchmarks.blocks import no_collection
from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.measurement import BlockMeasurement
from edgekit.benchmarks.rate import EventRate, rate_interval
from edgekit.benchmarks.sensors import Observe, observe_machine
from edgekit.benchmarks.stability import unstable_stretches
from edgekit.benchmarks.steady import Steady, WarmUp, warm_up
from edgekit.benchmarks.summary import Summary, half_width, unstable_level
from edgekit.benchmarks.timer import timer_resolution_ns
from edgekit.benchmarks.watch import Watch, read_machine
from edgekit.core.errors import BadInput
from edgekit.core.measurement import Latency
from edgekit.core.runtime import Queue

__all__ = ["BOUNDARY", "Offline", "OfflineRule"]

BOUNDARY = "throughput.host"

# A chunk lasts about so long: clock readings then cost nothing, and slow stretches still show.
_CHUNK_NS = 20_000_000


class OfflineRule(msgspec.Struct, frozen=True, kw_only=True):
    """When sampling ends.

    Attributes:
        seconds: Time of sampling at most, blocks added up.
        half_width: Half of the throughput's 95 % interval over it, at most, to end before.
        chunks: At least so many chunks of inferences to end before.
    """

    seconds: float = 10.0
    half_width: float = 0.01
    chunks: int = 50

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise BadInput(f"The time of a measurement is above 0 s, not {self.seconds} s.")


class Offline(BlockMeasurement):
    """One entry's measurement, taken in blocks so that several entries can take turns.

    A block fills the queue, and then counts what goes in: while the queue is full, one goes in for
    each that is done. The filling and the emptying at the ends are in no figure.

    Args:
        rule: When sampling ends; None means the defaults.
        steady: When the warm-up ends; None means the defaults.
        clock: Nanoseconds.
        watch: Reads the machine's counters around each block.
        observe: Reads clocks and temperatures after each block.
        seed: Of the bootstrap.
    """

    def __init__(
        self,
        rule: OfflineRule | None = None,
        *,
        steady: Steady | None = None,
        clock: Clock = monotonic_clock,
        watch: Watch = read_machine,
        observe: Observe = observe_machine,
        seed: int = 0,
    ) -> None:
        super().__init__(steady, clock=clock, watch=watch, observe=observe, seed=seed)
        self._rule = rule or OfflineRule()
        self._durations = array("q")
        self._counts = array("q")
        self._chunk = 1

    def warm(self, queue: Queue) -> WarmUp:
        """Run until the speed is steady or the cap is reached, and find the size of a chunk."""
        self._resolution_ns = timer_resolution_ns(self._clock)
        self._chunk = queue.depth
        _fill(queue)
        queue.drain()
        start = self._clock()
        self._go(queue)
        queue.drain()
        one_ns = max(1.0, (self._clock() - start) / self._chunk)
        self._chunk = max(queue.depth, math.ceil(_CHUNK_NS / one_ns))
        _fill(queue)
        warm = warm_up(lambda: self._go(queue), self._steady, self._clock)
        queue.drain()
        self._warm = msgspec.structs.replace(
            warm, samples=warm.samples * self._chunk + 3 * queue.depth
        )
        return self._warm

    def block(self, queue: Queue, seconds: float) -> None:
        """Fill the queue, then count for `seconds`, or until the time is up; then empty it.

        At least one chunk is counted. Python's garbage collector rests meanwhile.

        Args:
            queue: Must be what `warm` ran.
            seconds: Length of the block without filling and emptying.

        Raises:
            BadInput: `warm` was not called before, or an inference failed.
        """
        self._refuse_cold()
        left_ns = round(self._rule.seconds * 1e9) - self._log.elapsed_ns
        length_ns = max(0, min(round(seconds * 1e9), left_ns))
        clock = self._clock
        with no_collection():
            _fill(queue)
            # One chunk more: what filled the queue found it empty.
            self._go(queue)
            self._rewarmup += queue.depth + self._chunk
            try:
                with self._log.block(lambda: len(self._durations)) as opened:
                    before, deadline = opened, opened + length_ns
                    while True:
                        self._go(queue)
                        after = clock()
                        self._durations.append(after - before)
                        self._counts.append(self._chunk)
                        before = after
                        if after >= deadline:
                            break
            finally:
                queue.drain()
        self._judge()

    def summary(self) -> Summary:
        """Return the figures so far, whether or not the measurement is done."""
        durations, counts, blocks = self._durations, self._counts, self._log.sizes
        rate = self._rate()
        stretches = unstable_stretches(durations, blocks)
        return self._summary(
            self._reasons(rate, stretches),
            scenario="offline",
            latency=Latency(boundary=BOUNDARY, n=sum(counts)),
            missing={},
            throughput_per_s=rate.value if rate else None,
            throughput_low_per_s=rate.low if rate else None,
            throughput_high_per_s=rate.high if rate else None,
            samples_ns=tuple(durations),
            counts=tuple(counts),
            half_width=half_width(rate.value, rate.low, rate.high) if rate else None,
            effective_n=_effective(durations) if durations else None,
            unstable=stretches,
        )

    def _go(self, queue: Queue) -> None:
        submit = queue.submit
        for _ in range(self._chunk):
            submit()

    def _rate(self) -> EventRate | None:
        if not self._durations:
            return None
        return rate_interval(self._durations, self._counts, seed=self._seed)

    def _reasons(self, rate: EventRate | None, stretches: tuple[tuple[int, int], ...]) -> list[str]:
        reasons = []
        if rate is None or rate.low is None:
            reasons.append(
                f"{len(self._durations)} chunks of inferences are too few for an interval of the "
                "throughput: measure longer (--time)."
            )
        return [*reasons, *unstable_level(self._durations, stretches)]

    def _judge(self) -> None:
        if len(self._durations) >= self._rule.chunks:
            rate = self._rate()
            width = half_width(rate.value, rate.low, rate.high) if rate else None
            if width is not None and width <= self._rule.half_width:
                self._stopped_by = "interval"
                return
        if self._log.elapsed_ns >= round(self._rule.seconds * 1e9):
            self._stopped_by = "time"


def _fill(queue: Queue) -> None:
    for _ in range(queue.depth):
        queue.submit()


def _effective(durations: array[int]) -> float:
    return dependence(np.asarray(durations, dtype=np.float64)).effective_n
