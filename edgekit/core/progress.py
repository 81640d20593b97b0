"""How long work reports on itself, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

__all__ = ["Progress", "Silent"]

T = TypeVar("T")


class Progress(Protocol):
    """Receives what a job is doing. The command line draws it on stderr; a program may log it."""

    def stage(self, name: str) -> None:
        """A new stage begins, for instance "export"."""
        ...

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items while showing how far along they are."""
        ...

    def note(self, message: str) -> None:
        """One sentence worth telling: a fallback, a cache hit, a skipped image."""
        ...


class Silent:
    """A Progress that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items as they are."""
        yield from items

    def note(self, message: str) -> None:
        """Say nothing."""
