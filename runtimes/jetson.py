"""Jetson boards, from the files that NVIDIA's Jetson Linux (L4T) keeps. No tool is asked.

`nvpmodel -q` and `jetson_clocks --show` would tell the same; the second one needs root.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.documents import JetsonFacts
from edgekit.runtimes.compatibility import compatibility, jetpack_of
from edgekit.runtimes.system_files import read_number, read_text
from edgekit.runtimes.words import UNTRIED

__all__ = ["Memory", "board_model", "chip_sm", "jetson", "memory", "tegra_chip"]

_TEGRA = re.compile(r"nvidia,(tegra\d+)")
# "# R36 (release), REVISION: 4.3, GCID: …, BOARD: generic, …"
_RELEASE = re.compile(r"R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)")
_STATUS = re.compile(r"pmode:(\d{1,6})")
# "< POWER_MODEL ID=0 NAME=MAXN >"; a line that begins with # is a comment.
_MODE = re.compile(r"^\s*<\s*POWER_MODEL\s+ID=(\d{1,6})\s+NAME=([^\s>]+)", re.MULTILINE)
_WATTS = re.compile(r"(\d{1,4})W")


@dataclass(frozen=True)
class Memory:
    """Memory and swap, in bytes; None where the machine does not tell.

    Attributes:
        swap_bytes: Swap on disk. zram is left out: it is the same memory, compressed.
        swap_free_bytes: What is left of it.
    """

    total_bytes: int | None = None
    available_bytes: int | None = None
    swap_bytes: int | None = None
    swap_free_bytes: int | None = None


def jetson(root: Path = Path("/")) -> JetsonFacts | None:
    """Return what a Jetson tells of itself; None on any other machine.

    Args:
        root: Where proc, sys, etc and var lie; for tests.
    """
    chip, l4t = tegra_chip(root), _l4t(root)
    if not chip and not l4t:
        return None
    mode = _STATUS.search(read_text(root / "var/lib/nvpmodel/status"))
    modes = {
        int(number): name for number, name in _MODE.findall(read_text(root / "etc/nvpmodel.conf"))
    }
    number = int(mode.group(1)) if mode else None
    have = memory(root)
    row = jetpack_of(l4t)
    return JetsonFacts(
        model=board_model(root),
        chip=chip,
        l4t=l4t,
        jetpack=_package(root, "nvidia-jetpack").partition("+")[0] or (row.jetpack if row else ""),
        power_mode=modes.get(number, "") if number is not None else "",
        power_mode_id=number,
        power_mode_max_id=max(modes, key=lambda one: _rank(modes[one]), default=None),
        clocks_locked=_clocks_locked(root),
        memory_bytes=have.total_bytes,
        available_bytes=have.available_bytes,
        swap_bytes=have.swap_bytes,
        swap_free_bytes=have.swap_free_bytes,
        note=UNTRIED,
    )


def tegra_chip(root: Path = Path("/")) -> str:
    """Return the chip of a Jetson by its device tree, "tegra234"; empty on any other machine."""
    found = _TEGRA.search(read_text(root / "proc/device-tree/compatible"))
    return found.group(1) if found else ""


def chip_sm(chip: str) -> int | None:
    """Return the compute capability of a Jetson's chip, 87; None for one not in the table."""
    return next((row.sm for row in compatibility().chips if row.chip == chip), None)


def board_model(root: Path = Path("/")) -> str:
    """Return the board's name from its device tree; empty where there is none."""
    return read_text(root / "proc/device-tree/model")


def memory(root: Path = Path("/")) -> Memory:
    """Return memory and swap of a machine."""
    kib = dict(
        re.findall(r"^(\w+):\s+(\d{1,15}) kB", read_text(root / "proc/meminfo"), re.MULTILINE)
    )
    total, available = kib.get("MemTotal"), kib.get("MemAvailable")
    swaps = read_text(root / "proc/swaps")
    # "/dev/nvme0n1p2 partition 8388604 0 -2": size and used, in KiB.
    areas = re.findall(r"^(/\S+)\s+\w+\s+(\d{1,15})\s+(\d{1,15})\s", swaps, re.MULTILINE)
    disks = [(int(size), int(used)) for name, size, used in areas if "zram" not in name]
    return Memory(
        total_bytes=int(total) * 1024 if total else None,
        available_bytes=int(available) * 1024 if available else None,
        swap_bytes=sum(size for size, _ in disks) * 1024 if swaps else None,
        swap_free_bytes=sum(size - used for size, used in disks) * 1024 if swaps else None,
    )


def _l4t(root: Path) -> str:
    found = _RELEASE.search(read_text(root / "etc/nv_tegra_release"))
    if found:
        return f"{found.group(1)}.{found.group(2)}"
    return _package(root, "nvidia-l4t-core").partition("-")[0]


def _package(root: Path, name: str) -> str:
    """Version of an installed Debian package; empty where it is not installed."""
    for part in read_text(root / "var/lib/dpkg/status").split("\n\n"):
        if part.startswith(f"Package: {name}\n") and "ok installed" in part:
            found = re.search(r"^Version: (\S+)", part, re.MULTILINE)
            return found.group(1) if found else ""
    return ""


def _rank(name: str) -> tuple[int, int]:
    """Order power modes: MAXN_SUPER over MAXN over the most watts, whatever their numbers are."""
    watts = _WATTS.search(name)
    return (
        2 if name.startswith("MAXN_SUPER") else name.startswith("MAXN"),
        int(watts.group(1)) if watts else 0,
    )


def _clocks_locked(root: Path) -> bool | None:
    """Whether no clock of CPU and GPU may move, which is what jetson_clocks does."""
    pairs = [
        (read_number(folder / "scaling_min_freq"), read_number(folder / "scaling_max_freq"))
        for folder in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    ]
    if not any(low is not None for low, _ in pairs):
        return None
    pairs += [
        (read_number(folder / "min_freq"), read_number(folder / "max_freq"))
        for folder in sorted((root / "sys/class/devfreq").glob("*gpu*"))
    ]
    return all(low == high for low, high in pairs if low is not None)
