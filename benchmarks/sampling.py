"""The loops that take samples: as little as possible between two readings of the clock."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from edgekit.benchmarks.clock import Clock
from edgekit.benchmarks.steady import Run

__all__ = ["take_host", "take_staged", "take_told"]


def take_host(run: Run, clock: Clock, samples: array[int], deadline_ns: int) -> None:
    """Time whole calls, at least one, until the deadline has passed.

    Args:
        run: One inference.
        clock: Nanoseconds.
        samples: Each call's time is appended, nanoseconds.
        deadline_ns: A reading of the clock.
    """
    append = samples.append
    while True:
        start = clock()
        run()
        end = clock()
        append(end - start)
        if end >= deadline_ns:
            return


def take_told(
    run: Run, told_ns: Callable[[], int], clock: Clock, samples: array[int], deadline_ns: int
) -> None:
    """Take the time that the engine tells of each call, at least one, until the deadline.

    Args:
        run: One inference.
        told_ns: What the engine says the last one took, nanoseconds.
        clock: Nanoseconds, for the deadline alone.
        samples: Each call's time is appended.
        deadline_ns: A reading of the clock.
    """
    append = samples.append
    while True:
        run()
        append(told_ns())
        if clock() >= deadline_ns:
            return


def take_staged(
    steps: Sequence[Run],
    clock: Clock,
    samples: array[int],
    stages: Sequence[array[int]],
    deadline_ns: int,
) -> None:
    """Time every step of a pipeline and the whole of it, at least once, until the deadline.

    Args:
        steps: What is done to one image, in order.
        clock: Nanoseconds.
        samples: The whole's time is appended, from before the first step to after the last.
        stages: One for each step; its time is appended.
        deadline_ns: A reading of the clock.
    """
    pairs = [(step, stage.append) for step, stage in zip(steps, stages, strict=True)]
    append = samples.append
    while True:
        first = before = clock()
        for step, note in pairs:
            step()
            after = clock()
            note(after - before)
            before = after
        append(before - first)
        if before >= deadline_ns:
            return
