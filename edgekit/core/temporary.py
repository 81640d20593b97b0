"""Temporary files and folders: held while their process lives, removed by the next where it died.

A name says that it is edgekit's: it holds sixteen hexadecimal digits, of which the last eight are
the sha256 of the first eight. Whether its process lives is told by a lock on the file or folder
itself (flock): the system lets go of it when the process ends, however it ends, whether that was on
this machine, in another container, or, for a file on NFS, on another host. Where a file system has
no such locks, and on Windows, nobody can tell, and nothing is removed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekit.core.errors import Unwritable

_LOCKS = os.name != "nt"

__all__ = ["held", "scratch", "sweep"]

_NAME = re.compile(r"(?:\..*\.|edgekit-[a-z0-9]+-)([0-9a-f]{8})([0-9a-f]{8})(?:\.[^.]*)?", re.S)


class _Lost(Exception):
    """Another process took a new name for one that was left over, and removes it."""


@contextmanager
def scratch(word: str) -> Iterator[Path]:
    """Yield an empty folder of the system's temporary folder, and remove it.

    Args:
        word: What it is for, in lower-case letters and digits.

    Raises:
        Unwritable: The temporary folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            # Looking for a folder that can be written fails where there is none.
            place = Path(tempfile.gettempdir())
            path = stack.enter_context(held(place, f"edgekit-{word}-", folder=True))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise Unwritable(
                f"The temporary folder cannot be written: {reason}.",
                hint="Free some space there, or set TMPDIR to another folder.",
            ) from error
        yield path


@contextmanager
def held(place: Path, prefix: str, suffix: str = "", *, folder: bool) -> Iterator[Path]:
    """Yield a new file or folder that no other process removes, and remove what is left of it.

    What killed processes left in the same place goes first, once for each process and place.

    Args:
        place: The folder that it is made in; it exists.
        prefix: ".NAME." or "edgekit-WORD-".
        suffix: Of the name.
        folder: Whether it is a folder (0700) or a file (0600).

    Raises:
        OSError: It cannot be made.
    """
    sweep(place.absolute())
    while True:
        path = place / f"{prefix}{_token()}{suffix}"
        if folder:
            path.mkdir(0o700)
        else:
            path.touch(0o600, exist_ok=False)
        try:
            lock = _lock(path)
        except _Lost:
            continue
        break
    try:
        yield path
    finally:
        _remove(path, folder=folder)
        if lock is not None:
            os.close(lock)


@functools.cache
def sweep(place: Path) -> None:
    """Remove what killed processes of this user left in a folder; a second time does nothing.

    Args:
        place: An absolute path.
    """
    if not _LOCKS:
        return
    try:
        names = [entry.name for entry in os.scandir(place) if _is_ours(entry.name)]
    except OSError:
        return
    for name in names:
        _remove_left_over(place / name)


def _remove_left_over(path: Path) -> None:
    try:
        there = path.lstat()
        folder = stat.S_ISDIR(there.st_mode)
        if there.st_uid != os.geteuid() or not (folder or stat.S_ISREG(there.st_mode)):
            return
        lock = _lock(path)
    except (OSError, _Lost):
        return
    if lock is not None:
        _remove(path, folder=folder)
        os.close(lock)


def _lock(path: Path) -> int | None:
    """Lock a file or folder until the descriptor is closed or the process ends.

    Returns:
        None where the file system has no such locks.

    Raises:
        _Lost: Another process has it, or it is not there any more.
    """
    if not _LOCKS:
        return None
    import fcntl

    opened = None
    try:
        # NFS locks only what is open for writing, and a folder never is.
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR
        opened = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between its making and its lock another process may have taken it for left over.
        path.lstat()
    except OSError as error:
        if opened is not None:
            os.close(opened)
        if isinstance(error, (BlockingIOError, FileNotFoundError)):
            raise _Lost from error
        return None
    return opened


def _remove(path: Path, *, folder: bool) -> None:
    if folder:
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _token() -> str:
    digits = secrets.token_hex(4)
    return digits + _check(digits)


def _check(digits: str) -> str:
    return hashlib.sha256(digits.encode()).hexdigest()[:8]


def _is_ours(name: str) -> bool:
    found = _NAME.fullmatch(name)
    return found is not None and found[2] == _check(found[1])
