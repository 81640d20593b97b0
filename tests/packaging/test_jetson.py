"""`make jetson`, as far as a machine can tell that is none: a tree of files stands for the board.

The release lines and device trees are those that users of the boards have published.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from resolving import skip_without_index

RELEASES = {
    "36.4.3": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
    "39.2.1": "# R39 (release), REVISION: 2.1, GCID: 46758480, BOARD: generic, EABI: aarch64",
}

no_board = pytest.mark.skipif(
    Path("/etc/nv_tegra_release").exists(), reason="this machine is a Jetson"
)


@pytest.fixture
def board(tmp_path):
    """A function that writes a board's files; returns its root."""

    def write(release="", compatible="nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0"):
        tree = tmp_path / "board" / "proc" / "device-tree"
        tree.mkdir(parents=True)
        (tree / "compatible").write_text(compatible)
        (tree / "model").write_text("NVIDIA Jetson Orin Nano Developer Kit\0")
        if release:
            (tmp_path / "board" / "etc").mkdir()
            (tmp_path / "board" / "etc" / "nv_tegra_release").write_text(RELEASES[release] + "\n")
        return tmp_path / "board"

    return write


@pytest.fixture
def set_up(root, tmp_path):
    """A function that runs the script on a board's files, with a TensorRT of some version."""

    def run(board, tensorrt, *options):
        system = tmp_path / "system"
        system.mkdir()
        if tensorrt:
            (system / "tensorrt.py").write_text(f"__version__ = {tensorrt!r}\n")
        clean = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
        return subprocess.run(
            [
                *(sys.executable, root / "tools" / "jetson.py", "--root", board),
                *("--venv", tmp_path / "venv", *options),
            ],
            cwd=root,
            env={**clean, "PYTHONPATH": str(system), "EDGEKIT_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
        )

    return run


@no_board
def test_a_machine_that_is_no_jetson_is_told_so_by_make(tool, root, tmp_path):
    ended = subprocess.run(
        [
            tool("make"),
            "--no-print-directory",
            "jetson",
            f"PYTHON={sys.executable}",
            f"VENV={tmp_path / 'venv'}",
        ],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    sentence, *of_make = ended.stderr.splitlines()
    assert sentence == "This machine is no Jetson; `make run` sets up a desktop."
    assert all(line.startswith("make") for line in of_make)
    assert ended.stdout == ""
    assert not (tmp_path / "venv").exists()


def test_a_device_tree_of_somebody_else_is_no_jetson(board, set_up):
    ended = set_up(board(compatible="raspberrypi,5-model-b\0brcm,bcm2712\0"), "10.3.0")
    assert ended.returncode == 2
    assert ended.stderr == "This machine is no Jetson; `make run` sets up a desktop.\n"


@pytest.mark.parametrize("release", ["36.4.3", ""], ids=["board", "container"])
def test_a_board_without_tensorrt_is_told_its_package(board, set_up, release):
    ended = set_up(board(release), "")
    assert ended.returncode == 3
    assert "apt-get install python3-libnvinfer" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_board_with_tensorrt_8_is_told_what_to_flash(board, set_up):
    ended = set_up(board("36.4.3"), "8.6.2")
    assert ended.returncode == 3
    assert ended.stderr == "TensorRT 8.6.2 is older than 10: flash JetPack 6.1 or later.\n"


def test_a_wheel_that_is_not_there_is_said(board, set_up, tmp_path):
    ended = set_up(board("36.4.3"), "10.3.0", "--wheel", "dist/none.whl")
    assert ended.returncode == 2
    assert ended.stderr.startswith("There is no wheel dist/none.whl;")
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_a_board_gets_an_environment_that_sees_the_systems_packages(board, set_up, wheel, tmp_path):
    ended = set_up(board("39.2.1"), "10.16.2", "--wheel", str(wheel))
    skip_without_index(ended.returncode, tmp_path)
    assert ended.returncode == 0, ended.stderr
    first, *doctor = ended.stdout.splitlines()
    assert first.startswith("NVIDIA Jetson Orin Nano Developer Kit, Jetson Linux 39.2.1; Python ")
    assert first.endswith("; TensorRT 10.16.2")
    assert any("onnxruntime:cpu" in line for line in doctor)
    venv = tmp_path / "venv"
    assert "include-system-site-packages = true" in (venv / "pyvenv.cfg").read_text()
    listed = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "list", "--local"], capture_output=True, text=True
    ).stdout
    assert "cuda-bindings" in listed
    assert "torch" not in listed
