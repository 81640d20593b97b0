"""What can be looked at inside a graph, and pieces cut out of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.export.decisions import Activation
from edgekit.export.fp16 import write_fp16
from edgekit.export.onnx_file import read_onnx
from edgekit.export.qdq import DIALECTS, write_activations
from edgekit.export.taps import cut_out, tap_graph, with_outputs


@pytest.fixture
def fp32(tmp_path):
    """x -> Conv -> Relu -> (MaxPool, Identity with a shape on the side) -> Mul; all of it float."""
    two = numpy_helper.from_array(np.float32(2.0))
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"], name="relu"),
            helper.make_node("Shape", ["r"], ["s"], name="shape"),
            helper.make_node("Constant", [], ["two"], name="constant", value=two),
            helper.make_node("Exp", ["two"], ["e"], name="folded"),
            helper.make_node("Tanh", ["r"], ["t"], name="tanh"),
            helper.make_node("Sigmoid", ["r"], ["g"], name="gate"),
            helper.make_node("Mul", ["t", "g"], ["m"], name="product"),
            helper.make_node("Mul", ["m", "e"], ["y"], name="scaled"),
            helper.make_node("Reshape", ["y", "s"], ["z"], name="shaped"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 4, 4])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 2, 4, 4])],
        [numpy_helper.from_array(np.ones((2, 2, 3, 3), np.float32) / 9, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path = tmp_path / "fp32.onnx"
    onnx.save(model, path)
    return path


def named(graph, bits):
    return {one.tensor for index, one in enumerate(graph.tensors) if bits >> index & 1}


def test_floats_that_depend_on_an_input_can_be_looked_at_and_nothing_else(fp32):
    graph = tap_graph(read_onnx(fp32), read_onnx(fp32))
    assert [one.tensor for one in graph.tensors] == ["c", "r", "t", "g", "m", "y", "z"]
    at = {one.tensor: index for index, one in enumerate(graph.tensors)}
    assert named(graph, graph.before[at["g"]]) == {"c", "r", "g"}
    assert named(graph, graph.before[at["z"]]) == set(at)
    assert named(graph, graph.parents[at["c"]]) == set()
    assert named(graph, graph.parents[at["m"]]) == {"t", "g"}
    # Past what is no float: the shape comes from r.
    assert named(graph, graph.parents[at["z"]]) == {"y", "r"}
    assert [one.tensor for one in graph.tensors if one.output] == ["z"]
    assert graph.tensors[0].node == "conv"
    assert graph.tensors[0].module is None


def test_rounded_tensors_stand_for_the_ones_that_they_round(fp32):
    ranges = [Activation("x", -3.0, 3.0), Activation("r", 0.0, 3.0)]
    int8 = write_activations(read_onnx(fp32), ranges, DIALECTS["u8s8"])
    graph = tap_graph(int8, read_onnx(fp32))
    partners = {one.tensor: one.reference for one in graph.tensors}
    assert partners["x/dequantized"] == "x"
    assert partners["r/dequantized"] == "r"
    assert partners["t"] == "t"
    assert not any("quantized" in name.split("/")[1:] for name in partners)
    # What a QuantizeLinear reads is fused away by engines.
    assert [one.tensor for one in graph.tensors if one.inner] == ["r"]


def test_casts_stand_for_what_they_cast(fp32, tmp_path):
    write_fp16(fp32, tmp_path / "half.onnx")
    graph = tap_graph(read_onnx(tmp_path / "half.onnx"), read_onnx(fp32))
    partners = [(one.op, one.reference) for one in graph.tensors]
    assert partners[0] == ("Cast", "x")
    assert partners[-2:] == [("Reshape", "z"), ("Cast", "z")]


def run(model, tmp_path, feeds):
    import onnxruntime

    onnx.save(model, tmp_path / "run.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "run.onnx"), providers=["CPUExecutionProvider"]
    )
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds), strict=True))


def test_inner_tensors_become_outputs_of_a_copy(fp32, tmp_path):
    model = read_onnx(fp32)
    tapped = with_outputs(model, ["r", "z", "g", "r"])
    assert [one.name for one in tapped.graph.output] == ["z", "r", "g"]
    assert [one.name for one in model.graph.output] == ["z"]
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float32)
    found = run(tapped, tmp_path, {"x": x})
    np.testing.assert_allclose(found["g"], 1 / (1 + np.exp(-found["r"])), rtol=1e-5)


def test_a_piece_makes_one_tensor_of_what_is_known(fp32, tmp_path):
    model = read_onnx(fp32)
    known = {"x": "x", "t": "t", "g": "g", "r": "r"}
    piece, fed = cut_out(model, "y", known)
    assert fed == {"t": "t", "g": "g"}
    assert {node.name for node in piece.graph.node} == {"product", "scaled", "folded", "constant"}
    ones = np.ones((1, 2, 4, 4), np.float32)
    found = run(piece, tmp_path, {"t": ones, "g": 3 * ones})
    np.testing.assert_allclose(found["y"], 3 * np.exp(2.0) * ones, rtol=1e-6)
    piece, fed = cut_out(model, "c", known)
    assert fed == {"x": "x"}
    assert [tensor.name for tensor in piece.graph.initializer] == ["w"]


def test_a_piece_of_constants_has_nothing_to_feed(fp32):
    assert cut_out(read_onnx(fp32), "e", {"x": "x"}) is None
