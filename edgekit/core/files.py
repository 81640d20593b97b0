"""Files that are whole or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.errors import Unwritable
from edgekit.core.opening import open_file
from edgekit.core.temporary import held

_WRITING_FAILED = {
    errno.EACCES,
    errno.EBUSY,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
    errno.EROFS,
    errno.EXDEV,
}
_HINT = "Free some space or choose another path with -o."

__all__ = [
    "aside_of",
    "atomic_folder",
    "atomic_path",
    "pretty_json",
    "restore_folder",
    "sha256_file",
    "unwritable",
    "write_bytes",
    "write_text",
    "writing",
]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` when the block succeeds.

    Parent folders are made. On any error nothing is left behind and an old file stays as it was.

    Raises:
        Unwritable: The folder cannot be made or written, or the disk is full.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            making = held(path.parent, f".{path.name}.", path.suffix, folder=False)
            temporary = stack.enter_context(making)
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from error
        with writing(path):
            yield temporary
            # Open for writing as well: Windows syncs nothing else.
            with open(temporary, "r+b") as written:
                os.fsync(written.fileno())
            _set_mode(temporary, 0o644)
            temporary.replace(path)


@contextmanager
def atomic_folder(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; put it in place when the block succeeds.

    What was there goes then, whatever it is; for a path that the user named there is
    `edgekit.core.destination.Destination`. On any error nothing is left behind and an old folder
    stays as it was.

    Args:
        path: The folder to make.
        private: Whether only its user may look into it.

    Raises:
        Unwritable: It cannot be written.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A path that leads through the folder itself leads nowhere once that is renamed.
            parent = Path(os.path.realpath(path.parent))
            temporary = stack.enter_context(held(parent, f".{path.name}.", folder=True))
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from error
        try:
            with writing(path):
                yield temporary
                _set_mode(temporary, 0o700 if private else 0o755)
                for below in temporary.rglob("*") if private else ():
                    # Whatever the umask is, others write nothing in it.
                    if not below.is_symlink():
                        _set_mode(below, stat.S_IMODE(below.stat().st_mode) & ~0o022)
                _replace_folder(temporary, parent / path.name)
        except Unwritable as error:
            # The user knows what is written in it by its name in the folder to come.
            if str(temporary) not in error.message:
                raise
            message = error.message.replace(str(temporary), str(path))
            raise Unwritable(message, hint=error.hint) from error


def _set_mode(path: Path, mode: int) -> None:
    """Set the permissions of what was made here, on a disk that keeps any."""
    with suppress(OSError):
        path.chmod(mode)


def _replace_folder(new: Path, path: Path) -> None:
    """Rename a finished folder to `path`; what was there goes.

    No system exchanges two folders everywhere, so the old one moves aside first. Where the second
    renaming fails it comes back at once, and after a kill between the two with `restore_folder`.
    """
    if not os.path.lexists(path):
        new.rename(path)
        return
    aside = aside_of(path)
    _remove_folder(aside)  # of a run that was killed when all but this was done
    try:
        path.rename(aside)
        new.rename(path)
    except BaseException:
        restore_folder(path)
        raise
    _remove_folder(aside)


def aside_of(path: Path) -> Path:
    """Where a folder lies while another takes its place."""
    return path.with_name(f".{path.name}.edgekit-old")


def restore_folder(path: Path) -> None:
    """Bring back a folder that was moved aside and not replaced."""
    aside = aside_of(path)
    if aside.is_dir() and not os.path.lexists(path):
        aside.rename(path)


def _remove_folder(path: Path) -> None:
    try:
        while path.exists():
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                continue  # another run removes it too
    except OSError as error:
        raise Unwritable(
            f"{path} holds what was replaced and cannot be removed: {error.strerror or error}.",
            hint="Remove it yourself.",
        ) from error


def pretty_json(content: Any) -> bytes:
    """Return a record, or plain data, as indented JSON that ends with a line break."""
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 text file atomically."""
    write_bytes(path, content.encode())


def sha256_file(path: Path) -> str:
    """Return the hex sha256 of a file.

    Raises:
        OSError: As of `edgekit.core.opening.open_file`.
    """
    digest = hashlib.sha256()
    with open_file(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system's error of writing into one sentence.

    Args:
        path: What is written.

    Raises:
        Unwritable: No space, no permission, a file where a folder should be.
    """
    try:
        yield
    except shutil.Error as error:  # copying a folder: one line for every file
        raise unwritable(path, error.args[0][0][2]) from error
    except OSError as error:
        if error.errno not in _WRITING_FAILED:
            raise
        raise unwritable(path, error.strerror or str(error)) from error


def unwritable(path: Path, reason: str, hint: str = _HINT) -> Unwritable:
    """The error of a path that cannot be written.

    Args:
        path: As the user gave it.
        reason: Of the system, without a full stop.
        hint: What to do.
    """
    error = Unwritable(f"{path} cannot be written: {reason[:1].lower()}{reason[1:]}.", hint=hint)
    error.path = str(path)
    return error
