"""What pip would install on another machine, asked of the package index; nothing is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["resolve", "skip_without_index", "version"]

# pip takes wheels for the machine that it is told, and still judges markers
# (`python_version < "3.11"`) by the one that it runs on. So it is told those as well.
PIP = """
import json, sys
from pip._vendor.packaging import markers
here, there = markers.default_environment, json.loads(sys.argv.pop(1))
markers.default_environment = lambda: {**here(), **there}
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def resolve(wheel, extras, folder, *, machine="", python="", glibc=0):
    """Resolve extras of a wheel, for another Linux where one is named.

    Args:
        wheel: Path of edgekit's wheel.
        extras: With commas between them, for instance "tensorrt,cpu".
        folder: An empty folder.
        machine: "x86_64" or "aarch64"; empty for this machine.
        python: For instance "3.10".
        glibc: The minor version there, for instance 35 for Ubuntu 22.04's 2.35.

    Returns:
        Name of the file to download by distribution, named like opencv-python.
    """
    options, markers = [], {}
    if machine:
        markers = {
            "platform_machine": machine,
            "python_version": python,
            "python_full_version": f"{python}.0",
        }
        options = ["--python-version", python, "--only-binary=:all:"]
        options += ["--platform", f"manylinux2014_{machine}"]
        for minor in range(17, glibc + 1):
            options += ["--platform", f"manylinux_2_{minor}_{machine}"]
    ended = _pip(folder, f"{wheel}[{extras}]", *options, markers=markers)
    skip_without_index(ended.returncode, folder)
    assert ended.returncode == 0, ended.stderr
    items = json.loads(ended.stdout)["install"]
    return {
        item["metadata"]["name"].lower().replace("_", "-"): Path(item["download_info"]["url"]).name
        for item in items
    }


def skip_without_index(status, folder):
    """Skip the test where pip failed for want of an index and not for what it was asked."""
    if status and _pip(folder, "click", "--no-deps", "--retries=0").returncode:
        pytest.skip("the package index cannot be reached")


def version(file):
    """Version of a wheel's file, as numbers to compare: (1, 23, 2)."""
    return tuple(int(part) for part in file.split("-")[1].split("."))


def _pip(folder, requirement, *options, markers=()):
    return subprocess.run(
        [
            *(sys.executable, "-c", PIP, json.dumps(dict(markers)), "install", "--quiet"),
            *("--dry-run", "--ignore-installed", "--target", str(folder), "--report", "-"),
            *(*options, requirement),
        ],
        capture_output=True,
        text=True,
    )
