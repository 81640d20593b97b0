"""The camera devices of this machine, and who uses one."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["device_path", "devices", "used_by"]

_DEVICES = Path("/dev")
_NAMES = Path("/sys/class/video4linux")
_PROCESSES = Path("/proc")


def device_path(index: int) -> Path:
    """Return the device file of a camera's index, as Linux numbers them."""
    return _DEVICES / f"video{index}"


def devices() -> tuple[str, ...]:
    """Name the video devices that exist: "/dev/video0 (HD Webcam)".

    Many cameras show a second device that gives no pictures but what it knows of them.
    """
    found = sorted(
        (path for path in _DEVICES.glob("video*") if path.name[5:].isdigit()),
        key=lambda path: int(path.name[5:]),
    )
    return tuple(f"{path}{_called(path)}" for path in found)


def used_by(device: Path) -> str:
    """Name the process that has a device open: "zoom (4711)"; empty where none is seen."""
    target = device.resolve()
    for process in _PROCESSES.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            links = [link.readlink() for link in (process / "fd").iterdir()]
            if target in links:
                return f"{(process / 'comm').read_text().strip()} ({process.name})"
        except OSError:
            # It has ended, or it is somebody else's.
            continue
    return ""


def _called(device: Path) -> str:
    try:
        return f" ({(_NAMES / device.name / 'name').read_text().strip()})"
    except OSError:
        return ""
