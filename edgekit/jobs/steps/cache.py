"""The cache: a finished stage is found again by the content of everything it was made from.

Layout of the cache folder:

    stages/STAGE/KEY/           what the stage made, and stage.json
    stages/STAGE/.KEY.xxxxxxxx/ being made; renamed to KEY when whole
    locks/KEY.lock              held while KEY is made
    running/ID.lock, ID.keys    held by a running process; the keys it uses, which nobody prunes
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import platformdirs
from filelock import FileLock, Timeout

from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import atomic_folder, sha256_file, write_bytes, writing
from edgekit.core.json_text import read_json
from edgekit.core.manifest import ManifestFile
from edgekit.core.private import exposed, make_private
from edgekit.core.progress import Progress
from edgekit.core.stage import StageRecord
from edgekit.jobs.steps.lease import lease

__all__ = [
    "RECORD",
    "CacheUnwritable",
    "Stored",
    "Words",
    "cache_root",
    "exclusive",
    "fetch",
    "key_of",
    "lock_file",
    "locked_keys",
    "lookup",
    "records",
    "stage_folder",
    "unfinished",
]

RECORD = "stage.json"
_WAIT_SECONDS = 0.05
_KEY = re.compile(r"[0-9a-f]{64}")
# Parts whose values are words and not sums.
_TOLD = ("runtime", "device", "target")
_HINT = "Free some space with `edgekit cache prune`, or set EDGEKIT_CACHE to another folder."
# A disk that does not take so little is full, whatever a library says of it.
_LITTLE_BYTES = 1 << 16


class CacheUnwritable(Unwritable):
    """The cache cannot be written, or others can write it: that ends the job.

    It is no fault of a model, an engine or a bundle.

    What is finished stays in the cache.
    """


@dataclass(frozen=True)
class Stored:
    """A finished stage.

    Attributes:
        folder: Where its files lie.
        record: What is known of it.
        hit: Whether it was there already.
        reason: One sentence: why it was taken or made.
    """

    folder: Path
    record: StageRecord
    hit: bool
    reason: str


@dataclass(frozen=True)
class Words:
    """How a kind of stage tells of hits and misses.

    Attributes:
        found: Of the parts, what is said of one that is there; it stands before the cache's own.
        again: Of the parts before and now, why it is made again; empty leaves it to the cache.
    """

    found: Callable[[Mapping[str, str]], str]
    again: Callable[[Mapping[str, str], Mapping[str, str]], str]


def cache_root() -> Path:
    """Folder of the cache: EDGEKIT_CACHE, or the user's cache folder.

    Raises:
        CacheUnwritable: Others can write it, or put another in its place.
    """
    chosen = os.environ.get("EDGEKIT_CACHE")
    root = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("edgekit"))
    _refuse_exposed(root)
    return root


def _refuse_exposed(folder: Path) -> None:
    found = exposed(folder)
    if found is not None:
        raise CacheUnwritable(
            f"The cache is not used, because others can change the engines in it: {found}.",
            hint=f"{found.remedy}; or set EDGEKIT_CACHE to a folder of your own.",
        )


def key_of(stage: str, parts: Mapping[str, str]) -> str:
    """Return the key of a stage: sha256 over its name and everything it depends on."""
    content = msgspec.json.encode([stage, sorted(parts.items())])
    return hashlib.sha256(content).hexdigest()


def stage_folder(stage: str, key: str) -> Path:
    """Where a stage's files lie once it is finished."""
    return cache_root() / "stages" / stage / key


def lookup(stage: str, parts: Mapping[str, str]) -> Stored | None:
    """Return a finished stage if it is in the cache, whole."""
    folder = stage_folder(stage, key_of(stage, parts))
    _refuse_exposed(folder.parent)
    record = _read(folder)
    if record is None or _damage(folder, record):
        return None
    return Stored(folder, record, hit=True, reason=_found(record))


def fetch(
    stage: str,
    subject: str,
    parts: Mapping[str, str],
    make: Callable[[Path], object],
    *,
    progress: Progress,
    force: bool = False,
    usable: Callable[[Stored], str] | None = None,
    words: Words | None = None,
    needs_bytes: int = _LITTLE_BYTES,
) -> Stored:
    """Take a stage from the cache, or make it and keep it.

    Two processes that want the same stage: the second waits and then finds it. What is being made
    has a temporary name, so a process that dies leaves nothing that could be taken for whole.

    Args:
        stage: Its name.
        subject: What it is made for, in words.
        parts: Everything the result depends on: contents as sha256, options, tools.
        make: Writes the files into an empty folder.
        progress: Told of every hit and miss, and why.
        force: Make it although it is there.
        usable: Says why what is there must not be used; empty where it may.
        words: How this kind of stage says it, where it has words of its own.
        needs_bytes: What it takes on the disk, about: where `make` fails and the disk takes no more
            than that, the disk is to blame, whatever a library calls it.

    Raises:
        CacheUnwritable: The cache cannot be written; what else `make` raises passes through.
    """
    key = key_of(stage, parts)
    folder = stage_folder(stage, key)
    found = words.found(parts) if words is not None else ""
    lease(cache_root()).use(key)
    with _blaming_the_cache(_LITTLE_BYTES), writing(folder.parent):
        make_private(folder.parent)
    _refuse_exposed(folder.parent)
    with _locked(key, f"{stage} of {subject}", progress):
        reason = "it was asked for" if force else ""
        record = _read(folder)
        if record is not None and not reason:
            damaged = _damage(folder, record)
            stored = Stored(folder, record, hit=True, reason=_found(record, found))
            reason = damaged or (usable(stored) if usable is not None else "")
            if not reason:
                _touch(folder)
                progress.stage(f"{stage} of {subject}: {stored.reason}")
                return stored
        why = _sentence(
            f"made again: {reason}" if reason else _why(stage, subject, key, parts, words)
        )
        progress.stage(f"{stage} of {subject}: {why}")
        start = time.perf_counter()
        with _blaming_the_cache(needs_bytes), atomic_folder(folder, private=True) as temporary:
            make(temporary)
            record = StageRecord(
                stage=stage,
                subject=subject,
                key=key,
                parts=dict(parts),
                created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                seconds=round(time.perf_counter() - start, 3),
                files=_files(temporary),
            )
            content = msgspec.json.format(msgspec.json.encode(record))
            write_bytes(temporary / RECORD, content)
    return Stored(folder, record, hit=False, reason=why)


