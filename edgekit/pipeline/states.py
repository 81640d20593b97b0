"""The named states of a source, and the record of how they changed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Literal

import msgspec

__all__ = ["SourceEvent", "SourceState", "StateLog"]

SourceState = Literal["connecting", "live", "stalled", "reconnecting", "ended"]
# A camera with a loose plug may flap for weeks.
_KEPT = 1000


class SourceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A source came into a state.

    Attributes:
        at_s: Seconds since the start.
        state: "connecting" before the first frame, "live" while frames come, "stalled" where none
            came for a while, "reconnecting" after it broke off, "ended" for good.
        reason: Why, one sentence; empty where it goes without saying.
    """

    at_s: float
    state: SourceState
    reason: str = ""


class StateLog:
    """The state of a source now, and the last thousand changes.

    Args:
        listen: Called with every change, from the thread that made it.
    """

    def __init__(self, listen: Callable[[SourceEvent], None] = lambda _: None) -> None:
        self._lock = Lock()
        self._listen = listen
        self._start_ns = time.perf_counter_ns()
        self._events: deque[SourceEvent] = deque(maxlen=_KEPT)

    def change(self, state: SourceState, reason: str = "") -> None:
        """Note a state; the same one again is no change, and nothing comes after "ended"."""
        with self._lock:
            now = self._events[-1].state if self._events else None
            if now == state or now == "ended":
                return
            seconds = (time.perf_counter_ns() - self._start_ns) / 1e9
            event = SourceEvent(at_s=round(seconds, 3), state=state, reason=reason)
            self._events.append(event)
        self._listen(event)

    @property
    def state(self) -> SourceState:
        """The one now; "connecting" before anything happened."""
        with self._lock:
            return self._events[-1].state if self._events else "connecting"

    @property
    def events(self) -> tuple[SourceEvent, ...]:
        """The changes, oldest first."""
        with self._lock:
            return tuple(self._events)
