"""How many cores this process may use: by its affinity, its control group and hyperthreads.

One function for the identity of a measurement, for `doctor` and for the engines, so that what is
written down is what ran.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["allowed_cpus", "control_group", "cpu_limit", "usable_cores"]

_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Return the physical cores that this process may use, at least 1.

    Bounded by its affinity (taskset, a container's cpuset), where two hyperthreads of one core
    count once, and by the CPU time that its control group grants, rounded up.

    Args:
        root: Where proc and sys lie; for tests.
    """
    import psutil

    # A virtual machine or a container may tell only one of the two.
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    allowed = allowed_cpus()
    if allowed is not None:
        cores = min(cores, len({_siblings(root, cpu) for cpu in allowed}))
    limit = cpu_limit(root)
    return max(1, cores if limit is None else min(cores, math.ceil(limit)))


def allowed_cpus() -> frozenset[int] | None:
    """Return the CPUs that this process may run on; None where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def cpu_limit(root: Path = _ROOT) -> float | None:
    """Return the CPUs whose time the control group grants; None where it sets no limit.

    Args:
        root: Where proc and sys lie; for tests.
    """
    found = [limit for limit in _limits(root) if limit is not None]
    return min(found, default=None)


def control_group(root: Path = _ROOT) -> Path:
    """Return the folder of this process's control group (version 2); the tree's root if unseen."""
    tree = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            own = tree / line[3:].lstrip("/")
            if own.is_dir():
                return own
    return tree


def _limits(root: Path) -> Iterator[float | None]:
    """The limit of each control group around this process: a group is bound by those above it."""
    tree = root / "sys/fs/cgroup"
    own = control_group(root)
    for folder in (own, *own.parents):
        yield _share(*(_text(folder / "cpu.max").split() or ["max"]))
        if folder == tree:
            break
    # Version 1.
    version_1 = tree / "cpu"
    yield _share(
        _text(version_1 / "cpu.cfs_quota_us"), _text(version_1 / "cpu.cfs_period_us") or "100000"
    )


def _share(quota: str, period: str = "100000", *_more: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal()) or not int(quota) or not int(period):
        return None
    return int(quota) / int(period)


def _siblings(root: Path, cpu: int) -> str:
    """The hyperthreads of one core as the kernel lists them; a CPU of its own where it does not."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return _text(topology / "thread_siblings_list") or str(cpu)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
