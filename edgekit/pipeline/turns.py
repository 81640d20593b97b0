"""How often Python's threads take turns while a pipeline runs."""

from __future__ import annotations

import sys
from threading import Lock

__all__ = ["hurry", "leave_hurry"]

# How long a thread keeps Python's lock from another that wants it. Where the inference is over, its
# thread waits that long for one that draws: with 5 ms of Python after every 10 ms in another thread
# and inferences of 10 ms, 1 ms instead of Python's own 5 ms gave 15 % more frames a second, and it
# cost nothing without that other thread.
_TURN_S = 0.001

_lock = Lock()
# What it was before each of those who hurry; the first one's is what comes back.
_before: list[float] = []


def hurry() -> None:
    """Let threads take turns more often, until every caller has called `leave_hurry`."""
    with _lock:
        _before.append(sys.getswitchinterval())
        sys.setswitchinterval(min(_before[0], _TURN_S))


def leave_hurry() -> None:
    """Take back one `hurry`."""
    with _lock:
        first = _before[0]
        _before.pop()
        if not _before:
            sys.setswitchinterval(first)
