"""The fuzzer as a program, and sound files that the tests of one run share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def bases(tmp_path_factory) -> Path:
    """Sound files of every kind; workers of pytest beside each other make them once."""
    common = tmp_path_factory.getbasetemp().parent
    with FileLock(common / "fuzz.lock"):
        if not (common / "fuzz-bases/signed.bundle").exists():
            call = [sys.executable, HERE / "bases.py", common / "fuzz-bases"]
            subprocess.run(call, check=True)
    return common / "fuzz-bases"


@pytest.fixture
def fuzz(bases, tmp_path):
    """A function of kinds and a number of inputs: runs the fuzzer on them; all must be well."""

    def fuzzed(count: int, *kinds: str) -> None:
        chosen = [part for kind in kinds for part in ("--kind", kind)]
        call = [sys.executable, HERE / "fuzz.py", "-n", str(count), "--workers", "1", *chosen]
        places = ["--folder", tmp_path, "--bases", bases]
        ended = subprocess.run([*call, *places], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    return fuzzed
