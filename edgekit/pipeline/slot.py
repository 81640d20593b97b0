"""Between two threads: the newest frame only, or a short queue that makes the faster one wait."""

from __future__ import annotations

from threading import Condition
from typing import Generic, Protocol, TypeVar

__all__ = ["Closed", "Handover", "NewestSlot", "ShortQueue"]

T = TypeVar("T")


class Closed(Exception):
    """There is nothing more to take, or nobody who takes."""


class Handover(Protocol[T]):
    """One thread puts, another takes."""

    def put(self, item: T) -> None:
        """Hand an item over.

        Raises:
            Closed: It was closed.
        """
        ...

    def take(self, timeout: float | None = None) -> T | None:
        """Wait for an item; None where none came within `timeout` seconds.

        Raises:
            Closed: It was closed, and what was in it has been taken.
        """
        ...

    def close(self) -> None:
        """Wake up both sides; twice is allowed."""
        ...

    @property
    def dropped(self) -> int:
        """Items that were put and that nobody will take."""
        ...


class NewestSlot(Generic[T]):
    """Holds one item; a newer one replaces it, so what is taken is never older than it must be."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: T | None = None
        self._closed = False
        self._dropped = 0

    def put(self, item: T) -> None:
        """See Handover; never waits."""
        with self._changed:
            if self._closed:
                raise Closed
            self._dropped += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self, timeout: float | None = None) -> T | None:
        """See Handover."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            if item is None and self._closed:
                raise Closed
            return item

    def close(self) -> None:
        """See Handover."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def dropped(self) -> int:
        """See Handover."""
        with self._changed:
            return self._dropped


class ShortQueue(Generic[T]):
    """Holds a few items in order; `put` waits while it is full, so nothing is dropped.

    Args:
        length: Items that it holds at most.
    """

    def __init__(self, length: int) -> None:
        self._changed = Condition()
        self._items: list[T] = []
        self._length = length
        self._closed = False

    def put(self, item: T) -> None:
        """See Handover."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._length or self._closed)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> T | None:
        """See Handover."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            if not self._items:
                if self._closed:
                    raise Closed
                return None
            item = self._items.pop(0)
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """See Handover."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def dropped(self) -> int:
        """See Handover; always 0."""
        return 0
