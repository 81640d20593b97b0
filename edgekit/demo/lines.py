"""Detections as lines of JSON, one a frame, to a file or to stdout."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec

from edgekit.core.destination import LINES, Destination
from edgekit.core.documents import DemoFrame
from edgekit.core.errors import Unwritable
from edgekit.demo.background import Background
from edgekit.demo.meter import Meter
from edgekit.demo.output import AnsweredFrame

__all__ = ["DocumentLines"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# A reader may look away for half a minute at 30 frames a second, for a few hundred kilobytes.
_WAITING = 1000


class DocumentLines:
    """Writes one `edgekit.demo-frame/1` document a line, each at once.

    Args:
        where: A file, or "-" for stdout.
        meter: Is told "lines" a frame, and why the lines ended early.
        force: Replace an existing file.
        every: Write every line and let the demo wait for a slow reader; without it lines are
            dropped once a thousand wait.
        inputs: What must not be overwritten.

    Raises:
        BadInput: The file exists.
        Unwritable: It cannot be written.
    """

    def __init__(
        self,
        where: str | Path,
        meter: Meter,
        *,
        force: bool = False,
        every: bool = False,
        inputs: Sequence[Path] = (),
    ) -> None:
        self._place: Destination | None = None
        if str(where) != "-":
            self._place = Destination(
                Path(where), LINES, force=force, option="--detections", inputs=inputs
            )
        self._file: io.FileIO | None = None
        self._whole = 0
        self._first_ns: int | None = None
        self._reader_left = False
        self._work = Background(
            "lines", self._write, lambda: None, meter, length=_WAITING, wait=every
        )

    @property
    def wants_picture(self) -> bool:
        """See Output; never."""
        return False

    @property
    def dropped(self) -> int:
        """Frames without a line, because the reader was behind."""
        return self._work.dropped

    def show(self, view: AnsweredFrame) -> None:
        """See Output.

        Raises:
            BrokenPipeError: Nobody reads stdout any more: the command ends as after `| head`.
        """
        if self._reader_left:
            raise BrokenPipeError
        if self._work.working:
            self._work.put(self._line(view))

    def close(self) -> None:
        """See Output."""
        self._work.close()
        if self._file is not None:
            self._file.close()

    def _line(self, view: AnsweredFrame) -> bytes:
        frame = view.answer.frame
        if self._first_ns is None:
            self._first_ns = frame.captured_ns
        # By the clock of now, so that a clock that was set meanwhile is followed.
        captured_ns = time.time_ns() - (time.perf_counter_ns() - frame.captured_ns)
        captured = _EPOCH + timedelta(microseconds=captured_ns // 1000)
        height, width = frame.pixels.shape[:2]
        head = DemoFrame(
            frame=frame.number,
            captured=captured.isoformat(timespec="microseconds"),
            at_s=round((frame.captured_ns - self._first_ns) / 1e9, 6),
            position_s=frame.position_s,
            age_ms=round(view.answer.age_ns / 1e6, 3),
            width=width,
            height=height,
        )
        plain = {**msgspec.to_builtins(head), **view.prediction.to_dict()}
        return msgspec.json.encode(plain) + b"\n"

    def _write(self, line: bytes) -> None:
        try:
            if self._place is None:
                _to_stdout(line)
                return
            if self._file is None:
                # Not before there is something: a demo that fails to start replaces nothing.
                self._file = self._place.create()
            _all_of(line, self._file.fileno())
            self._whole += len(line)
        except BrokenPipeError:
            self._reader_left = True
        except OSError as error:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file.fileno(), self._whole)
            place = self._place.path if self._place is not None else "stdout"
            reason = (error.strerror or str(error)).lower()
            raise Unwritable(
                f"The detections in {place} ended early: {reason}.",
                hint="The lines before are whole; the demo goes on.",
            ) from error


def _to_stdout(line: bytes) -> None:
    try:
        handle = sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):
        sys.stdout.write(line.decode())
        return
    # Past Python's buffer: a thread that hangs in a full pipe would hold its lock, and Python
    # aborts at its own end when it cannot take it.
    _all_of(line, handle)


def _all_of(line: bytes, handle: int) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(handle, rest) :]
