"""Jetson boards, from the files that NVIDIA's Jetson Linux keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgekit.runtimes.system_files import read_text

__all__ = ["CHIPS", "Memory", "board_model", "memory", "tegra_chip"]

# Compute capability by chip: TX1/Nano, TX2, Xavier, Orin, Thor. developer.nvidia.com/cuda-gpus and
# its page of legacy GPUs; CUDA before 13.0 called Thor's 101.
CHIPS = {"tegra210": 53, "tegra186": 62, "tegra194": 72, "tegra234": 87, "tegra264": 110}


@dataclass(frozen=True)
class Memory:
    """What /proc/meminfo tells; None where it does not."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    swap_bytes: int | None = None
    swap_free_bytes: int | None = None


def tegra_chip(root: Path = Path("/")) -> str:
    """Return the chip of a Jetson by its device tree, "tegra234"; empty on any other machine."""
    found = re.search(r"nvidia,(tegra\d+)", read_text(root / "proc/device-tree/compatible"))
    return found.group(1) if found else ""


def board_model(root: Path = Path("/")) -> str:
    """Return the board's name from its device tree; empty where there is none."""
    return read_text(root / "proc/device-tree/model")


def memory(root: Path = Path("/")) -> Memory:
    """Return memory and swap, in bytes."""
    kib = {
        key: int(value) * 1024
        for key, value in re.findall(
            r"^(\w+):\s+(\d{1,15}) kB", read_text(root / "proc/meminfo"), re.MULTILINE
        )
    }
    return Memory(
        kib.get("MemTotal"), kib.get("MemAvailable"), kib.get("SwapTotal"), kib.get("SwapFree")
    )
