"""Set up edgekit on a Jetson, beside JetPack's TensorRT: what `make jetson` runs.

Of the standard library alone: it runs with the system's Python before anything is installed.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

# TensorRT 10 came with JetPack 6.1.
OLDEST_TENSORRT = 10


def main() -> None:
    """Make the environment, install edgekit[tensorrt], and run the doctor in it."""
    parser = argparse.ArgumentParser(description="Set up edgekit on a Jetson.")
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="environment to make")
    parser.add_argument("--wheel", help="wheel of edgekit; without it, this checkout")
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    given = parser.parse_args()

    board = _board(given.root)
    if not board:
        _stop(2, "This machine is no Jetson; `make run` sets up a desktop.")
    if given.wheel and not Path(given.wheel).is_file():
        _stop(2, f"There is no wheel {given.wheel}; on the desktop: python -m build --wheel")
    print(f"{board}; Python {sys.version.split()[0]}; TensorRT {_tensorrt()}", flush=True)

    # JetPack's TensorRT module lies in the system's dist-packages; pip has no wheel of it.
    made = [sys.executable, "-m", "venv", "--system-site-packages", str(given.venv)]
    if subprocess.run(made).returncode:
        _stop(3, "No virtual environment could be made: sudo apt-get install python3-venv")
    programs = given.venv / "bin"
    what = [given.wheel + "[tensorrt]"] if given.wheel else ["--editable", ".[tensorrt]"]
    for packages in (["pip>=23"], what):
        pip = [programs / "python", "-m", "pip", "install", "--quiet", *packages]
        if subprocess.run(pip).returncode:
            _stop(3, "pip could not install edgekit; its own words stand above.")
    raise SystemExit(subprocess.run([programs / "edgekit", "doctor"]).returncode)


def _board(root: Path) -> str:
    """Name the board and its Jetson Linux; empty for another machine."""
    release = _read(root / "etc/nv_tegra_release")
    # A container on the board has no release file and sees the device tree.
    tegra = "nvidia,tegra" in _read(root / "proc/device-tree/compatible")
    if not release and not tegra:
        return ""
    name = _read(root / "proc/device-tree/model").strip("\0\n") or "Jetson"
    # "# R36 (release), REVISION: 4.3, GCID: …"
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    return f"{name}, Jetson Linux {found[1]}.{found[2]}" if found else name


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _tensorrt() -> str:
    """Version of the system's TensorRT."""
    try:
        tensorrt = importlib.import_module("tensorrt")
    except ImportError as error:
        _stop(
            3,
            f"{sys.executable} finds no TensorRT ({error}): sudo apt-get install "
            "python3-libnvinfer, and make jetson PYTHON=/usr/bin/python3",
        )
    version: str = tensorrt.__version__
    if int(version.partition(".")[0]) < OLDEST_TENSORRT:
        _stop(3, f"TensorRT {version} is older than {OLDEST_TENSORRT}: flash JetPack 6.1 or later.")
    return version


def _stop(status: int, sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
