"""The threads that read a source: open it, hand its frames over, come back when it is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition, Thread, current_thread

import msgspec

from edgekit.core.errors import BadInput, EdgekitError, Unavailable
from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.slot import Closed, Handover
from edgekit.pipeline.source import FrameSource, SourceEnded, SourceLost
from edgekit.pipeline.states import StateLog

__all__ = ["Grabber", "Patience"]

# Of intervals: a camera at 2 frames a second is not stalled after one second.
_STALLED_INTERVALS = 5
# What stop() gives a blocked read before it leaves it behind; the whole demo ends within a second.
_STOP_S = 0.2


@dataclass(frozen=True)
class Patience:
    """How long a source may be silent, and how often it is asked again; seconds.

    Attributes:
        stalled_s: Without a frame until a live source is called stalled, or five of its intervals
            where that is longer.
        abandon_s: In one read or one opening until it is left behind, where a new source can be
            made.
        first_retry_s: Before the first attempt to reconnect; each further wait is twice as long,
            and a random part of up to a half is taken off, so that many do not come at once.
        last_retry_s: The longest wait.
        give_up_s: Without a frame until the source is given up; None is never.
    """

    stalled_s: float = 1.0
    abandon_s: float = 15.0
    first_retry_s: float = 0.5
    last_retry_s: float = 10.0
    give_up_s: float | None = None

    def retry_s(self, attempt: int) -> float:
        """Say how long to wait before an attempt, counted from 0."""
        longest = min(self.last_retry_s, self.first_retry_s * 2.0 ** min(attempt, 30))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret


class _Connection:
    """One opening of a source and the thread that reads it until it breaks off.

    What it notes is read and written under the grabber's lock.
    """

    def __init__(self, source: FrameSource) -> None:
        self.source = source
        self.thread: Thread | None = None
        self.opened = False
        self.frames = 0
        # Since when it has been inside a native call; None while it hands a frame over.
        self.since_ns: int | None = time.perf_counter_ns()
        self.outcome: Exception | None = None
        self.closed = False


class Grabber:
    """Reads a source in a thread of its own and puts its frames into a handover.

    A second thread watches from outside, for a read may be blocked where nothing can wake it.

    Args:
        source: What to read; opened, read and closed by the grabber alone.
        handover: Where frames go; closed at the end.
        states: Told of "connecting", "live", "stalled", "reconnecting", "ended".
        patience: How long to wait for what.
        renew: Makes the same source again, where a blocked one is left behind. Without it the
            grabber waits until the call comes back.
    """

    def __init__(
        self,
        source: FrameSource,
        handover: Handover[Frame],
        states: StateLog,
        *,
        patience: Patience | None = None,
        renew: Callable[[], FrameSource] | None = None,
    ) -> None:
        self._source = source
        self._handover = handover
        self._states = states
        self._patience = patience or Patience()
        self._renew = renew
        self._changed = Condition()
        self._stopped = False
        self._done = False
        self._failure: Exception | None = None
        self._granted: Granted | None = None
        self._connection: _Connection | None = None
        self._captured = 0
        self._next_number = 0
        self._offset = 0
        self._broken_ns = 0
        self._frame_ns = time.perf_counter_ns()
        self._watcher = Thread(target=self._watch, name="edgekit-grabber", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._frame_ns = time.perf_counter_ns()
        self._watcher.start()

    def wait_open(self, timeout: float | None = None) -> Granted | None:
        """Wait until the source is open for the first time.

        Args:
            timeout: Seconds; None is until it is open, has failed, or was stopped.

        Returns:
            What it gives; None where it is not open yet.

        Raises:
            BadInput: It will never be.
            Unavailable: It is not here.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._granted is not None or self._done, timeout)
            if self._failure is not None and self._granted is None:
                raise self._failure
            return self._granted

    def stop(self) -> None:
        """End within a second; twice is allowed. A read that stays blocked is left behind."""
        with self._changed:
            self._stopped = True
            connection = self._connection
            self._changed.notify_all()
        if connection is not None:
            connection.source.interrupt()
        self._handover.close()
        if self._watcher.is_alive() and self._watcher is not current_thread():
            self._watcher.join(4 * _STOP_S)

    @property
    def captured(self) -> int:
        """Frames that the source gave so far."""
        with self._changed:
            return self._captured

    @property
    def granted(self) -> Granted | None:
        """What the source gives, the size that of its last frame; None before it was open."""
        with self._changed:
            return self._granted

    @property
    def failure(self) -> Exception | None:
        """Why it ended, where that is an error: never there, given up, no picture."""
        with self._changed:
            return self._failure

    def _watch(self) -> None:
        """Be the watcher: one connection after the other until the end."""
        reason = ""
        try:
            reason = self._attempts()
        # Not only our own errors: whoever waits for the source must learn of a bug in it too.
        except Exception as error:
            reason = error.message if isinstance(error, EdgekitError) else repr(error)
            with self._changed:
                self._failure = error
        with self._changed:
            self._done = True
            self._connection = None
            self._changed.notify_all()
        self._states.change("ended", reason)
        self._handover.close()

    def _attempts(self) -> str:
        self._states.change("connecting")
        attempt = 0
        while True:
            connection = self._connect()
            outcome = self._follow(connection)
            if self._is_stopped():
                return ""
            if isinstance(outcome, SourceEnded):
                return str(outcome)
            reason = self._reason(outcome)
            self._broken_ns = time.perf_counter_ns()
            self._states.change("reconnecting", reason)
            attempt = 0 if connection.frames else attempt + 1
            self._pause(self._patience.retry_s(attempt), reason)
            if self._is_stopped():
                return ""

    def _is_stopped(self) -> bool:
        with self._changed:
            return self._stopped

    def _reason(self, outcome: Exception) -> str:
        """Say why it broke off, where it is worth trying again.

        Raises:
            EdgekitError: It is not.
        """
        if isinstance(outcome, SourceLost) and self._source.live:
            return outcome.reason
        lost_later = self._granted is not None and self._source.live
        if isinstance(outcome, BadInput | Unavailable) and lost_later:
            return outcome.message
        if isinstance(outcome, SourceLost):
            raise Unavailable(outcome.reason)
        raise outcome

    def _connect(self) -> _Connection:
        connection = _Connection(self._source)
        with self._changed:
            self._connection = connection
        thread = Thread(target=self._serve, args=(connection,), name="edgekit-source", daemon=True)
        connection.thread = thread
        thread.start()
        return connection

    def _follow(self, connection: _Connection) -> Exception:
        """Watch a connection until it breaks off, is left behind, or the end is asked for."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopped or connection.outcome is not None,
                    self._stalled_s() / 4,
                )
                if connection.outcome is not None or self._stopped:
                    break
                silent_s = self._silent_s(connection)
            if self._source.live and connection.frames and silent_s > self._stalled_s():
                self._states.change("stalled", f"No frame for {self._stalled_s():g} s.")
            self._check_patience()
            if self._renew is not None and silent_s > self._patience.abandon_s:
                return self._abandon(connection, self._renew)
        return self._farewell(connection)

    def _farewell(self, connection: _Connection) -> Exception:
        """Wait until it let go of the source; not for ever."""
        limit_s = _STOP_S if self._stopped else self._patience.abandon_s
        with self._changed:
            self._changed.wait_for(lambda: connection.closed, limit_s)
            outcome = connection.outcome or SourceLost("It does not answer.")
            if connection.closed or self._stopped or self._renew is None:
                return outcome
        self._abandon(connection, self._renew)
        return outcome

    def _abandon(self, connection: _Connection, renew: Callable[[], FrameSource]) -> SourceLost:
        with self._changed:
            self._connection = None
        connection.source.interrupt()
        self._source = renew()
        waited = f"{self._patience.abandon_s:g} s"
        return SourceLost(f"{self._source.name} did not answer for {waited}; it is opened anew.")

    def _silent_s(self, connection: _Connection) -> float:
        if connection.since_ns is None:
            return 0.0
        return (time.perf_counter_ns() - connection.since_ns) / 1e9

    def _stalled_s(self) -> float:
        rate = self._granted.rate if self._granted is not None else None
        return max(self._patience.stalled_s, _STALLED_INTERVALS / rate if rate else 0.0)

    def _check_patience(self) -> None:
        """Give up where that time has come.

        Raises:
            Unavailable: It has.
        """
        limit_s = self._patience.give_up_s
        if limit_s is None or not self._source.live:
            return
        with self._changed:
            connection = self._connection
            busy = connection is not None and connection.since_ns is None
            silent_s = (time.perf_counter_ns() - self._frame_ns) / 1e9
        if not busy and silent_s > limit_s:
            if connection is not None:
                connection.source.interrupt()
            raise Unavailable(f"{self._source.name} gave no frame for {limit_s:g} s.")

    def _pause(self, seconds: float, reason: str) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._check_patience()
            except Unavailable as error:
                raise Unavailable(error.message, hint=reason) from None
            with self._changed:
                if self._changed.wait_for(lambda: self._stopped, min(left, 0.25)):
                    return

    def _serve(self, connection: _Connection) -> None:
        """Be the reader: open, read, hand over, close."""
        outcome: Exception
        try:
            granted = connection.source.open()
            with self._changed:
                if connection is self._connection:
                    self._granted = granted
                    connection.opened = True
                    connection.since_ns = time.perf_counter_ns()
                    self._changed.notify_all()
            while self._hand_over(connection, connection.source.read()):
                pass
            outcome = SourceEnded()
        except Closed:
            outcome = SourceEnded()
        # Whatever a library raises must reach the watcher, or the demo would hang.
        except Exception as error:
            outcome = error
        with self._changed:
            connection.outcome = outcome
            self._changed.notify_all()
        try:
            connection.source.close()
        finally:
            with self._changed:
                connection.closed = True
                self._changed.notify_all()

    def _hand_over(self, connection: _Connection, frame: Frame) -> bool:
        """Put a frame; False where this connection was left behind in the meantime."""
        with self._changed:
            if connection is not self._connection or self._stopped:
                return False
            # Taken before the break, and lain in some buffer since.
            if connection.source.live and frame.captured_ns < self._broken_ns:
                return True
            number = frame.number + self._offset
            if number < self._next_number:
                self._offset += self._next_number - number
                number = self._next_number
            self._next_number = number + 1
            self._captured += 1
            connection.frames += 1
            connection.since_ns = None
            self._frame_ns = time.perf_counter_ns()
            self._note_size(frame)
        self._states.change("live")
        self._handover.put(frame if number == frame.number else replace(frame, number=number))
        with self._changed:
            connection.since_ns = time.perf_counter_ns()
        return True

    def _note_size(self, frame: Frame) -> None:
        height, width = frame.pixels.shape[:2]
        granted = self._granted
        if granted is not None and (granted.width, granted.height) != (width, height):
            self._granted = msgspec.structs.replace(granted, width=width, height=height)
