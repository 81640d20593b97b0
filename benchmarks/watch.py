"""What else the machine did while something was measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import msgspec
import psutil

__all__ = ["Reading", "Watch", "disturbances", "read_machine", "throttle_count"]

# Shares of the whole machine's CPU time above which a figure is disturbed.
_OTHERS_LIMIT = 0.10
_STEAL_LIMIT = 0.02
# Time services correct a clock by 0.5 ms a second at most.
_STEP_LIMIT_S = 0.25
# The kernel counts in ticks of 10 ms, so a shorter span says nothing.
_SHORTEST_S = 0.2


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Counters that only grow, since some moment; seconds of CPU time where not said otherwise.

    Attributes:
        own_s: Used by this process, all threads.
        busy_s: Used by everything on this machine, this process included.
        idle_s: Not used.
        steal_s: Taken by the hypervisor.
        throttled: Times a core was throttled; None where the machine does not tell.
        clock_ns: By the clock that nothing sets.
        wall_ns: By the clock that tells the time of day.
    """

    own_s: float = 0.0
    busy_s: float = 0.0
    idle_s: float = 0.0
    steal_s: float = 0.0
    throttled: int | None = None
    clock_ns: int = 0
    wall_ns: int = 0

    def since(self, earlier: Reading) -> Reading:
        """What was added after an earlier reading."""
        both = self.throttled is not None and earlier.throttled is not None
        return Reading(
            own_s=self.own_s - earlier.own_s,
            busy_s=self.busy_s - earlier.busy_s,
            idle_s=self.idle_s - earlier.idle_s,
            steal_s=self.steal_s - earlier.steal_s,
            throttled=(self.throttled or 0) - (earlier.throttled or 0) if both else None,
            clock_ns=self.clock_ns - earlier.clock_ns,
            wall_ns=self.wall_ns - earlier.wall_ns,
        )

    def plus(self, other: Reading) -> Reading:
        """Two spans added up."""
        both = self.throttled is not None and other.throttled is not None
        return Reading(
            own_s=self.own_s + other.own_s,
            busy_s=self.busy_s + other.busy_s,
            idle_s=self.idle_s + other.idle_s,
            steal_s=self.steal_s + other.steal_s,
            throttled=(self.throttled or 0) + (other.throttled or 0) if both else None,
            clock_ns=self.clock_ns + other.clock_ns,
            wall_ns=self.wall_ns + other.wall_ns,
        )


class Watch(Protocol):
    """Reads the counters; a test brings its own."""

    def __call__(self) -> Reading:
        """The counters now."""
        ...


def read_machine() -> Reading:
    """Read this process's and this machine's counters; takes well under a millisecond."""
    times = psutil.cpu_times()
    idle = float(times.idle) + float(getattr(times, "iowait", 0.0))
    steal = float(getattr(times, "steal", 0.0))
    # Linux counts guests in user and nice already.
    guests = float(getattr(times, "guest", 0.0)) + float(getattr(times, "guest_nice", 0.0))
    return Reading(
        own_s=time.process_time(),
        busy_s=float(sum(times)) - idle - steal - guests,
        idle_s=idle,
        steal_s=steal,
        throttled=throttle_count(),
        clock_ns=time.monotonic_ns(),
        wall_ns=time.time_ns(),
    )


def disturbances(span: Reading) -> list[str]:
    """Return what speaks against figures taken during a span, each a sentence."""
    found = []
    # The clock of the samples is never set, but it stands still while a machine sleeps.
    step = (span.wall_ns - span.clock_ns) / 1e9
    if abs(step) > _STEP_LIMIT_S:
        found.append(
            f"The clock was set by {step:+.1f} s, or the machine slept, during the measurement."
        )
    total = span.busy_s + span.idle_s + span.steal_s
    if total < _SHORTEST_S:
        return found
    others = max(0.0, span.busy_s - span.own_s) / total
    if others > _OTHERS_LIMIT:
        found.append(f"Other processes used {others:.0%} of the CPU during the measurement.")
    steal = span.steal_s / total
    if steal > _STEAL_LIMIT:
        found.append(f"The hypervisor took {steal:.0%} of the CPU during the measurement.")
    if span.throttled:
        found.append(f"The CPU throttled {span.throttled} times during the measurement.")
    return found


def throttle_count(root: Path = Path("/")) -> int | None:
    """Return how often cores were throttled since boot; None where the machine does not tell."""
    folder = root / "sys/devices/system/cpu"
    counters = list(folder.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    try:
        return sum(int(counter.read_text()) for counter in counters) if counters else None
    except (OSError, ValueError):
        return None
