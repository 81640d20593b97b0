"""The blocks of a measurement: when each was, how the machine was, how much it brought."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgekit.benchmarks.clock import Clock
from edgekit.benchmarks.sensors import Observe, widened
from edgekit.benchmarks.watch import Reading, Watch, disturbances

__all__ = ["BlockLog", "no_collection"]


class BlockLog:
    """Notes every block of one measurement.

    Args:
        clock: Nanoseconds.
        watch: Reads the machine's counters around each block.
        observe: Reads clocks and temperatures after each block.
    """

    def __init__(self, clock: Clock, watch: Watch, observe: Observe) -> None:
        self._clock = clock
        self._watch = watch
        self._observe = observe
        self._first_ns: int | None = None
        self._machine: Reading | None = None
        self.sizes: list[int] = []
        self.starts_ns: list[int] = []
        self.elapsed_ns = 0
        self.observed: dict[str, tuple[float, float]] = {}

    @contextmanager
    def block(self, taken: Callable[[], int]) -> Iterator[int]:
        """Note one block; yields the reading of the clock at its beginning.

        Args:
            taken: How many samples there are so far.
        """
        before = taken()
        watched = self._watch()
        opened = self._clock()
        self._first_ns = opened if self._first_ns is None else self._first_ns
        # What a block brought counts although it ended in an error.
        try:
            yield opened
        finally:
            self.elapsed_ns += self._clock() - opened
            span = self._watch().since(watched)
            self._machine = span if self._machine is None else self._machine.plus(span)
            self.sizes.append(taken() - before)
            self.starts_ns.append(opened - self._first_ns)
            self.observed = widened(self.observed, self._observe())

    def disturbances(self) -> list[str]:
        """What else the machine did during the blocks, each a sentence."""
        return disturbances(self._machine) if self._machine is not None else []


@contextmanager
def no_collection() -> Iterator[None]:
    """Let Python's garbage collector rest."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
