"""Threads that work on one inlet and end together, whichever of them ends first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread

from edgekit.pipeline.frame import Frame
from edgekit.pipeline.slot import Closed, Handover
from edgekit.pipeline.turns import hurry, leave_hurry

__all__ = ["Crew"]

# How long `stop` waits for frames being laid out or delivered.
_PATIENCE_S = 0.8


class Crew:
    """Base of what answers frames with several threads; they end together, and close the inlet.

    Attributes:
        finished: Set when all threads have ended: the inlet was closed and what was in flight is
            answered, or it was stopped, or it failed.
    """

    def __init__(self, inlet: Handover[Frame], works: Mapping[str, Callable[[], None]]) -> None:
        self._inlet = inlet
        self._stopping = False
        self._failure: BaseException | None = None
        self._ending = Lock()
        self._threads = [
            Thread(target=self._guard, args=(work,), name=f"edgekit-{name}", daemon=True)
            for name, work in works.items()
        ]
        self._running = len(self._threads)
        self._started = False
        self.finished = Event()

    def start(self) -> None:
        """Begin to take frames; until it is finished, Python's threads take turns more often."""
        hurry()
        self._started = True
        for thread in self._threads:
            thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is finished; return whether it is.

        Args:
            timeout: Seconds at most; None waits for as long as it takes.

        Raises:
            BaseException: What a thread or `deliver` raised; once, here or by `stop`.
        """
        done = self.finished.wait(timeout)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return done

    def stop(self) -> None:
        """End within a second; what is in flight is dropped, and a running inference waited for.

        Raises:
            BaseException: What a thread or `deliver` raised; once, here or by `join`.
        """
        self._halt()
        if self._started:
            # Whoever closes the session afterwards must not do so under a running inference.
            self._wait_for_inferences()
        else:
            self.finished.set()
        self.join(_PATIENCE_S)

    def _wake(self) -> None:
        """Wake every thread that waits, so that it sees the end; under the lock it waits with."""
        raise NotImplementedError

    def _wait_for_inferences(self) -> None:
        """Return when no inference runs, and none will begin."""
        raise NotImplementedError

    def _halt(self, failure: BaseException | None = None) -> None:
        with self._ending:
            self._stopping = True
            if self._failure is None:
                self._failure = failure
        self._wake()
        self._inlet.close()

    def _guard(self, work: Callable[[], None]) -> None:
        """Run one thread's work; whatever it raises ends the others."""
        try:
            work()
        except Closed:
            self._halt()
        except BaseException as error:
            self._halt(error)
        finally:
            with self._ending:
                self._running -= 1
                last = self._running == 0
            if last:
                leave_hurry()
                self._inlet.close()
                self.finished.set()
