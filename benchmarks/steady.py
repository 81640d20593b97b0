"""Warming up until a model runs at a steady speed."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import msgspec

from edgekit.benchmarks.clock import Clock, monotonic_clock

__all__ = ["Run", "Steady", "WarmUp", "idle_runs", "warm_up"]

Run = Callable[[], None]


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """When a warm-up has warmed enough.

    Attributes:
        windows: So many last windows must agree.
        tolerance: (largest - smallest) / smallest of their medians, at most.
        window_samples: A window holds at least so many samples,
        window_seconds: and lasts at least so long.
        seconds: The cap: after so long it stops, agreed or not.
    """

    windows: int = 3
    tolerance: float = 0.05
    window_samples: int = 5
    window_seconds: float = 0.1
    seconds: float = 5.0


class WarmUp(msgspec.Struct, frozen=True, kw_only=True):
    """How a warm-up went.

    Attributes:
        samples: Runs spent.
        steady: Whether the windows agreed before the cap.
        medians_ns: Median of every window, in order.
        elapsed_ns: Time it took.
    """

    samples: int
    steady: bool
    medians_ns: tuple[float, ...]
    elapsed_ns: int = 0


def warm_up(run: Run, rule: Steady | None = None, clock: Clock = monotonic_clock) -> WarmUp:
    """Run until the last windows agree or the cap in time is reached.

    Args:
        run: One inference.
        rule: When to stop; None means the defaults.
        clock: Nanoseconds.
    """
    rule = rule or Steady()
    began = clock()
    deadline = began + round(rule.seconds * 1e9)
    window_ns = round(rule.window_seconds * 1e9)
    medians: list[float] = []
    window: list[int] = []
    samples = 0
    opened = clock()
    while True:
        start = clock()
        run()
        end = clock()
        samples += 1
        window.append(end - start)
        if len(window) >= rule.window_samples and end - opened >= window_ns:
            medians.append(statistics.median(window))
            window, opened = [], end
            if _agree(medians[-rule.windows :], rule):
                return WarmUp(
                    samples=samples, steady=True, medians_ns=tuple(medians), elapsed_ns=end - began
                )
        if end >= deadline:
            return WarmUp(
                samples=samples, steady=False, medians_ns=tuple(medians), elapsed_ns=end - began
            )


def idle_runs(run: Run, clock: Clock, *, seconds: float, runs: int) -> int:
    """Run for a short while; the runs are no samples.

    Args:
        run: One inference.
        clock: Nanoseconds.
        seconds: At least so long,
        runs: and at least so often.

    Returns:
        Runs spent.
    """
    deadline = clock() + round(seconds * 1e9)
    done = 0
    while done < runs or clock() < deadline:
        run()
        done += 1
    return done


def _agree(medians: list[float], rule: Steady) -> bool:
    if len(medians) < rule.windows:
        return False
    return max(medians) - min(medians) <= rule.tolerance * min(medians)
