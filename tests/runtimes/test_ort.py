"""ONNX Runtime beyond the suite: what is saved, what is strict, what is missing."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import RuntimeConformance, conv_graph, qdq_graph, random, tensor, write
from onnx import helper

from edgekit.core.errors import BadInput, MissingLibrary, Unavailable
from edgekit.core.runtime import CompileOptions
from edgekit.core.target import Target
from edgekit.runtimes import ort
from edgekit.runtimes.catalogue import parse_target
from edgekit.runtimes.ort import RUNTIME

CPU = Target("onnxruntime", "cpu")


class TestOnnxRuntimeCpu(RuntimeConformance):
    runtime = RUNTIME
    target = CPU


@pytest.mark.parametrize("make", [conv_graph, qdq_graph])
def test_the_saved_graph_runs_like_the_one_in_memory(tmp_path: Path, make: Any) -> None:
    import onnxruntime

    graph = make(tmp_path / "g.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    x = random(2, 16, 12, 12)
    compiled = RUNTIME.compile(graph, CPU, CompileOptions(threads=1), tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        np.testing.assert_array_equal(session.run({"x": x})["y"], bare.run(None, {"x": x})[0])


def test_without_optimizations_every_node_runs_as_written(tmp_path: Path) -> None:
    graph = conv_graph(tmp_path / "g.onnx")
    ops = {}
    for optimize in (True, False):
        folder = tmp_path / str(optimize)
        folder.mkdir()
        compiled = RUNTIME.compile(graph, CPU, CompileOptions(optimize=optimize), folder)
        with RUNTIME.open(compiled, folder) as session:
            ops[optimize] = [node.op for node in session.placement().nodes]
    assert ops[False] == ["Conv", "Relu"]
    assert "Relu" not in ops[True]


def test_an_fp16_graph_runs_in_fp32_on_a_cpu(tmp_path: Path) -> None:
    graph = conv_graph(tmp_path / "g.onnx", dtype="float16")
    compiled = RUNTIME.compile(graph, CPU, CompileOptions(threads=1), tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        assert session.placement().executed_precision == "fp32"


def test_placement_tries_larger_sizes_where_one_does_not_run(tmp_path: Path) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("AveragePool", ["x"], ["y"], "pool", kernel_shape=[7, 7])],
        [tensor("x", ["batch", 4, "height", "width"])],
        [tensor("y", ["batch", 4, "h", "w"])],
    )
    compiled = RUNTIME.compile(graph, CPU, CompileOptions(threads=1), tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        assert "AveragePool" in {node.op for node in session.placement().nodes}


def test_a_graph_that_it_refuses_is_named_with_its_node(tmp_path: Path) -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Nonsense", ["x"], ["y"], "odd", domain="nowhere")],
            "g",
            [tensor("x", [1])],
            [tensor("y", [1])],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)],
        ir_version=9,
    )
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadInput, match=r"refuses .*g\.onnx.*Nonsense") as caught:
        RUNTIME.compile(tmp_path / "g.onnx", CPU, CompileOptions(), tmp_path)
    assert "ONNXRuntimeError" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    target = parse_target("ort:cuda:0")
    probe = RUNTIME.probe(target)
    if probe.usable:
        pytest.skip("this machine has one")
    with pytest.raises(Unavailable) as caught:
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), target, CompileOptions(), tmp_path)
    assert caught.value.exit_status == 3
    assert probe.reason in str(caught.value)
    assert probe.fix == caught.value.hint
    assert probe.fix


def test_onnxruntime_gpu_without_a_gpu_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ort, "installed", lambda _: {"onnxruntime-gpu": "1.31.1"})
    monkeypatch.setattr(ort, "_NVIDIA", tmp_path)
    monkeypatch.setattr(ort, "_JETSON", tmp_path / "none")
    target = Target("onnxruntime", "cuda", 0)
    assert "has no NVIDIA GPU" in RUNTIME.probe(target).reason
    information = tmp_path / "gpus" / "0000:01:00.0" / "information"
    information.parent.mkdir(parents=True)
    information.write_text("Model: \t\t NVIDIA Thing\nIRQ: 1\n")
    assert RUNTIME.probe(target).usable
    assert RUNTIME.probe(target).device == "NVIDIA Thing | cuda"
    assert "has 1 NVIDIA GPU (" in RUNTIME.probe(Target("onnxruntime", "cuda", 1)).reason


def test_both_flavours_together_rule_cuda_out(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr(ort, "installed", lambda _: both)
    probe = RUNTIME.probe(Target("onnxruntime", "cuda"))
    assert not probe.usable
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in probe.fix


def test_a_provider_that_this_build_has_not_is_unavailable(tmp_path: Path) -> None:
    graph = conv_graph(tmp_path / "g.onnx")
    with pytest.raises(Unavailable, match="no execution provider 'Nowhere'"):
        RUNTIME.compile(graph, parse_target("ort:ep=Nowhere"), CompileOptions(), tmp_path)


def test_a_provider_by_name_runs(tmp_path: Path) -> None:
    target = parse_target("ort:ep=CPU")
    compiled = RUNTIME.compile(
        conv_graph(tmp_path / "g.onnx"), target, CompileOptions(threads=1), tmp_path
    )
    with RUNTIME.open(compiled, tmp_path) as session:
        assert session.run({"x": random(1, 16, 12, 12)})["y"].shape == (1, 32, 12, 12)
        assert session.placement().share_by_device() == {"ep=CPU": 1.0}


def test_a_missing_library_gives_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(ort, "installed", lambda _: {})
    probe = RUNTIME.probe(CPU)
    assert (probe.usable, probe.fix) == (False, "pip install 'edgekit[cpu]'")
    with pytest.raises(MissingLibrary, match=r"pip install 'edgekit\[cpu\]'") as caught:
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), CPU, CompileOptions(), tmp_path)
    assert caught.value.exit_status == 3


def test_files_that_another_flavour_took_away_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "files_present", lambda _: False)
    probe = RUNTIME.probe(CPU)
    assert not probe.usable
    assert "its files are gone" in probe.reason
    assert importlib.metadata.version("onnxruntime") in probe.reason
