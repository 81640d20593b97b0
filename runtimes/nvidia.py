"""NVIDIA's driver and GPUs, from the kernel's files and nvidia-smi.

nvidia-smi rather than NVML in this process (nvidia-ml-py): it comes with every driver and needs no
package, a driver that hangs costs a child process and not ours, and no device is opened here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgekit.core.documents import Gpu, NvidiaFacts
from edgekit.runtimes.cuda_libraries import cuda_libraries
from edgekit.runtimes.jetson import board_model, chip_sm, memory, tegra_chip
from edgekit.runtimes.system_files import read_text
from edgekit.runtimes.vendor_tools import Run, ToolOutput, ask
from edgekit.runtimes.words import ENGINES_UNTRIED

__all__ = ["Gpu", "driver_version", "gpus", "no_gpu", "nvidia"]

_FIELDS = (
    "index",
    "name",
    "memory.total",
    "memory.free",
    "driver_version",
    "mig.mode.current",
    "compute_cap",
)
_MIB = 1 << 20
# "MIG 1g.10gb     Device  0: (UUID: MIG-…)", as `nvidia-smi -L` lists instances below their GPU.
_INSTANCE = re.compile(r"^\s+MIG\s+(\S+)\s+Device\s+\d+:", re.MULTILINE)


def gpus(root: Path = Path("/"), run: Run = ask) -> tuple[Gpu, ...]:
    """Return every NVIDIA GPU, by index; empty where there is none. Opens no device itself.

    Asks nvidia-smi; where that is absent or fails, the kernel module's files give the names, and
    a Jetson's device tree its one GPU.

    Args:
        root: Where proc and sys lie; for tests.
        run: Asks nvidia-smi.
    """
    answer = _query(run)
    found = list(_rows(answer.text)) if answer else []
    found = found or list(_from_proc(root))
    chip = tegra_chip(root)
    if not chip:
        return tuple(found)
    shared = memory(root)
    found = found or [Gpu(index=0, name=board_model(root) or chip)]
    # A Jetson's own nvidia-smi leaves out what it has no separate memory for.
    return tuple(
        Gpu(
            index=one.index,
            name=one.name,
            sm=one.sm or chip_sm(chip),
            memory_bytes=one.memory_bytes or shared.total_bytes,
            free_bytes=one.free_bytes or shared.available_bytes,
            driver=one.driver or driver_version(root),
            mig=one.mig,
        )
        for one in found
    )


def nvidia(
    root: Path = Path("/"),
    run: Run = ask,
    sites: Sequence[Path] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> NvidiaFacts | None:
    """Return NVIDIA's side of this machine; None where there is neither a GPU nor a library.

    Args:
        root: Where proc, sys, etc, lib and usr lie; for tests.
        run: Asks nvidia-smi.
        sites: Folders that Python imports from; None means this Python's.
        environ: For LD_LIBRARY_PATH.
    """
    found = gpus(root, run)
    libraries = cuda_libraries(root, sites, environ)
    listed = run(["nvidia-smi", "-L"]) if not found or any(one.mig for one in found) else None
    driver = driver_version(root) or next((one.driver for one in found), "")
    facts = NvidiaFacts(
        driver=driver,
        gpus=found,
        libraries=libraries,
        instances=_instances(listed),
        error=_complaint(listed),
        on_bus=_on_bus(root),
        note=ENGINES_UNTRIED if found or driver else "",
    )
    return None if facts == NvidiaFacts() else facts


def no_gpu(root: Path = Path("/")) -> bool:
    """Whether this machine certainly has no NVIDIA GPU, so that nothing is advised for one.

    Reads the PCI bus, the kernel module's files and the device tree, and runs nothing. False on a
    system that has none of these to read.

    Args:
        root: Where proc, sys and dev lie; for tests.
    """
    if not (root / "proc").is_dir():
        return False
    # A container may show device files alone. WSL shows its GPU as /dev/dxg, which is anyone's.
    devices = (*(root / "dev").glob("nvidia*"), root / "dev/dxg", root / "proc/driver/nvidia")
    there = any(path.exists() for path in devices)
    return not (there or _on_bus(root) or tegra_chip(root))


def driver_version(root: Path = Path("/")) -> str:
    """Return the version of the loaded kernel module, "580.82.07"; empty where there is none."""
    for line in read_text(root / "proc/driver/nvidia/version").splitlines():
        found = re.search(r"\s(\d{3,}\.\d+(?:\.\d+)*)\b", line)
        if line.startswith("NVRM") and found:
            return found.group(1)
    return ""


def _instances(listed: ToolOutput | None) -> tuple[str, ...]:
    return tuple(_INSTANCE.findall(listed.text)) if listed and listed.status == 0 else ()


def _complaint(listed: ToolOutput | None) -> str:
    """What nvidia-smi said where it is there and fails, in its first line."""
    if listed is None or listed.status == 0:
        return ""
    lines = [line.strip() for line in listed.text.splitlines() if line.strip()]
    return lines[0] if lines else f"It ended with status {listed.status}."


def _on_bus(root: Path) -> int:
    """Display controllers of NVIDIA on the PCI bus, with or without a driver."""
    return sum(
        read_text(device / "vendor") == "0x10de" and read_text(device / "class").startswith("0x03")
        for device in (root / "sys/bus/pci/devices").glob("*")
    )


def _query(run: Run) -> ToolOutput | None:
    # Drivers before 495 or so do not know compute_cap, and refuse the whole question.
    for fields in (_FIELDS, _FIELDS[:-1]):
        answer = run(
            ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
        )
        if answer is None:
            return None
        if answer.status == 0:
            return answer
    return None


def _rows(text: str) -> Iterator[Gpu]:
    for line in text.splitlines():
        values = dict(zip(_FIELDS, line.split(","), strict=False))
        known = {name: _known(value) for name, value in values.items()}
        index = _number(known["index"])
        if index is None:
            continue
        yield Gpu(
            index=index,
            name=known.get("name", "") or "NVIDIA GPU",
            sm=_sm(known.get("compute_cap", "")),
            memory_bytes=_mib(known.get("memory.total", "")),
            free_bytes=_mib(known.get("memory.free", "")),
            driver=known.get("driver_version", ""),
            mig=known.get("mig.mode.current", "") == "Enabled",
        )


def _from_proc(root: Path) -> Iterator[Gpu]:
    """Names only: the kernel module tells neither memory nor compute capability."""
    folder = root / "proc/driver/nvidia/gpus"
    driver = driver_version(root)
    for index, path in enumerate(sorted(folder.glob("*/information"))):
        model = re.search(r"^Model:[ \t]*(\S.*)$", read_text(path), re.MULTILINE)
        yield Gpu(
            index=index, name=model.group(1).strip() if model else "NVIDIA GPU", driver=driver
        )


def _known(value: str) -> str:
    """nvidia-smi writes "[N/A]", "[Not Supported]" or "[Insufficient Permissions]"."""
    value = value.strip()
    return "" if value.startswith("[") or value == "N/A" else value


def _sm(text: str) -> int | None:
    found = re.fullmatch(r"(\d{1,2})\.(\d)", text)
    return int(found.group(1)) * 10 + int(found.group(2)) if found else None


def _mib(text: str) -> int | None:
    count = _number(text)
    return None if count is None else count * _MIB


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None
