"""The stages of one job: each taken from the cache or made, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgekit.core.documents import DeployStage
from edgekit.core.progress import Progress
from edgekit.jobs.caching.store import Stored, fetch, key_of, lookup

__all__ = ["Missing", "Stages"]


class Missing(Exception):
    """In a dry run: a stage is not in the cache, so what it makes is not known."""


class Stages:
    """Fetches the stages of a job and keeps a line on each.

    Args:
        progress: Told of every hit and miss.
        dry: Only look; a stage that is not there raises Missing.
    """

    def __init__(self, progress: Progress, *, dry: bool = False) -> None:
        self.progress = progress
        self.dry = dry
        self.done: list[DeployStage] = []

    def fetch(
        self,
        stage: str,
        subject: str,
        parts: Mapping[str, str],
        make: Callable[[Path], object],
        *,
        usable: Callable[[Stored], str] | None = None,
    ) -> Stored:
        """See edgekit.jobs.caching.store.fetch.

        Raises:
            Missing: In a dry run, where it is not in the cache.
        """
        if self.dry:
            stored = lookup(stage, parts)
            reason = usable(stored) if stored is not None and usable is not None else ""
            if stored is None or reason:
                raise Missing(stage, subject)
        else:
            stored = fetch(stage, subject, parts, make, progress=self.progress, usable=usable)
        self.note(stored)
        return stored

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
