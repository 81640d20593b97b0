"""Files that are whole or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.errors import BadInput, Unwritable

_WRITING_FAILED = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}

__all__ = [
    "atomic_folder",
    "atomic_path",
    "pretty_json",
    "refuse_unwritable",
    "refuse_used_file",
    "refuse_used_folder",
    "replace_folder",
    "sha256_file",
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
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    temporary = Path(name)
    try:
        with writing(path):
            yield temporary
            # Open for writing as well: Windows syncs nothing else.
            with open(temporary, "r+b") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it to `path` when the block succeeds.

    Args:
        path: The folder to make.
        force: Replace an existing folder; otherwise a folder that is not empty is refused.

    Raises:
        BadInput: `path` exists and `force` is not given.
        Unwritable: It cannot be written.
    """
    refuse_used_folder(path, force=force)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with writing(path):
            yield temporary
            temporary.chmod(0o755)
            replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_used_folder(path: Path, *, force: bool) -> None:
    """Refuse to write into a folder that holds something.

    Raises:
        BadInput: `path` is no folder, or it is not empty and `force` is not given.
    """
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} exists and is not a folder.", hint="Choose another path.")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise BadInput(f"{path} exists and is not empty.", hint="Use --force or another path.")


def refuse_unwritable(path: Path, *, option: str = "-o") -> None:
    """Refuse a path whose folder cannot be made or written, before the work of filling it.

    Only looks: a disk may still fill up meanwhile.

    Args:
        path: To be made.
        option: That the user gave it with.

    Raises:
        Unwritable: A file where a folder should be, no permission, or a read-only disk.
    """
    place = path.absolute().parent
    while not os.path.lexists(place):
        place = place.parent
    reason = ""
    if not place.is_dir():
        reason = "no folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = "read-only"
    if reason:
        raise Unwritable(
            f"{path} cannot be written: {place} is {reason}.",
            hint=f"Choose another path with {option}.",
        )


def refuse_used_file(path: Path, *, force: bool, option: str = "-o") -> None:
    """Refuse to write a file in place of another one, or where none can be.

    Args:
        path: Of the file.
        force: Replace an existing file.
        option: That the user gave it with.

    Raises:
        BadInput: It exists and `force` is not given, or it is a folder.
        Unwritable: Its folder cannot be made or written.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", hint=f"Name a file with {option}.")
    if path.exists() and not force:
        raise BadInput(f"{path} exists already.", hint="Use --force or another path.")
    refuse_unwritable(path, option=option)


def replace_folder(new: Path, path: Path) -> None:
    """Rename a finished folder to `path`; what was there goes.

    The old folder moves aside first, so that a crash leaves one of the two whole.
    """
    if not path.exists():
        new.replace(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    # Into the folder and not onto it, which Windows refuses even while it is empty.
    path.replace(aside / path.name)
    new.replace(path)
    shutil.rmtree(aside, ignore_errors=True)


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
    """Return the hex sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
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
        raise Unwritable(
            f"{path} cannot be written: {error.args[0][0][2]}.",
            hint="Free some space or choose another path with -o.",
        ) from error
    except OSError as error:
        if error.errno not in _WRITING_FAILED:
            raise
        reason = error.strerror or str(error)
        raise Unwritable(
            f"{path} cannot be written: {reason.lower()}.",
            hint="Free some space or choose another path with -o.",
        ) from error
