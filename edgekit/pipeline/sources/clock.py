"""When a streamed picture was taken, from its time stamp and from when others arrived."""

from __future__ import annotations

__all__ = ["StreamClock"]

# Two clocks that are told apart by more than 200 millionths are broken; crystals keep within 100.
_DRIFT = 2e-4
# No buffer between a camera and here holds that much: the stream's own clock was set.
_JUMP_NS = 10_000_000_000
_BACK_NS = 1_000_000_000


class StreamClock:
    """Tells backlog from arrival: of frames that burst in after a pause, only the last is new.

    The smallest difference between arrival and time stamp is the way a picture takes when nothing
    holds it up. What arrives later than its time stamp and that difference say has lain somewhere.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._stamp_ns = 0
        self._arrived_ns = 0

    def captured(self, seconds: float | None, arrived_ns: int) -> int:
        """Say when a picture was taken, by `time.perf_counter_ns`; never after it arrived.

        Args:
            seconds: Its time stamp; None where it has none.
            arrived_ns: When it was here, by `time.perf_counter_ns`.
        """
        if seconds is None:
            return arrived_ns
        stamp_ns = round(seconds * 1e9)
        offset_ns = arrived_ns - stamp_ns
        if self._offset_ns is None or stamp_ns < self._stamp_ns - _BACK_NS:
            self._offset_ns = offset_ns
        else:
            drifted_ns = round((arrived_ns - self._arrived_ns) * _DRIFT)
            self._offset_ns = min(offset_ns, self._offset_ns + drifted_ns)
            if offset_ns - self._offset_ns > _JUMP_NS:
                self._offset_ns = offset_ns
        self._stamp_ns, self._arrived_ns = stamp_ns, arrived_ns
        return stamp_ns + self._offset_ns
