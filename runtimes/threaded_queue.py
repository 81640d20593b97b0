"""A queue of requests for engines that have none: one thread for each that may be in flight."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue

__all__ = ["ThreadedQueue"]


class ThreadedQueue:
    """Runs calls side by side; see edgekit.core.runtime.Queue.

    The threads end with the queue, and with the program.

    Args:
        runs: One inference each, on buffers of its own; the engine must let go of Python's lock
            while it computes.
    """

    def __init__(self, runs: Sequence[Callable[[], object]]) -> None:
        self._depth = len(runs)
        self._work: SimpleQueue[int | None] = SimpleQueue()
        self._free: SimpleQueue[int] = SimpleQueue()
        self._errors: list[Exception] = []
        for slot, run in enumerate(runs):
            self._free.put(slot)
            threading.Thread(
                target=_serve, args=(run, self._work, self._free, self._errors), daemon=True
            ).start()
        weakref.finalize(self, _stop, self._work, self._depth)

    @property
    def depth(self) -> int:
        """Inferences in flight at most."""
        return self._depth

    def submit(self) -> None:
        """Start one inference; waits while `depth` are in flight.

        Raises:
            Exception: What an earlier one raised.
        """
        slot = self._free.get()
        if self._errors:
            self._free.put(slot)
            self.drain()
        self._work.put(slot)

    def drain(self) -> None:
        """Wait until all are done.

        Raises:
            Exception: What one of them raised.
        """
        slots = [self._free.get() for _ in range(self._depth)]
        for slot in slots:
            self._free.put(slot)
        if self._errors:
            error = self._errors[0]
            self._errors.clear()
            raise error


def _serve(
    run: Callable[[], object],
    work: SimpleQueue[int | None],
    free: SimpleQueue[int],
    errors: list[Exception],
) -> None:
    take, give = work.get, free.put
    while (slot := take()) is not None:
        try:
            run()
        except Exception as error:
            errors.append(error)
        give(slot)


def _stop(work: SimpleQueue[int | None], threads: int) -> None:
    for _ in range(threads):
        work.put(None)
