"""`edgekit cache`: what is cached, how large, and what goes first."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from edgekit.core.documents import CacheDocument, CacheEntry
from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress
from edgekit.core.sizes import parse_size
from edgekit.jobs.steps.cache import (
    RECORD,
    cache_root,
    lock_file,
    locked_keys,
    records,
    unfinished,
)
from edgekit.jobs.steps.lease import keys_in_use

__all__ = ["keep_within_limit", "list_cache", "prune"]

_LIMIT = "10GB"


@dataclass(frozen=True)
class _Found:
    """One folder of the cache.

    Attributes:
        used: When it was last used, seconds since the epoch, by this machine's clock.
    """

    folder: Path
    entry: CacheEntry
    used: float


def list_cache() -> CacheDocument:
    """See edgekit.api.cache_list."""
    entries = tuple(found.entry for found in _found())
    return _document(entries, ())


def prune(
    *, limit: str | None, older_than_days: float | None, everything: bool, progress: Progress
) -> CacheDocument:
    """See edgekit.api.cache_prune."""
    bound = _limit() if limit is None else parse_size(limit)
    progress.stage("prune")
    _remove_left_over()
    removed: list[CacheEntry] = []
    kept: list[_Found] = []
    for found in _found():
        reason = _outright(found, older_than_days, everything=everything)
        if reason and _remove(found):
            removed.append(msgspec.structs.replace(found.entry, reason=reason))
        else:
            kept.append(found)
    removed += _down_to(bound, kept)
    return _document(tuple(found.entry for found in _found()), tuple(removed))


def keep_within_limit(progress: Progress) -> None:
    """Remove what was used longest ago until the cache keeps its limit.

    What a running process uses stays.
    """
    _remove_left_over()
    found = list(_found())
    removed = _down_to(_limit(), found)
    if removed:
        size = sum(entry.size_bytes for entry in removed)
        progress.note(
            f"The cache exceeded its limit: {len(removed)} stages ({size / 1e6:.0f} MB) that were "
            "used longest ago were removed."
        )


def _limit() -> int:
    chosen = os.environ.get("EDGEKIT_CACHE_LIMIT")
    if not chosen:
        return parse_size(_LIMIT)
    try:
        return parse_size(chosen)
    except BadInput as error:
        raise BadInput(f"EDGEKIT_CACHE_LIMIT: {error.message}", hint=error.hint) from error


def _found() -> Iterator[_Found]:
    used = keys_in_use(cache_root())
    for folder, record in records():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        try:
            touched = (folder / RECORD).stat().st_mtime
        except OSError:
            touched = 0.0
        yield _Found(
            folder,
            CacheEntry(
                stage=folder.parent.name,
                subject=record.subject if record is not None else "",
                key=folder.name,
                created=record.created if record is not None else "",
                used=datetime.fromtimestamp(touched, timezone.utc).isoformat(timespec="seconds"),
                size_bytes=size,
                in_use=folder.name in used,
                reason="" if record is not None else "It has no record that can be read.",
            ),
            touched,
        )


def _outright(found: _Found, older_than_days: float | None, *, everything: bool) -> str:
    """Why one goes whatever the size of the cache; empty where it may stay."""
    if everything:
        return "Everything was asked for."
    if found.entry.reason:
        return found.entry.reason
    # Where the clock went back, an age below zero is no age.
    days = max(0.0, (time.time() - found.used) / 86400)
    if older_than_days is not None and days > older_than_days:
        return f"It was not used for {days:.0f} days."
    return ""


def _down_to(limit: int, found: list[_Found]) -> list[CacheEntry]:
    """Remove what was used longest ago until the rest fits the limit."""
    size = sum(one.entry.size_bytes for one in found)
    removed = []
    for one in sorted(found, key=lambda each: each.used):
        if size <= limit:
            break
        if _remove(one):
            size -= one.entry.size_bytes
            reason = f"Used longest ago, and the cache exceeded {limit / 1e6:g} MB."
            removed.append(msgspec.structs.replace(one.entry, reason=reason))
    return removed


def _remove(found: _Found) -> bool:
    """Remove one unless a running process makes or uses it."""
    key = found.entry.key
    lock = FileLock(lock_file(key))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    try:
        # Whoever wants it says so before waiting for this lock, so this look is the last word.
        if key in keys_in_use(cache_root()):
            return False
        shutil.rmtree(found.folder, ignore_errors=True)
        return not found.folder.exists()
    finally:
        lock.release()


def _remove_left_over() -> None:
    """Remove what killed processes were making, and the locks of what is not there any more."""
    kept = {folder.name for folder, _ in records()}
    left: dict[str, list[Path]] = {key: [] for key in locked_keys() if key not in kept}
    for folder, key in unfinished():
        left.setdefault(key, []).append(folder)
    for key, folders in left.items():
        path = lock_file(key)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if key not in kept:
            # Who opened it before and waits may make a stage that another makes too: that costs
            # time, and each is put in place whole.
            with contextlib.suppress(OSError):
                path.unlink()
        lock.release()


def _document(entries: tuple[CacheEntry, ...], removed: tuple[CacheEntry, ...]) -> CacheDocument:
    by_stage: dict[str, int] = {}
    for entry in entries:
        by_stage[entry.stage] = by_stage.get(entry.stage, 0) + entry.size_bytes
    return CacheDocument(
        folder=str(cache_root()),
        size_bytes=sum(entry.size_bytes for entry in entries),
        limit_bytes=_limit(),
        by_stage=by_stage,
        entries=entries,
        removed=removed,
    )
