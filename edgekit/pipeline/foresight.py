"""When to take a frame, so that it is laid out just before the engine is free."""

from __future__ import annotations

from collections import deque

__all__ = ["Foresight"]

# Frames remembered: enough for a quantile, few enough to follow a processor that heats up.
_KEPT = 32
# Before that many there is no foresight.
_NEEDED = 8


class Foresight:
    """Foretells from the last few frames how long inference and preprocessing take.

    An engine that waits costs frames a second, a frame that waits costs only its age: so it counts
    on a short inference and on a long preprocessing.
    """

    def __init__(self) -> None:
        self._inferences_ns: deque[int] = deque(maxlen=_KEPT)
        self._preprocesses_ns: deque[int] = deque(maxlen=_KEPT)

    def laid(self, nanoseconds: int) -> None:
        """Note what a preprocessing took."""
        self._preprocesses_ns.append(nanoseconds)

    def inferred(self, nanoseconds: int) -> None:
        """Note what an inference took."""
        self._inferences_ns.append(nanoseconds)

    def lead_ns(self) -> int:
        """How long after the start of an inference the next frame is best taken, nanoseconds."""
        if min(len(self._inferences_ns), len(self._preprocesses_ns)) < _NEEDED:
            return 0
        short = sorted(self._inferences_ns.copy())[len(self._inferences_ns) // 8]
        long = sorted(self._preprocesses_ns.copy())[-1 - len(self._preprocesses_ns) // 8]
        return max(0, int(0.95 * short) - long)
