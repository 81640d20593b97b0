"""How much memory is left for what a file says it holds."""

from __future__ import annotations

import contextlib
from pathlib import Path

__all__ = ["free_memory"]

_CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Return the bytes that this process may still take.

    The least of what is free on the machine, in its container, and below the process's own limit.
    """
    import psutil

    free = [int(psutil.virtual_memory().available)]
    # There are no containers and no such limits on every system.
    with contextlib.suppress(OSError, ValueError):
        # What it uses now is no measure: the files that were read last count as used.
        free.append(int((_CGROUP / "memory.max").read_text()))
    with contextlib.suppress(ImportError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(free))
