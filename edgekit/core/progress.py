"""How long work reports on itself, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from edgekit.core.errors import BadInput

__all__ = ["Placed", "Position", "Progress", "Silent"]

T = TypeVar("T")


@dataclass(frozen=True)
class Position:
    """Where a stage stands in a job that knows all its stages beforehand.

    Attributes:
        number: Of the stage, from 1.
        of: Stages in all.
        seconds: How long this stage will take, by what was measured; None where nothing was.
        seconds_after: How long those after it will take together; None where that is not known.
    """

    number: int
    of: int
    seconds: float | None = None
    seconds_after: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise BadInput(f"There is no stage {self.number} of {self.of}.")


class Progress(Protocol):
    """Receives what a job is doing. The command line draws it on stderr; a program may log it."""

    def stage(self, name: str, position: Position | None = None) -> None:
        """A new stage begins, for instance "export", or a part of the stage at the same position.

        The same name at the same position again tells more of it: how long it will take.
        """
        ...

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items while showing how far along they are."""
        ...

    def note(self, message: str) -> None:
        """One sentence worth telling: a fallback, a skipped image."""
        ...


class Silent:
    """A Progress that says nothing."""

    def stage(self, name: str, position: Position | None = None) -> None:
        """Say nothing."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items as they are."""
        yield from items

    def note(self, message: str) -> None:
        """Say nothing."""


class Placed:
    """A Progress whose stages are all parts of the one at a position.

    Args:
        progress: Told of everything.
        position: Where the stages stand that do not say it.
    """

    def __init__(self, progress: Progress, position: Position) -> None:
        self._progress = progress
        self._position = position

    def stage(self, name: str, position: Position | None = None) -> None:
        """Tell of the stage at its position."""
        self._progress.stage(name, position or self._position)

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Tell of the items."""
        yield from self._progress.track(items, label, total)

    def note(self, message: str) -> None:
        """Tell of it."""
        self._progress.note(message)
