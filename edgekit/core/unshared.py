"""Files that nobody else changes between the moment they are checked and the moment they are used.

A graph is hashed, and then a library opens it by its path. Where others can write in its folder,
what the library opens need not be what was hashed: so it is copied first, and the copy is checked
and used. See `edgekit.core.private` for who others are.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from edgekit.core.errors import BadInput
from edgekit.core.files import writing
from edgekit.core.opening import open_file
from edgekit.core.private import exposed, keeps_permissions, refuse_exposed
from edgekit.core.reading import reading
from edgekit.core.subject import call_place
from edgekit.core.temporary import scratch

__all__ = ["is_shared", "unshared", "unshared_file"]

_State = tuple[tuple[int, int, int, int], ...]


def is_shared(path: Path, below: Iterable[Path] = ()) -> bool:
    """Say whether others can change a file or folder, or nobody knows whether they can.

    Args:
        path: A file or folder.
        below: What is looked at beside it, on the same disk.

    Raises:
        OSError: It cannot be looked at.
    """
    # Asked of the folder that holds it: nothing is made in what is looked at.
    return any(map(exposed, (path, *below))) or not keeps_permissions(path.absolute().parent)


def unshared(folder: Path) -> Path:
    """Return a folder with all that lies below it, which nobody else can change.

    It is the folder itself, or a copy in a temporary folder that stays until the process ends; the
    same one as long as nothing below the folder changes. Links are copied as links, and what is
    neither a file nor a folder becomes a pipe. Sentences name the folder, not the copy.

    Raises:
        BadInput: It cannot be read, or the copy cannot be written.
    """
    with reading(folder):
        names = tuple(_below(folder, ""))
        if not is_shared(folder, (folder / name for name in names)):
            return folder
        copy = _copied(folder, names, _state(folder, names, links=True), links=True)
    call_place(str(copy), str(folder))
    return copy


def unshared_file(path: Path, beside: Sequence[Path] = ()) -> Path:
    """Return a file that nobody else can change; see `unshared`. Links are followed.

    Args:
        path: The file.
        beside: Files in its folder, or below, that have to lie there as well.

    Raises:
        BadInput: One cannot be read, or the copy cannot be written.
    """
    with reading(path):
        if not is_shared(path, beside):
            return path
        folder = path.parent
        names = tuple(file.relative_to(folder).as_posix() for file in (path, *beside))
        copy = _copied(folder, names, _state(folder, names, links=False), links=False) / path.name
    call_place(str(copy), str(path))
    return copy


def _below(folder: Path, name: str) -> Iterator[str]:
    for entry in os.scandir(folder / name):
        inside = f"{name}/{entry.name}" if name else entry.name
        yield inside
        if entry.is_dir(follow_symlinks=False):
            yield from _below(folder, inside)


def _state(folder: Path, names: Sequence[str], *, links: bool) -> _State:
    """What is another one after any change: nobody but the system sets the last of the times."""
    found = ((folder / name).lstat() if links else (folder / name).stat() for name in names)
    return tuple((one.st_dev, one.st_ino, one.st_size, one.st_ctime_ns) for one in found)


@functools.cache
def _copied(folder: Path, names: tuple[str, ...], state: _State, *, links: bool) -> Path:
    room = _room()
    needed, free = sum(size for _, _, size, _ in state), shutil.disk_usage(room).free
    if needed > free:
        raise BadInput(
            f"{folder} can be changed by others, and there is no space for a copy that cannot: it "
            f"takes {needed >> 20} MiB, and {room.parent} has {free >> 20} MiB.",
            hint="Set TMPDIR to another folder, or copy it to a folder of your own.",
        )
    place = room / str(len(list(room.iterdir()))) / (folder.absolute().name or "root")
    with writing(place):
        place.mkdir(parents=True)
    for name in names:
        _copy(folder / name, place / name, links=links)
    return place


def _copy(source: Path, target: Path, *, links: bool) -> None:
    status = source.lstat() if links else source.stat()
    if stat.S_ISREG(status.st_mode):
        with open_file(source, follow=not links) as file, writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
    elif stat.S_ISLNK(status.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISDIR(status.st_mode):
        target.mkdir()
    else:
        os.mkfifo(target)


@functools.cache
def _room() -> Path:
    """A folder that goes when the process ends."""
    stack = ExitStack()
    room = stack.enter_context(scratch("own"))
    atexit.register(stack.close)
    refuse_exposed(room, "The temporary folder")
    return room
