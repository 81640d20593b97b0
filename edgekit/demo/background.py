"""A thread that works items off, behind a short queue, for outputs that take their time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from edgekit.core.errors import EdgekitError
from edgekit.demo.meter import Meter

__all__ = ["Background"]

T = TypeVar("T")


class Background(Generic[T]):
    """Works items off in order, in a thread of its own, which starts with the first one.

    Args:
        name: Of the thread, and of the stage that the meter counts.
        work: Called with every item.
        finish: Called once after the last, if there was one.
        meter: Gets the time of every item, and the sentence where `work` or `finish` fails with an
            EdgekitError: nothing more is worked off then, and whoever puts goes on.
        length: Items that may wait: what a hiccup of the disk must not cost.
        wait: Let `put` wait while the queue is full, instead of dropping the item.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[T], None],
        finish: Callable[[], None],
        meter: Meter,
        *,
        length: int,
        wait: bool = False,
    ) -> None:
        self._name = name
        self._work = work
        self._finish = finish
        self._meter = meter
        self._wait = wait
        self._items: queue.Queue[T | None] = queue.Queue(length)
        self._thread: Thread | None = None
        self._closed = False
        self._abandoned = False
        self._failed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items that came while the queue was full."""
        return self._dropped

    @property
    def working(self) -> bool:
        """Whether an item that is put will be worked off: not closed, not failed."""
        return not (self._closed or self._failed)

    def put(self, item: T) -> None:
        """Hand an item over; nothing where it is closed or has failed."""
        if self._thread is None and self.working:
            # A daemon: one that hangs in a write must not keep the program from ending.
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        while self.working:
            try:
                if self._wait:
                    self._items.put(item, timeout=0.1)
                else:
                    self._items.put_nowait(item)
                return
            except queue.Full:
                if not self._wait:
                    self._dropped += 1
                    return

    def close(self, timeout: float = 1.0) -> None:
        """Work off what is queued and finish, for at most so many seconds; twice is allowed."""
        if self._closed:
            return
        self._closed = True
        if self._thread is None:
            return
        deadline = time.monotonic() + timeout
        try:
            self._items.put(None, timeout=timeout)
        except queue.Full:  # it hangs in a write, and nobody waits for it
            self._abandoned = True
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        try:
            while (item := self._items.get()) is not None:
                begun = time.perf_counter_ns()
                self._work(item)
                self._meter.stage(self._name, time.perf_counter_ns() - begun)
                if self._abandoned:
                    return
            self._finish()
        except EdgekitError as error:
            self._meter.note(str(error))
        finally:
            self._failed = True
