"""A video file that plays at its own rate, as a camera would: who is slow misses frames."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import msgspec

from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.source import SourceEnded
from edgekit.pipeline.sources.video import OpenedVideo

__all__ = ["PacedVideo"]

_SECOND_NS = 1_000_000_000
# Where decoding is slower than the video, one frame is shown this often, late as it is.
_AT_LEAST_EVERY_NS = _SECOND_NS // 4
# A file that says nothing of its rate.
_USUAL_RATE = 25.0


class PacedVideo:
    """Frames of a video file, each when it is due; what is overdue is decoded and left out.

    A frame's capture is the moment at which it is due, so its age tells how late it is. After a
    second's delay (a suspended laptop, a machine slower than the video) the rest is played later.

    Args:
        path: Any format that PyAV's FFmpeg reads.
        rate: Frames a second to play it at; None is its own.
    """

    def __init__(self, path: Path, *, rate: float | None = None) -> None:
        self._recording = OpenedVideo(path)
        self._asked_rate = rate
        self._interval_ns = 0
        self._speed = 1.0
        self._interrupted = Event()
        self._number = -1
        self._position_s = 0.0
        self._start_ns: int | None = None
        self._catching_up_ns: int | None = None

    @property
    def name(self) -> str:
        """See FrameSource."""
        return str(self._recording.path)

    @property
    def live(self) -> bool:
        """See FrameSource."""
        return True

    def open(self) -> Granted:
        """See FrameSource."""
        granted = self._recording.open()
        own = granted.rate or _USUAL_RATE
        rate = self._asked_rate or own
        self._speed = rate / own
        self._interval_ns = round(_SECOND_NS / rate)
        self._start_ns = None
        return msgspec.structs.replace(granted, rate=rate)

    def read(self) -> Frame:
        """See FrameSource."""
        while not self._interrupted.is_set():
            begin_ns = time.perf_counter_ns()
            picture, position_s = self._recording.next()
            self._count(position_s)
            due_ns = self._due_ns(position_s)
            if self._is_overdue(due_ns):
                continue
            pixels = self._recording.decoding.pixels(picture)
            ready_ns = time.perf_counter_ns()
            self._interrupted.wait(max(0, due_ns - ready_ns) / 1e9)
            return Frame(pixels, self._number, due_ns, ready_ns - begin_ns, position_s)
        raise SourceEnded

    def interrupt(self) -> None:
        """See FrameSource."""
        self._interrupted.set()

    def close(self) -> None:
        """See FrameSource."""
        self._recording.close()

    def _count(self, position_s: float | None) -> None:
        """Number the picture; those that the decoder left out are counted by their time."""
        step = 1
        if position_s is not None:
            if self._catching_up_ns is not None:
                passed_ns = (position_s - self._position_s) / self._speed * _SECOND_NS
                step = max(1, round(passed_ns / self._interval_ns))
            self._position_s = position_s
        self._number += step

    def _due_ns(self, position_s: float | None) -> int:
        if position_s is None:
            place_ns = self._number * self._interval_ns
        else:
            place_ns = round(position_s / self._speed * _SECOND_NS)
        now_ns = time.perf_counter_ns()
        if self._start_ns is None:
            self._start_ns = now_ns - place_ns
        late_ns = now_ns - self._start_ns - place_ns
        # Who took the first frame may have had to compile a model for its size: nothing is late.
        if late_ns > (0 if self._number == 1 else _SECOND_NS):
            self._start_ns += late_ns
        return self._start_ns + place_ns

    def _is_overdue(self, due_ns: int) -> bool:
        now_ns = time.perf_counter_ns()
        overdue = now_ns - due_ns > self._interval_ns
        self._recording.decoding.skip_unneeded(overdue)
        if not overdue:
            self._catching_up_ns = None
            return False
        if self._catching_up_ns is None:
            self._catching_up_ns = now_ns
        if now_ns - self._catching_up_ns < _AT_LEAST_EVERY_NS:
            return True
        self._catching_up_ns = now_ns
        return False
