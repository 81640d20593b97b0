"""When to take a frame, so that it is laid out just before the engine is free."""

from __future__ import annotations

from collections import deque
from itertools import accumulate

__all__ = ["Foresight"]

# Frames remembered: enough to know how much they differ, few enough to follow a processor that
# heats up.
_KEPT = 64
# Before that many there is no foresight.
_NEEDED = 8
# Share of an inference that the engine may have to wait for a frame, on average.
_LOSS = 0.005


class Foresight:
    """Foretells from the last frames how late the next one may be taken.

    Late enough that it does not lie about and grow old, early enough that the engine would have
    waited on average for no more than half a percent of an inference, had the last frames been
    taken so. The more their times differ, the earlier that is.
    """

    def __init__(self) -> None:
        self._inferences_ns: deque[int] = deque(maxlen=_KEPT)
        self._layings_ns: deque[int] = deque(maxlen=_KEPT)

    def laid(self, nanoseconds: int) -> None:
        """Note how long it took from the moment a frame was to be taken until it was laid out.

        Waiting for a frame that was not there yet is not counted.
        """
        self._layings_ns.append(nanoseconds)

    def inferred(self, nanoseconds: int) -> None:
        """Note what an inference took."""
        self._inferences_ns.append(nanoseconds)

    def lead_ns(self) -> int:
        """How long after the start of an inference the next frame is best taken, nanoseconds."""
        inferences, layings = list(self._inferences_ns), list(self._layings_ns)
        count = min(len(inferences), len(layings))
        if count < _NEEDED:
            return 0
        # A frame taken later than this would have come too late, by the difference.
        latest = sorted(
            inference - laying
            for inference, laying in zip(inferences[-count:], layings[-count:], strict=True)
        )
        allowed = _LOSS * sum(inferences[-count:])
        # With the `late` hastiest frames too late, what they come too late by adds up to `allowed`.
        for late, total in enumerate(accumulate(latest), start=1):
            lead = (allowed + total) / late
            if late == count or lead <= latest[late]:
                return max(0, int(lead))
        raise AssertionError("the last one returns")