def records(stage: str | None = None) -> Iterator[tuple[Path, StageRecord | None]]:
    """Yield every folder of the cache with its record; None where it has none that can be read."""
    for place in sorted((cache_root() / "stages").glob(stage or "*")):
        # A folder that is no stage is somebody's, where EDGEKIT_CACHE names a folder in use.
        found = [one for one in sorted(place.glob("*")) if _KEY.fullmatch(one.name)]
        if found:
            _refuse_exposed(place)
        for folder in found:
            if folder.is_dir():
                yield folder, _read(folder)


def unfinished() -> Iterator[tuple[Path, str]]:
    """Yield every folder that a process is making or that a killed one left, with its key."""
    for folder in cache_root().glob("stages/*/.*"):
        key = folder.name[1:].partition(".")[0]
        if folder.is_dir() and _KEY.fullmatch(key):
            yield folder, key


def locked_keys() -> Iterator[str]:
    """Yield the key of every stage that has a lock, which stays when the lock is let go of."""
    for path in (cache_root() / "locks").glob("*.lock"):
        if _KEY.fullmatch(path.stem):
            yield path.stem


def lock_file(name: str) -> Path:
    """Where the lock of a stage's key, or of the whole cache, lies."""
    return cache_root() / "locks" / f"{name}.lock"


@contextmanager
def exclusive(name: str, what: str, progress: Progress) -> Iterator[None]:
    """Hold a lock of the whole cache, for work that two processes must not do at once.

    Args:
        name: Of the lock.
        what: What is waited for, for the note.
        progress: Told of waiting.
    """
    with _locked(name, what, progress):
        yield


@contextmanager
def _blaming_the_cache(needs_bytes: int) -> Iterator[None]:
    """Where the cache does not take what is written, say that and not what it led to.

    Libraries say many things when a disk is full; what counts is whether there is room.
    """
    root = cache_root()
    try:
        yield
    except Unwritable as error:
        # A message calls a path of the cache by what lies there for the user.
        if str(root) not in error.path and str(root) not in error.message:
            raise
        raise _unwritable(error.message.rpartition(" cannot be written: ")[2]) from error
    except Exception as error:
        try:
            make_private(root)
            with tempfile.TemporaryFile(dir=root) as file:
                file.write(bytes(needs_bytes))
                file.flush()
        except OSError as full:
            raise _unwritable(f"{(full.strerror or str(full)).lower()}.") from error
        raise


def _unwritable(reason: str) -> CacheUnwritable:
    return CacheUnwritable(f"The cache {cache_root()} cannot be written: {reason}", hint=_HINT)


@contextmanager
def _locked(name: str, what: str, progress: Progress) -> Iterator[None]:
    path = lock_file(name)
    with _blaming_the_cache(_LITTLE_BYTES), writing(path):
        make_private(path.parent)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=_WAIT_SECONDS)
        except Timeout:
            progress.note(f"Waiting for another process: {what}.")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _read(folder: Path) -> StageRecord | None:
    try:
        return read_json(folder / RECORD, StageRecord)
    except BadInput:
        return None


def _files(folder: Path) -> dict[str, ManifestFile]:
    return {
        path.relative_to(folder).as_posix(): ManifestFile(sha256_file(path), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / RECORD
    }


def _damage(folder: Path, record: StageRecord) -> str:
    """The first file that is not what was written; empty where all are."""
    if exposed(folder / RECORD) is not None:
        return "others could change it in the cache"
    for name, expected in record.files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing from the cache"
        if exposed(path) is not None:
            return f"others could change {name} in the cache"
        if path.stat().st_size != expected.size_bytes or sha256_file(path) != expected.sha256:
            return f"{name} in the cache is damaged"
    return ""


def _touch(folder: Path) -> None:
    """Note that it was used, for whoever prunes; a cache that cannot be written still serves."""
    try:
        os.utime(folder / RECORD)
    except OSError:
        return


def _found(record: StageRecord, words: str = "") -> str:
    said = f"{words}, " if words else ""
    return f"{said}from the cache ({record.key[:12]}), made {record.created}."


def _why(stage: str, subject: str, key: str, parts: Mapping[str, str], words: Words | None) -> str:
    """Why a stage is made: what differs from the last time it was made for this subject."""
    earlier = [
        record
        for _, record in records(stage)
        if record is not None and record.subject == subject and record.key != key
    ]
    if not earlier:
        return "made for the first time"
    nearest = max(earlier, key=lambda record: record.created)
    own = words.again(nearest.parts, parts) if words is not None else ""
    if own:
        return own
    names = sorted(
        name
        for name in parts.keys() | nearest.parts.keys()
        if parts.get(name) != nearest.parts.get(name)
    )
    said = [_changed(name, nearest.parts.get(name, ""), parts.get(name, "")) for name in names]
    return f"made again, because {_listed(said)} changed since {nearest.created}"


def _changed(name: str, before: str, now: str) -> str:
    """Name a part, with both values where they say something to a reader."""
    return f"{name} ({before}, now {now})" if name in _TOLD and before and now else name


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
