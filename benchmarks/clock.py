"""The clock that measurements read; a test brings its own."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "monotonic_clock"]


class Clock(Protocol):
    """Returns nanoseconds that never run backwards; `time.perf_counter_ns` is one."""

    def __call__(self) -> int:
        """Nanoseconds since some moment."""
        ...


monotonic_clock: Clock = time.perf_counter_ns
