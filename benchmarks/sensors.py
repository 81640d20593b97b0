"""What the system's files say of clocks, temperature and load, now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import psutil

__all__ = [
    "Observe",
    "clock_mhz",
    "observe_machine",
    "read_number",
    "read_text",
    "temperature_c",
    "widened",
]


class Observe(Protocol):
    """Reads what changes during a run; a test brings its own."""

    def __call__(self) -> Mapping[str, float]:
        """Name, with its unit, to the value now; empty where the machine tells nothing."""
        ...


def observe_machine(root: Path = Path("/")) -> dict[str, float]:
    """Read clocks, temperatures and load; takes a millisecond or two and opens no device.

    Args:
        root: Where proc and sys lie; for tests.
    """
    found = {"load_1min": psutil.getloadavg()[0]}
    clocks = clock_mhz(root)
    if clocks:
        found["clock_mhz"] = sum(clocks) / len(clocks)
    for zone, degrees in (temperature_c(root) or {}).items():
        found[f"temperature_c {zone}"] = degrees
    return found


def widened(
    ranges: Mapping[str, tuple[float, float]], now: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Return ranges of smallest and largest that hold the values of now as well."""
    found = dict(ranges)
    for name, value in now.items():
        low, high = found.get(name, (value, value))
        found[name] = (min(low, value), max(high, value))
    return found


def clock_mhz(root: Path) -> list[float] | None:
    """Return the clock of every core, MHz; None where the machine does not tell."""
    folder = root / "sys/devices/system/cpu"
    khz = [read_number(path) for path in sorted(folder.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))]
    clocks = [round(value / 1000, 1) for value in khz if value is not None]
    if clocks:
        return clocks
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    found = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    return found or None


def temperature_c(root: Path) -> dict[str, float] | None:
    """Return thermal zone to degrees Celsius; None where the machine has none."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = read_number(zone / "temp")
        if value is not None:
            found[f"{zone.name} {read_text(zone / 'type') or ''}".strip()] = value / 1000
    return found or None


def read_text(path: Path) -> str | None:
    """Return a small file's text, stripped; None where it cannot be read or is empty."""
    try:
        text = path.read_text(errors="replace").strip("\0\n\t ")
    except OSError:
        return None
    return text or None


def read_number(path: Path) -> float | None:
    """Return the number that is a file's whole text; None where it is none."""
    try:
        return float(read_text(path) or "")
    except ValueError:
        return None
