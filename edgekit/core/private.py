"""Folders that nobody but their user and the administrator can change.

What is taken from a folder without looking at it again, an engine above all, is as good as the
folder: whoever can write there, or can put another folder in its place, decides what runs. The rule
is that of OpenSSH for its keys, for the folder and all above it: it belongs to the user or to the
administrator, and nobody else can write it. A folder above may be open to all where only owners can
rename what lies in it (the sticky bit, as of /tmp), and to a group that has no other member, as
Debian and Fedora give every user one. Windows has other means, and nothing is looked at there.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.errors import BadInput
from edgekit.core.temporary import held

__all__ = ["Exposed", "exposed", "keeps_permissions", "make_private", "refuse_exposed"]

_NAMED = 3


@dataclass(frozen=True)
class Exposed:
    """Where somebody else can change what lies at a path.

    Attributes:
        place: A folder, file or link on the way to the path.
        reason: Follows its name: "can be written by everyone (mode 0777)".
        remedy: A command for its owner.
    """

    place: Path
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place} {self.reason}"


def make_private(folder: Path) -> None:
    """Make a folder that only its user can look into, and all above it that are missing.

    Raises:
        OSError: One cannot be made.
    """
    for place in reversed([folder, *folder.parents]):
        if not place.is_dir():
            try:
                place.mkdir(0o700)
            except FileExistsError:
                if not place.is_dir():
                    raise


def exposed(path: Path, *, of_anyone: bool = False) -> Exposed | None:
    """Say where somebody else can change what lies at a path; None where nobody can.

    Where a disk keeps no permissions they say nothing, and None says nothing either.

    Args:
        path: A file or folder; what is not there yet is looked at as far as it is.
        of_anyone: Whether it may belong to another user, who then is trusted.
    """
    if os.name == "nt":
        return None
    # Of a namespace that has no number for the administrator, / still belongs to him.
    owners = {os.geteuid(), 0, Path("/").stat().st_uid}
    left, seen = [path.absolute()], set[Path]()
    while left:
        last = left.pop()
        for place in (*reversed(last.parents), last):
            try:
                status = place.lstat()
            except (FileNotFoundError, NotADirectoryError):
                break
            link = stat.S_ISLNK(status.st_mode)
            if link and place not in seen:
                seen.add(place)
                left.append(place.parent / place.readlink())
            found = None
            if status.st_uid not in owners and not of_anyone:
                owner, me = _user(status.st_uid), _user(os.geteuid())
                found = Exposed(place, f"belongs to {owner}", f"chown -R {me} {place}")
            elif not link:  # whose own permissions mean nothing
                found = _writable(place, status, below=place != last)
            if found is not None and keeps_permissions(place):
                return found
    return None


def refuse_exposed(path: Path, what: str, *, of_anyone: bool = False) -> None:
    """Refuse what somebody else can change; see `exposed`.

    Args:
        path: A file or folder.
        what: It is called so: "The engine in engines".
        of_anyone: See `exposed`.

    Raises:
        BadInput: Somebody else can.
    """
    found = exposed(path, of_anyone=of_anyone)
    if found is not None:
        raise BadInput(
            f"{what} can be changed by others: {found}.",
            hint=f"{found.remedy}; or copy it to a folder of your own.",
        )


def _writable(place: Path, status: os.stat_result, *, below: bool) -> Exposed | None:
    """Say whether others can write a file or folder, or rename what lies below it."""
    if below and status.st_mode & stat.S_ISVTX:
        return None
    who = "everyone" if status.st_mode & stat.S_IWOTH else ""
    if not who and status.st_mode & stat.S_IWGRP:
        who = _listed_on(place) or _others(status.st_gid)
    if not who:
        return None
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    return Exposed(place, f"can be written by {who} (mode {mode})", f"chmod go-w {place}")


def keeps_permissions(path: Path) -> bool:
    """Say whether the file system of a path keeps permissions, by trying it.

    FAT, exFAT, and NTFS or a network folder as they are often mounted, keep none: `chmod` changes
    nothing there, and no mode says who can write. Where nothing can be made, somebody's permissions
    are kept.

    Args:
        path: A file or folder; what is not there yet will be made on the disk of what is.
    """
    folder = next(place for place in (path, *path.absolute().parents) if place.is_dir())
    # Nothing is made in a folder of the user's where there is another one on the same disk.
    with contextlib.suppress(OSError):  # there may be no temporary folder
        own = Path(tempfile.gettempdir())
        if own.stat().st_dev == folder.stat().st_dev:
            folder = own
    return _tried(folder.absolute())


@functools.cache
def _tried(folder: Path) -> bool:
    if os.name == "nt":
        return True
    try:
        with held(folder, ".permissions.", folder=True) as made:
            for mode in (0o711, 0o700):
                try:
                    made.chmod(mode)
                except OSError:
                    return False
                if stat.S_IMODE(made.stat().st_mode) != mode:
                    return False
    except OSError:
        return True
    return True


def _listed_on(place: Path) -> str:
    """The users that an access list names; the bits of the group then stand for all of them."""
    try:
        os.getxattr(place, "system.posix_acl_access")
    except (AttributeError, OSError):  # not Linux; no list
        return ""
    return "those that its access list names"


@functools.cache
def _others(group: int) -> str:
    """The members of a group beside this user and the administrator; empty where there are none."""
    import grp
    import pwd

    unknown = f"group {group}, whose members cannot be listed,"
    try:
        named, me = grp.getgrgid(group), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return unknown
    users = pwd.getpwall()
    members = {*named.gr_mem, *(user.pw_name for user in users if user.pw_gid == group)}
    others = sorted(members - {me, "root"})
    if others:
        more = ", …" if len(others) > _NAMED else ""
        return f"the group {named.gr_name} ({', '.join(others[:_NAMED])}{more})"
    # A directory service that does not list this user does not list others either. The group that
    # it gives each user is named like him.
    listed = any(user.pw_name == me for user in users) or named.gr_name == me
    return "" if listed else unknown


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
