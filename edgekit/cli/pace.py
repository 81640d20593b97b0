"""How much longer: by the pace of what is done, and said with the digits that a guess deserves."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["Countdown", "Pace", "left"]

# Items and seconds before the first guess: the first item is often the slowest by far.
_ITEMS, _SECONDS = 3, 1.0
# Items whose pace counts: what came before may have been another kind of work.
_WINDOW = 50

Clock = Callable[[], float]


class Pace:
    """The time that is left of a loop, by how long its last items took.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self._ends: deque[float] = deque(maxlen=_WINDOW)
        self._done = 0
        self._shown = Countdown(clock)

    def step(self) -> None:
        """Count an item."""
        self._done += 1
        self._ends.append(self._clock())

    def left(self, total: int | None) -> float | None:
        """Return seconds; None while they are not known.

        A guess that turns out too low is not taken back at once: half of the difference each time.
        """
        now = self._clock()
        if total is None or self._done < _ITEMS or now - self._begin < _SECONDS:
            return None
        # An item that takes longer than those before it counts as soon as it does.
        late = now - self._ends[-1]
        each = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        guess = max(total - self._done, 0) * each + max(late - each, 0)
        before = self._shown.seconds
        if before is not None and guess > before:
            guess = (guess + before) / 2
        self._shown.set(guess)
        return guess


class Countdown:
    """A guess that the clock takes away from.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._end: float | None = None
        self._after = 0.0

    def set(self, seconds: float | None, after: float = 0.0) -> None:
        """Begin anew.

        Args:
            seconds: Left; None where that is not known.
            after: What they cannot fall below: the time of what has not begun.
        """
        self._end = None if seconds is None else self._clock() + seconds
        self._after = after

    @property
    def seconds(self) -> float | None:
        """Left; None where that is not known."""
        return None if self._end is None else max(self._end - self._clock(), self._after)


def left(seconds: float | None) -> str:
    """Say how much longer in steps that a guess does not jump over all the time.

    Returns:
        "about 40 s left", "about 3 min left"; empty where it is not known or next to nothing.
    """
    if seconds is None or seconds < 1:
        return ""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 55:
        return f"about {10 * -(-seconds // 10):.0f} s left"
    minutes = max(round(seconds / 60), 1)
    if minutes < 90:
        return f"about {minutes} min left"
    return f"about {seconds / 3600:.1f} h left"
