"""Which parts of the cache a running process uses, so that nobody prunes them meanwhile."""

from __future__ import annotations

import functools
import os
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from edgekit.core.private import make_private

__all__ = ["Lease", "keys_in_use", "lease"]


class Lease:
    """The keys that this process uses, told by a file that a lock keeps alive.

    The operating system lets go of the lock when the process ends, however it ends.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "running"
        self._name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._lock: FileLock | None = None

    def use(self, key: str) -> None:
        """Say that this process uses a key from now on.

        A cache that cannot be written cannot be pruned either, so there is nothing to say.
        """
        try:
            while self._lock is None:
                make_private(self._folder)
                keys_in_use(self._folder.parent)  # what killed processes left goes
                path = self._folder / f"{self._name}.lock"
                lock = FileLock(path)
                lock.acquire()
                # Between its making and its lock another process may have taken it for left over.
                if path.exists():
                    self._lock = lock
            with open(self._folder / f"{self._name}.keys", "a", encoding="ascii") as file:
                file.write(f"{key}\n")
        except OSError:
            return


@functools.cache
def lease(root: Path) -> Lease:
    """The lease of this process on one cache."""
    return Lease(root)


def keys_in_use(root: Path) -> set[str]:
    """Return the keys that running processes use; what dead ones left is removed."""
    used: set[str] = set()
    for path in sorted((root / "running").glob("*.lock")):
        keys = path.with_suffix(".keys")
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if keys.is_file():
                used |= set(keys.read_text(encoding="ascii").split())
            continue
        # Nobody holds it: its process is gone.
        keys.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        lock.release()
    return used
