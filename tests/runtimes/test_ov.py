"""OpenVINO beyond the suite: precisions that are asked for are those that run; no telemetry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance import RuntimeConformance, conv_graph, qdq_graph, random

from edgekit.core.errors import BadInput, MissingLibrary, Unavailable
from edgekit.core.runtime import CompileOptions
from edgekit.core.target import Target
from edgekit.runtimes import ov
from edgekit.runtimes.catalogue import parse_target
from edgekit.runtimes.ov import RUNTIME

CPU = Target("openvino", "cpu")


class TestOpenVinoCpu(RuntimeConformance):
    runtime = RUNTIME
    target = CPU


@pytest.mark.parametrize("compute", ["fp32", "bf16", "fp16"])
def test_the_compute_asked_for_is_the_one_that_runs(tmp_path: Path, compute: str) -> None:
    if compute not in RUNTIME.probe(CPU).computes:
        pytest.skip(f"this processor does not compute in {compute}")
    graph = conv_graph(tmp_path / "g.onnx")
    compiled = RUNTIME.compile(graph, CPU, CompileOptions(compute=compute, threads=1), tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        assert session.placement().executed_precision == compute
        assert session.run({"x": random(1, 16, 12, 12)})["y"].dtype == "float32"


def test_int8_stays_int8_whatever_the_float_remainder_computes_in(tmp_path: Path) -> None:
    graph = qdq_graph(tmp_path / "g.onnx")
    for compute in RUNTIME.probe(CPU).computes:
        folder = tmp_path / compute
        folder.mkdir()
        options = CompileOptions(compute=compute, threads=1)
        compiled = RUNTIME.compile(graph, CPU, options, folder)
        with RUNTIME.open(compiled, folder) as session:
            assert session.placement().executed_precision == "int8"


def test_the_computes_are_those_that_openvino_says_it_has() -> None:
    offered = set(ov._core(CPU).get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    names = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}
    assert {names[compute] for compute in ov._computes(CPU)} <= offered


def test_optimizations_cannot_be_switched_off(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot switch its graph optimizations off"):
        RUNTIME.compile(
            conv_graph(tmp_path / "g.onnx"), CPU, CompileOptions(optimize=False), tmp_path
        )


@pytest.mark.parametrize("text", ["ov:gpu", "ov:gpu:1", "ov:npu"])
def test_a_device_that_is_not_there_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(ov, "_RENDER_NODES", tmp_path)
    monkeypatch.setattr(ov, "_ACCELERATORS", tmp_path)
    target = parse_target(text)
    probe = RUNTIME.probe(target)
    assert not probe.usable
    assert probe.reason.startswith("This machine has no ")
    with pytest.raises(Unavailable) as caught:
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), target, CompileOptions(), tmp_path)
    assert caught.value.exit_status == 3
    assert caught.value.hint == probe.fix


def test_a_device_that_only_seems_to_be_there_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = tmp_path / "renderD128" / "device" / "vendor"
    vendor.parent.mkdir(parents=True)
    vendor.write_text("0x8086\n")
    monkeypatch.setattr(ov, "_RENDER_NODES", tmp_path)
    target = parse_target("ov:gpu")
    assert RUNTIME.probe(target).usable
    if "GPU" in ov._core(CPU).available_devices:
        pytest.skip("this machine has one")
    with pytest.raises(Unavailable, match="OpenVINO sees CPU"):
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), target, CompileOptions(), tmp_path)


def test_a_missing_library_gives_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(ov, "installed", lambda _: {})
    probe = RUNTIME.probe(CPU)
    assert (probe.usable, probe.fix) == (False, "pip install 'edgekit[cpu]'")
    with pytest.raises(MissingLibrary, match=r"pip install 'edgekit\[cpu\]'"):
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), CPU, CompileOptions(), tmp_path)


def test_nothing_is_sent_to_the_maker() -> None:
    script = """
import socket, sys
def refuse(*arguments, **named):
    raise SystemExit("a connection was tried: %r" % (arguments,))
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from edgekit.core.target import Target
from edgekit.runtimes import ov
ov._core(Target("openvino", "cpu"))
assert "openvino_telemetry" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_engine_s_own_time_lies_within_the_call(tmp_path: Path) -> None:
    import time

    suite = TestOpenVinoCpu()
    with suite.session(conv_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
        binding = session.bind({"x": np.ones((8, 16, 12, 12), np.float32)})
        binding.run()
        for _ in range(20):
            start = time.perf_counter_ns()
            binding.run()
            whole = time.perf_counter_ns() - start
            # Its clock counts whole microseconds.
            assert 0 < binding.device_ns() <= whole + 1000
