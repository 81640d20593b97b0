"""Extras resolve on Python 3.10 (JetPack 6), whose newest engines have no wheel."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MACHINES = ("x86_64", "aarch64")
# What a wheel may ask of Ubuntu 22.04, which JetPack 6 is: glibc up to 2.35.
GLIBC = range(17, 36)


def resolve(wheel, extra, machine, version, folder):
    """Resolve an extra for another machine; return version by distribution."""
    platforms = [
        option
        for name in (f"manylinux2014_{machine}", *(f"manylinux_2_{n}_{machine}" for n in GLIBC))
        for option in ("--platform", name)
    ]
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
            *("--python-version", version, "--only-binary=:all:", "--target", str(folder)),
            *(*platforms, "--report", "-", f"{wheel}[{extra}]"),
        ],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return {
        item["metadata"]["name"].lower(): item["metadata"]["version"]
        for item in json.loads(ended.stdout)["install"]
    }


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("extra", ["cpu", "onnx", "eval", "report", "sign"])
def test_an_extra_resolves_on_python_3_10(wheel, extra, machine, tmp_path):
    found = resolve(wheel, extra, machine, "3.10", tmp_path)
    assert "torch" not in found
    assert "edgekit" in found
    if extra in ("cpu", "onnx"):
        assert "onnxruntime" in found


@pytest.mark.parametrize(
    "extra", ["all", "cpu", "dev", "docs", "eval", "export", "onnx", "report", "sign"]
)
def test_the_extras_of_the_design_exist(wheel, extra):
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        assert f"Provides-Extra: {extra}" in archive.read(metadata).decode().splitlines()
