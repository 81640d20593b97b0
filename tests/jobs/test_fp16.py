"""fp16 is judged by fp16 arithmetic, on a machine whose engines compute it in fp32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.core.card import ModelCard, TensorCard
from edgekit.core.certificate import Check, Limits
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.core.variant import Variant
from edgekit.export.fp16 import write_fp16
from edgekit.jobs.process.plain import PLAIN_OPTIONS, run_many
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.engine import compile_graphs, opener
from edgekit.jobs.steps.entries import plan_entries
from edgekit.jobs.steps.examine import Basis, examine_entry, judge_entry, reference_truths
from edgekit.jobs.steps.reference import Reference

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

ORT = "onnxruntime:cpu"


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), [output], name=f"the_{output}", **attributes)


# Values of some hundreds: squares and their sums leave the range of fp16.
SQUARES = [node("Mul", "a k", "b"), node("ReduceSumSquare", "b", "q", axes=[1])]
SQUARES += [node("Sqrt", "q", "s"), node("Div", "b s", "z")]
# 64 values of 2000 add up to 128000; their mean is in the range.
MEAN = [node("Abs", "a", "p"), node("Sub", "p p", "o"), node("Add", "o k", "b")]
MEAN += [node("ReduceMean", "b", "m", axes=[1]), node("Sub", "b m", "d"), node("Add", "a d", "z")]
# Known to ONNX Runtime, not to the simulation.
UNKNOWN = [node("CumSum", "a axis", "z")]


def model(path, tail, k=400.0):
    random = np.random.default_rng(0)
    constants = {
        "w": random.normal(size=(64, 64)) * 0.3,
        "v": random.normal(size=(64, 4)),
        "k": np.float32(k),
    }
    graph = helper.make_graph(
        [node("MatMul", "x w", "a"), *tail, node("MatMul", "z v", "y")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        [
            *(numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in constants.items()),
            numpy_helper.from_array(np.int64(1), "axis"),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def inputs(count, seed=0):
    random = np.random.default_rng(seed)
    return [{"x": random.normal(size=(2, 64)).astype(np.float32)} for _ in range(count)]


def certified(graph, half, **limits):
    """The certificate of an fp16 graph on ONNX Runtime's CPU, against its fp32 graph."""
    tensors = {"x": TensorCard(dtype="float32", shape=(2, 64))}
    outputs = {"y": TensorCard(dtype="float32", shape=(2, 4))}
    card = ModelCard(task="raw", inputs=tensors, outputs=outputs)
    where, feeds, silent = usable(ORT), {"main": inputs(3)}, Silent()

    def opened(path, options):
        return opener(compile_graphs({"main": path}, *where, options, progress=silent))

    reference = Reference("the graph itself", opened(graph, PLAIN_OPTIONS))
    truths = reference_truths(
        reference, card, Path(), (), feeds, feeds, trust_code=False, seed=0, progress=silent
    )
    (plan,) = plan_entries([where], ["fp16"], [])
    basis = Basis(card, Path(), truths, Check(verdict="PASS"))
    variant = Variant("fp16", "fp16", {"main": str(half)})
    found = examine_entry(plan, variant, opened(half, CompileOptions()), basis, silent)
    return judge_entry(plan, found, basis, Limits(**limits))


def test_an_overflow_that_the_engine_does_not_show_fails(tmp_path):
    """Computed in fp32 the graph reaches 70 dB, and was a PASS."""
    graph = model(tmp_path / "m.onnx", SQUARES)
    write_fp16(graph, tmp_path / "h.onnx")  # on no inputs: the cast does not see it
    found = certified(graph, tmp_path / "h.onnx")
    parity = found.checks["parity"]
    assert parity.verdict == "FAIL"
    assert parity.value < 1
    assert parity.details["arithmetic"] == "fp16, simulated"
    assert found.executed_precision == "fp32"


def test_a_sum_that_only_fp16_spoils_is_unverified_by_its_node(tmp_path):
    graph = model(tmp_path / "m.onnx", MEAN, k=2000.0)
    write_fp16(graph, tmp_path / "h.onnx")
    parity = certified(graph, tmp_path / "h.onnx").checks["parity"]
    assert parity.verdict == "UNVERIFIED"
    assert parity.value >= parity.limit
    assert "the_m" in parity.reason


def test_what_cannot_be_simulated_is_unverified_by_its_node(tmp_path):
    """A graph that was cast elsewhere; this cast keeps the operator in fp32."""
    graph = model(tmp_path / "m.onnx", UNKNOWN)
    half = onnx.load(graph)
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    half.graph.node[0].input[0] = "x16"
    half.graph.node[-1].output[0] = "y16"
    half.graph.node.insert(0, helper.make_node("Cast", ["x"], ["x16"], to=TensorProto.FLOAT16))
    half.graph.node.append(helper.make_node("Cast", ["y16"], ["y"], to=TensorProto.FLOAT))
    onnx.save(half, tmp_path / "h.onnx")
    checks = certified(graph, tmp_path / "h.onnx").checks
    for name in ("finite", "parity"):
        assert checks[name].verdict == "UNVERIFIED"
        assert "the_z" in checks[name].reason


def test_a_sound_graph_passes_but_for_where_it_runs(tmp_path):
    graph = model(tmp_path / "m.onnx", SQUARES)
    write_fp16(graph, tmp_path / "h.onnx", inputs(4, seed=1), run_many)
    checks = certified(graph, tmp_path / "h.onnx").checks
    assert checks["parity"].verdict == checks["finite"].verdict == "PASS"
    assert "simulation" in checks["parity"].reason
    assert checks["placement"].verdict == "UNVERIFIED"


def test_quantize_judges_fp16_by_simulation_and_names_what_stays(tmp_path):
    graph = model(tmp_path / "m.onnx", SQUARES)
    np.savez(tmp_path / "d.npz", x=np.concatenate([one["x"] for one in inputs(8)]))
    options = {"precision": "fp16", "data": tmp_path / "d.npz"}
    document = api.quantize(str(graph), tmp_path / "h.onnx", **options)
    assert document.verdict == "PASS"
    assert any(note.startswith("q, s stay fp32") for note in document.notes)
    assert any("simulated" in note for note in document.notes)


def test_without_data_the_cast_is_tried_on_generated_inputs_and_says_so(tmp_path):
    graph = model(tmp_path / "m.onnx", SQUARES)
    document = api.quantize(str(graph), tmp_path / "h.onnx", precision="fp16")
    assert document.verdict == "UNVERIFIED"
    assert any("generated inputs" in note for note in document.notes)
    assert any("q" in note and "stay fp32" in note for note in document.notes)


def test_a_bundle_is_judged_in_fp16_where_it_arrives_too(tmp_path):
    graph = model(tmp_path / "m.onnx", SQUARES)
    options = {"precision": ("fp16",), "targets": (ORT,), "time": 0.1}
    document = api.deploy(str(graph), tmp_path / "bundle", **options)
    (entry,) = document.entries
    assert (entry.variant, entry.compute, entry.executed_precision) == ("fp16", "fp32", "fp32")
    (arrived,) = api.verify(tmp_path / "bundle").entries
    for checks in (entry.checks, arrived.checks):
        assert checks["parity"].verdict == "PASS"
        assert checks["parity"].details["arithmetic"] == "fp16, simulated"
        assert checks["placement"].verdict == "UNVERIFIED"
