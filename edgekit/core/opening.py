"""The one way to a file that is read: a regular file, within a limit, inside a folder.

What a user types is the user's own: it may lie anywhere and lead through links. What a *file* names
(a card its labels, a graph its weights, a data set its images) leads into the folder of that file,
or into one beside it where people lay data out so; see docs/trust.md for the table.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edgekit.core.errors import BadInput
from edgekit.core.texts import shown

__all__ = [
    "IMAGE_BYTES",
    "TABLE_BYTES",
    "TEXT_BYTES",
    "no_file",
    "open_file",
    "open_placed",
    "placed",
    "read_file",
    "read_placed",
]

# Larger than all that are met: a card with its labels, the instances of Objects365, a satellite's
# image.
TEXT_BYTES = 16 << 20
TABLE_BYTES = 8 << 30
IMAGE_BYTES = 1 << 30

_FORMS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# Opening waits for nobody, and a terminal that is opened does not become the process's own.
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NOCTTY", "O_NONBLOCK")
)
_NO_NAME = "No file can have this name"


def open_file(path: Path, limit: int | None = None, *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading; a pipe, a device or a folder is refused and not waited for.

    Args:
        path: The file.
        limit: The most bytes that it may have.
        follow: False refuses a symbolic link in the place of the file.

    Raises:
        OSError: It is not there, cannot be read, is no regular file, is too large, or no file can
            have such a name; `strerror` is the reason.
    """
    try:
        # A device acts on being opened, so what it is is asked before, and again of what is open.
        _refuse_special(path.stat() if follow else path.lstat(), path)
        descriptor = os.open(path, _FLAGS | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OSError(errno.EINVAL, _NO_NAME, str(path)) from error
    try:
        status = os.fstat(descriptor)
        _refuse_special(status, path)
        if limit is not None and status.st_size > limit:
            raise OSError(errno.EFBIG, f"It is larger than {limit >> 20} MiB", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """Return what a regular file holds; see `open_file`.

    Raises:
        OSError: As of `open_file`.
    """
    with open_file(path, limit, follow=follow) as file:
        return _content(file)


@contextmanager
def open_placed(
    name: str,
    folder: Path,
    by: str,
    limit: int | None = None,
    *,
    beside: bool = False,
    hint: str = "",
) -> Iterator[BinaryIO]:
    """Open a file that another file names; see `placed` and `open_file`.

    Raises:
        BadInput: It leads out of the folder, cannot be read, is no regular file, or is too large.
    """
    path = placed(name, folder, by, beside=beside, hint=hint)
    try:
        with open_file(path, limit) as file:
            # What was opened is what lies there: a folder on the way may have become a link since.
            placed(name, folder, by, beside=beside, hint=hint)
            if not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                raise OSError(errno.EAGAIN, "It was replaced while it was opened", str(path))
            yield file
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(
            f"{by} names {shown(name)}, which cannot be read: {reason}.", hint
        ) from error


def read_placed(
    name: str, folder: Path, by: str, limit: int, *, beside: bool = False, hint: str = ""
) -> bytes:
    """Return what a file holds that another file names; see `open_placed`."""
    with open_placed(name, folder, by, limit, beside=beside, hint=hint) as file:
        return _content(file)


def no_file(path: Path) -> str:
    """Say why a path is no regular file, to follow its name: "does not exist"; empty for a file."""
    try:
        form = _special(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except ValueError:
        return f"is none: {_NO_NAME.lower()}"
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    return f"is {form} and no regular file" if form else ""


def placed(
    name: str, folder: Path, by: str, *, beside: bool = False, links: bool = False, hint: str = ""
) -> Path:
    """Return where a name leads that a file gives; whether something is there is not asked.

    Args:
        name: As it stands in the file; relative to `folder`, or absolute.
        folder: That of the file that names it.
        by: What names it, for the sentence: "c.yaml: `labels`".
        beside: Whether what lies beside `folder` is allowed too, as in "../coco/coco.names".
        links: Whether symbolic links in the folder may lead out of it. True is for images: DVC,
            git-annex and Hugging Face's cache fill the folders that users name with links.
        hint: What to do, instead of copying the file.

    Raises:
        BadInput: It leads out, or no file can have such a name.
    """
    path = folder / name
    inside = possible = bool(name) and "\0" not in name
    try:
        os.fsencode(name)
        inside = possible and _is_inside(path, folder, beside=beside, links=links)
    except (OSError, ValueError):
        possible = False
    if not possible:
        raise BadInput(f"{by} names {shown(name)}, and no file can have this name.", hint)
    if not inside:
        raise BadInput(
            f"{by} names {shown(name)}, which leads out of the folder {folder}.",
            hint or "Copy it into that folder, and name it from there.",
        )
    return path


def _content(file: BinaryIO) -> bytes:
    # No more than it had when it was measured, though another program may write on.
    return file.read(os.fstat(file.fileno()).st_size)


def _is_inside(path: Path, folder: Path, *, beside: bool, links: bool) -> bool:
    # Of a folder that was reached through a link an absolute path may say either name.
    for resolve in (os.path.abspath, os.path.realpath) if links else (os.path.realpath,):
        # As text, since a data set names a million files.
        place, home = os.path.normcase(resolve(path)), os.path.normcase(resolve(folder))
        above, root = os.path.split(home)[0], os.path.splitdrive(home)[0] + os.sep
        # All of a disk lies beside a folder at its root.
        base = above if beside and above != root else home
        if place == home or place.startswith(base.rstrip(os.sep) + os.sep):
            return True
    return False


def _special(status: os.stat_result) -> str:
    """What stands in the place of a regular file; empty for one."""
    if stat.S_ISREG(status.st_mode):
        return ""
    return next((name for is_form, name in _FORMS if is_form(status.st_mode)), "of another kind")


def _refuse_special(status: os.stat_result, path: Path) -> None:
    form = _special(status)
    if form:
        raise OSError(errno.EINVAL, f"It is {form} and no regular file", str(path))
