"""A packed folder in a fresh environment that holds its requirements and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from packed import own_answer, run_script

from edgekit import api

_MODULES = "import pkgutil; print(' '.join(sorted(m.name for m in pkgutil.iter_modules())))"
_BYTES = 1e6
# With OpenVINO: its wheel holds the GPU's and the NPU's plug-ins too.
LARGEST_MB = {"onnxruntime:cpu": 300, "openvino:cpu": 420}


def size_mb(folder: Path) -> float:
    """The bytes of all files of an environment; links to the system's Python do not count."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / _BYTES


@pytest.mark.slow
@pytest.mark.parametrize("target", LARGEST_MB)
def test_a_fresh_environment_of_the_requirements_runs_it(
    deployed, digits, tmp_path, capsys, target
):
    folder = tmp_path / "packed"
    document = api.pack(deployed[1], folder, target=target)
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    install = ["install", "--quiet", "--no-compile", "-r", str(folder / "requirements.txt")]
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), *install],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    installed = size_mb(venv)

    check = run_script(folder, "--check", python=python, isolated=False)
    assert check.returncode == 0, check.stderr
    assert (check.stdout.split()[0], check.stderr) == ("PASS", "")
    image = next(digits.glob("images/*-0321.png"))
    began = time.perf_counter()
    answer = run_script(folder, image, python=python, isolated=False)
    first_s = time.perf_counter() - began
    assert answer.returncode == 0, answer.stderr
    expected = own_answer(deployed[1], document, image).probabilities
    rows = [line.split() for line in answer.stdout.splitlines()]
    assert [int(row[2]) for row in rows] == np.argsort(-expected)[:5].tolist()
    assert [float(row[1]) for row in rows] == [round(float(expected[int(r[2])]), 4) for r in rows]

    listed = subprocess.run([python, "-I", "-c", _MODULES], capture_output=True, text=True)
    assert "numpy" in listed.stdout.split()
    assert not {"torch", "scipy", "onnx", "edgekit"} & set(listed.stdout.split())
    with capsys.disabled():
        print(
            f"\n{target}: {installed:.0f} MB installed, {size_mb(venv):.0f} MB after both runs; "
            f"folder {document.size_bytes / _BYTES:.2f} MB; first answer after {first_s:.2f} s"
        )
    assert installed < LARGEST_MB[target]
