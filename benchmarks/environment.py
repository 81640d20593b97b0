"""The machine behind a figure: what makes two figures comparable, and what only warns."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import psutil

from edgekit.benchmarks.sensors import clock_mhz, read_number, read_text, temperature_c
from edgekit.benchmarks.watch import throttle_count
from edgekit.core.cores import allowed_cpus, control_group, cpu_limit, usable_cores
from edgekit.core.documents import Environment

__all__ = [
    "ENGINE_LIBRARIES",
    "differences",
    "environment",
    "identity_sha256",
    "instruction_set",
    "observed_differences",
]

# Distributions whose version changes what runs; those that are absent are left out.
ENGINE_LIBRARIES = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "openvino",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tensorrt-rtx",
    "tensorrt-rtx-cu12",
    "tensorrt-rtx-cu13",
)

# Extensions that engines choose kernels by, as the kernel names them in /proc/cpuinfo.
_EXTENSIONS = (
    "sse4_2",
    "fma",
    "f16c",
    "avx",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "neon",
    "asimd",
    "asimdhp",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
    "sve2",
    "sme",
    "rv64v",
)


def environment(
    threads: int | None, libraries: Sequence[str] = ENGINE_LIBRARIES, *, root: Path = Path("/")
) -> Environment:
    """Describe this machine; takes well under 0.2 s and opens no device.

    Args:
        threads: Threads of a CPU engine; None means all cores that this process may use.
        libraries: Distributions whose version is part of the identity.
        root: Where proc, sys, etc and var lie; for tests.
    """
    cpuinfo = _fields(root / "proc/cpuinfo")
    identity: dict[str, Any] = {
        "cpu": _cpu_model(cpuinfo, root),
        "architecture": platform.machine(),
        "instruction_set": instruction_set(root),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_logical": psutil.cpu_count(),
        "threads": usable_cores(root) if threads is None else threads,
        "governor": read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "power_mode": _power_mode(root),
        "os": _system(root),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": _versions(libraries),
    }
    return Environment(
        identity=identity, observed=_observed(root), sha256=identity_sha256(identity)
    )


def identity_sha256(identity: Mapping[str, Any]) -> str:
    """Return the sha256 of an identity as sorted JSON."""
    return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()


def instruction_set(root: Path = Path("/")) -> list[str]:
    """Return the CPU extensions that engines choose kernels by, in a fixed order."""
    cpuinfo = _fields(root / "proc/cpuinfo")
    flags = set(f"{cpuinfo.get('flags', '')} {cpuinfo.get('Features', '')}".split())
    return [name for name in _EXTENSIONS if name in flags]


def differences(a: Environment, b: Environment) -> list[str]:
    """Return the identity keys that differ, each as "key: a's, b's".

    Args:
        a: For instance the certificate's.
        b: For instance this machine's.
    """
    return _unlike(a.identity, b.identity)


def observed_differences(a: Environment, b: Environment) -> list[str]:
    """Return what only warns and differs, each as "key: a's, b's"."""
    return _unlike(a.observed, b.observed)


def _unlike(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    one, other = _flat(a), _flat(b)
    return [
        f"{key}: {_words(one.get(key))}, {_words(other.get(key))}"
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    ]


def _observed(root: Path) -> dict[str, Any]:
    times = psutil.cpu_times()
    memory = psutil.virtual_memory()
    allowed = allowed_cpus()
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "load_average": [round(value, 2) for value in psutil.getloadavg()],
        "steal_share_since_boot": round(getattr(times, "steal", 0.0) / max(sum(times), 1e-9), 5),
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "clock_mhz": clock_mhz(root),
        "temperature_c": temperature_c(root),
        "throttle_count": throttle_count(root),
        "virtual": _virtual(root),
        "container": _container(root),
        "cpu_limit": cpu_limit(root),
        "memory_limit_bytes": _memory_limit(root),
        "cpus_allowed": None if allowed is None else len(allowed),
    }


def _cpu_model(cpuinfo: dict[str, str], root: Path) -> str:
    name = cpuinfo.get("model name") or cpuinfo.get("Model")
    if name:
        return name
    # Arm boards name themselves in the device tree; the core is known by number only.
    board = read_text(root / "proc/device-tree/model")
    part = " ".join(
        f"{key} {cpuinfo[key]}" for key in ("CPU implementer", "CPU part") if key in cpuinfo
    )
    found = ", ".join(text for text in (board, part) if text)
    return found or platform.processor() or platform.machine()


def _virtual(root: Path) -> bool:
    """Whether a hypervisor lies below, which decides what runs where and how fast."""
    flags = _fields(root / "proc/cpuinfo").get("flags", "").split()
    places = (root / "sys/hypervisor/type", root / "proc/device-tree/hypervisor")
    return "hypervisor" in flags or any(place.exists() for place in places)


def _power_mode(root: Path) -> str | None:
    # Jetson's nvpmodel keeps its mode here, "pmode:0002 fmode:quiet"; asking the tool needs time.
    status = read_text(root / "var/lib/nvpmodel/status")
    mode = re.search(r"pmode:(\d+)", status or "")
    if mode:
        return f"nvpmodel {int(mode.group(1))}"
    return read_text(root / "sys/firmware/acpi/platform_profile")


def _system(root: Path) -> str:
    for line in (read_text(root / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip().strip('"')
    return f"{platform.system()} {platform.version()}"


def _versions(libraries: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in libraries:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _container(root: Path) -> str | None:
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    control = read_text(root / "proc/1/cgroup") or ""
    names = ("kubepods", "docker", "containerd", "lxc", "libpod")
    return next((name for name in names if name in control), None)


def _memory_limit(root: Path) -> int | None:
    limit = read_number(control_group(root) / "memory.max")
    if limit is None:
        limit = read_number(root / "sys/fs/cgroup/memory/memory.limit_in_bytes")
    # Version 1 says "no limit" with a number close to 2^63.
    return int(limit) if limit is not None and limit < 1 << 60 else None


def _fields(path: Path) -> dict[str, str]:
    """Keys and values of the first processor in a file such as /proc/cpuinfo."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def _flat(identity: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in identity.items():
        if isinstance(value, dict):
            found.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            # JSON brings tuples back as lists.
            found[key] = list(value) if isinstance(value, tuple) else value
    return found


def _words(value: Any) -> str:
    if value is None:
        return "absent"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
