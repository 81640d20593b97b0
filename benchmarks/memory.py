"""Resident memory of this process."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil

__all__ = ["reset_peak", "rss_bytes", "rss_peak_bytes"]

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def rss_bytes() -> int:
    """Return the resident memory of this process now, bytes."""
    return int(psutil.Process().memory_info().rss)


def rss_peak_bytes() -> int | None:
    """Return the largest resident memory of this process so far, bytes; None where unknown.

    On Linux this is VmHWM, which counts since the process's exec or the last `reset_peak`.
    getrusage's ru_maxrss is no substitute there: a child inherits its parent's across fork and
    exec, and it cannot be reset. The kernel updates the mark lazily, so the present size is
    taken where it is larger.
    """
    if platform.system() == "Linux":
        peak = _high_water_mark()
        return None if peak is None else max(peak, rss_bytes())
    if platform.system() == "Windows":
        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0)) or None
    import resource

    # Bytes on macOS, KiB on the other systems that have it (getrusage(2)).
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak() -> bool:
    """Let the peak count from now on, and say whether that worked.

    Linux 4.0 and later set VmHWM to the present resident size when 5 is written to
    /proc/self/clear_refs (proc_pid_clear_refs(5)). Other systems, and containers that mount /proc
    read-only, cannot: start a fresh process there.
    """
    if platform.system() != "Linux":
        return False
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def _high_water_mark() -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
