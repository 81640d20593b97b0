"""What this machine's processor is called, and what it can do."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

__all__ = [
    "DECISIVE_EXTENSIONS",
    "cpu_device",
    "cpu_flags",
    "cpu_name",
    "instruction_set",
]

_CPUINFO = Path("/proc/cpuinfo")

# The extensions that decide which kernels an engine picks, and so what it computes, bit by bit.
DECISIVE_EXTENSIONS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
    "asimd",
    "asimdhp",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
)


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """First processor of /proc/cpuinfo, keys in lower case; empty where there is no such file."""
    try:
        text = _CPUINFO.read_text(errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip().lower(): value.strip() for key, colon, value in lines if colon}


def cpu_name() -> str:
    """Name of the processor, "Intel(R) Xeon(R) Processor"."""
    info = _cpuinfo()
    if info.get("model name"):
        return info["model name"]
    if "cpu part" in info:
        return f"{platform.machine()} part {info['cpu part']}"
    return platform.processor() or platform.machine() or "CPU"


def cpu_flags() -> frozenset[str]:
    """Instruction set extensions by the kernel's names; empty where the kernel lists none."""
    info = _cpuinfo()
    return frozenset((info.get("flags") or info.get("features") or "").split())


def instruction_set() -> str:
    """The extensions that matter to engines, in a fixed order: "avx2 avx512f avx512_vnni"."""
    flags = cpu_flags()
    return " ".join(name for name in DECISIVE_EXTENSIONS if name in flags) or platform.machine()


def cpu_device() -> str:
    """Name and instruction set, "NAME | avx2 avx512f …", as recorded with an engine."""
    return f"{cpu_name()} | {instruction_set()}"
