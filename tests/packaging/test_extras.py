"""Extras resolve on the boards: Python 3.10 (JetPack 6) and 3.12 (JetPack 7), without torch."""

from __future__ import annotations

import platform
import sys
import zipfile

import pytest
from resolving import resolve, version

MACHINES = ("x86_64", "aarch64")
# JetPack 6 is Ubuntu 22.04 and JetPack 7 is 24.04; both have the system's Python, which TensorRT's
# module is built for.
JETPACK_6 = {"machine": "aarch64", "python": "3.10", "glibc": 35}
JETPACK_7 = {"machine": "aarch64", "python": "3.12", "glibc": 39}


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "extra", ["cpu", "demo", "track", "onnx", "eval", "report", "sign", "tensorrt"]
)
def test_an_extra_resolves_on_python_3_10(wheel, extra, machine, tmp_path):
    found = resolve(wheel, extra, tmp_path, machine=machine, python="3.10", glibc=35)
    assert "torch" not in found
    assert "edgekit" in found
    if extra in ("cpu", "onnx"):
        assert "onnxruntime" in found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "tag", "cuda"), [(JETPACK_6, "cp310", 12), (JETPACK_7, "cp312", 13)]
)
def test_a_jetson_gets_tensorrt_and_the_cpu_engines(wheel, board, tag, cuda, tmp_path):
    found = resolve(wheel, "tensorrt,cpu", tmp_path, **board)
    assert "torch" not in found
    assert {"edgekit", "onnx", "opencv-python", "openvino"} <= found.keys()
    # TensorRT is JetPack's: one of the index would hide it.
    assert not [name for name in found if name.startswith("tensorrt")]
    assert version(found["cuda-bindings"])[0] == cuda
    for name in ("cuda-bindings", "numpy", "onnxruntime"):
        assert f"-{tag}-{tag}-" in found[name]
        assert "aarch64" in found[name]
    # From 1.24 on there is no onnxruntime for Python 3.10.
    assert (version(found["onnxruntime"]) < (1, 24)) == (board is JETPACK_6)


@pytest.mark.slow
def test_a_server_with_an_old_python_is_taken_for_no_jetson(wheel, tmp_path):
    found = resolve(wheel, "tensorrt", tmp_path, machine="x86_64", python="3.10", glibc=35)
    assert version(found["cuda-bindings"])[0] >= 13


@pytest.mark.slow
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="what TensorRT for RTX offers elsewhere than on x86-64 Linux was not looked at",
)
def test_tensorrt_for_rtx_comes_whole_from_the_index(wheel, tmp_path):
    found = resolve(wheel, "tensorrt-rtx", tmp_path)
    assert "torch" not in found
    assert found["tensorrt-rtx-cu13-libs"].endswith(".whl")
    assert found["tensorrt-rtx-cu13-bindings"].endswith(".whl")
    assert version(found["cuda-bindings"])[0] == 13


@pytest.mark.parametrize(
    "extra",
    [
        *("all", "cpu", "demo", "dev", "docs", "eval", "export", "onnx", "report", "sign", "track"),
        *("tensorrt", "tensorrt-rtx", "ultralytics"),
    ],
)
def test_the_extras_of_the_design_exist(wheel, extra):
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        assert f"Provides-Extra: {extra}" in archive.read(metadata).decode().splitlines()
