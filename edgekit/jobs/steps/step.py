"""The stages of one job: each taken from the cache or made, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgekit.core.documents import DeployStage
from edgekit.core.progress import Placed, Position, Progress
from edgekit.core.stage import StageRecord
from edgekit.jobs.steps.cache import Stored, fetch, key_of, lookup, records
from edgekit.jobs.steps.course import Course

__all__ = ["Missing", "Stages"]


class Missing(Exception):
    """In a dry run: a stage is not in the cache, so what it makes is not known."""


class Stages:
    """Fetches the stages of a job and keeps a line on each.

    Args:
        progress: Told of every hit and miss.
        course: All the stages to come, where they are known.
        dry: Only look; a stage that is not there raises Missing.
    """

    def __init__(
        self, progress: Progress, course: Course | None = None, *, dry: bool = False
    ) -> None:
        self.dry = dry
        self.done: list[DeployStage] = []
        self._progress = progress
        self._course = course
        self._position: Position | None = None
        # Of earlier runs; read when the first stage is made, which is late enough.
        self._history: list[StageRecord] | None = None

    @property
    def progress(self) -> Progress:
        """Told of what happens inside the present stage."""
        return Placed(self._progress, self._position) if self._position else self._progress

    def begin(self, stage: str, subject: str) -> None:
        """Go on to a stage; whether it is in the cache is not known yet."""
        position = self._course.position(stage, subject) if self._course is not None else None
        if position is not None:
            timed = self._history is not None
            self._position = self._timed(position) if timed else position

    def fetch(
        self,
        stage: str,
        subject: str,
        parts: Mapping[str, str],
        make: Callable[[Path], object],
        *,
        usable: Callable[[Stored], str] | None = None,
    ) -> Stored:
        """See edgekit.jobs.steps.cache.fetch.

        Raises:
            Missing: In a dry run, where it is not in the cache.
        """
        self.begin(stage, subject)
        if self.dry:
            stored = lookup(stage, parts)
            reason = usable(stored) if stored is not None and usable is not None else ""
            if stored is None or reason:
                raise Missing(stage, subject)
        else:

            def made(folder: Path) -> None:
                self._say_how_long(f"{stage} of {subject}")
                make(folder)

            stored = fetch(stage, subject, parts, made, progress=self.progress, usable=usable)
        self.note(stored)
        return stored

    def _say_how_long(self, name: str) -> None:
        """A stage is made after all: from now on the time that is left is worth telling."""
        if self._position is not None:
            self._position = self._timed(self._position)
            self.progress.stage(name)

    def _timed(self, position: Position) -> Position:
        assert self._course is not None
        if self._history is None:
            self._history = [record for _, record in records() if record is not None]
        return self._course.timed(position, self.done, self._history)

    def note(self, stored: Stored) -> None:
        """Keep the line of a stage that was fetched elsewhere."""
        record = stored.record
        self.done.append(
            DeployStage(
                stage=record.stage,
                subject=record.subject,
                key=key_of(record.stage, record.parts),
                hit=stored.hit,
                reason=stored.reason,
                seconds=record.seconds,
                size_bytes=record.size_bytes,
                created=record.created,
            )
        )
