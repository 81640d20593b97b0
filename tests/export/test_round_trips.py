"""Where int8 is left and entered again, on graphs whose every pair is known."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgekit.export.facts import graph_facts
from edgekit.export.round_trips import FUSED_BY_ONNXRUNTIME

helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT
INT64 = np.int64


class Writer:
    """A graph in which int8 is entered and left by name."""

    def __init__(self):
        self.nodes = []
        self.tensors = {"s": np.float32(0.1), "u": np.uint8(0), "i": np.int8(0)}

    def pair(self, name, scale="s", point="u"):
        """Quantize a tensor and dequantize it again; the result's name."""
        self.nodes += [
            helper.make_node("QuantizeLinear", [name, scale, point], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", scale, point], [f"{name}_d"]),
        ]
        return f"{name}_d"

    def weight(self, name, *shape):
        self.tensors[name] = np.ones(shape, np.int8)
        self.nodes.append(helper.make_node("DequantizeLinear", [name, "s", "i"], [f"{name}_d"]))
        return f"{name}_d"

    def node(self, operator, inputs, name, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def save(self, path, inputs, outputs):
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
            [onnx.numpy_helper.from_array(value, name) for name, value in self.tensors.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        # An output given without a shape gets its own.
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        path.write_bytes(model.SerializeToString())
        return path


def silu(path, *, between):
    """Conv, SiLU, Conv; `between` also quantizes what lies between Conv, Sigmoid and Mul."""
    graph = Writer()
    image = graph.pair("x")
    conv = graph.node("Conv", [image, graph.weight("w1", 4, 3, 1, 1)], "conv1")
    conv = graph.pair(conv) if between else conv
    gate = graph.node("Sigmoid", [conv], "sigmoid")
    gate = graph.pair(gate) if between else gate
    gated = graph.pair(graph.node("Mul", [conv, gate], "mul"))
    last = graph.node("Conv", [gated, graph.weight("w2", 2, 4, 1, 1)], "conv2")
    return graph.save(path, {"x": [1, 3, 8, 8]}, {graph.pair(last): [1, 2, 8, 8]})


def test_a_silu_in_float_is_an_island_between_int8(tmp_path):
    facts = graph_facts(silu(tmp_path / "g.onnx", between=False))
    (trip,) = facts.round_trips
    assert (trip.kind, trip.operators) == ("island", ("Conv", "Sigmoid", "Mul"))
    assert trip.nodes == ("conv1", "sigmoid", "mul")
    assert trip.conversions == ("x_d", "mul_q")
    # The DequantizeLinear reads 192 bytes, their scale and zero point, and writes 768; the
    # QuantizeLinear reads 1024 and the same two, and writes 256.
    assert trip.bytes == facts.round_trip_bytes == (192 + 5 + 768) + (1024 + 5 + 256)
    assert trip.flops == 2 * 256 * 3
    assert facts.quantized_share == 1
    # Only the second convolution has int8 on both sides.
    assert facts.int8_on_onnxruntime == pytest.approx(128 * 4 / (256 * 3 + 128 * 4))
    precision = {work.name: work.precision for work in facts.by_node}
    assert (precision["conv1"], precision["sigmoid"], precision["conv2"]) == (
        "int8",
        "fp32",
        "int8",
    )


def test_quantized_throughout_there_is_no_round_trip(tmp_path):
    facts = graph_facts(silu(tmp_path / "g.onnx", between=True))
    assert facts.round_trips == ()
    assert facts.int8_on_onnxruntime == 1


def test_a_relu_before_the_quantizer_is_its_range(tmp_path):
    for point, kinds in (("u", []), ("i", ["island"])):
        graph = Writer()
        conv = graph.node("Conv", [graph.pair("x"), graph.weight("w", 4, 3, 1, 1)], "conv")
        result = graph.pair(graph.node("Relu", [conv], "relu"), point=point)
        path = graph.save(tmp_path / f"{point}.onnx", {"x": [1, 3, 8, 8]}, {result: [1, 4, 8, 8]})
        # From int8's zero the quantizer lets negative numbers pass, so the Relu has its own work.
        assert [trip.kind for trip in graph_facts(path).round_trips] == kinds


def test_an_operator_without_an_int8_kernel_is_a_round_trip_of_its_own(tmp_path):
    graph = Writer()
    result = graph.pair(graph.node("Softplus", [graph.pair("x")], "softplus"))
    path = graph.save(tmp_path / "g.onnx", {"x": [1, 16]}, {result: [1, 16]})
    (trip,) = graph_facts(path).round_trips
    assert (trip.kind, trip.nodes) == ("unfused", ("softplus",))


@pytest.mark.parametrize(("scale", "kind"), [("other", "requantize"), ("twin", "redundant")])
def test_pairs_back_to_back_are_told_apart_by_their_scales(tmp_path, scale, kind):
    graph = Writer()
    graph.tensors |= {"other": np.float32(0.2), "twin": np.float32(0.1)}
    result = graph.pair(graph.pair("x"), scale=scale)
    path = graph.save(tmp_path / "g.onnx", {"x": [1, 16]}, {result: [1, 16]})
    (trip,) = graph_facts(path).round_trips
    assert (trip.kind, trip.conversions) == (kind, ("x_d", "x_d_q"))
    assert trip.bytes == 2 * (64 + 16 + 5)


def test_float_at_the_ends_of_a_graph_is_no_round_trip(tmp_path):
    graph = Writer()
    first = graph.node("Softplus", ["x"], "first")
    last = graph.node("Softplus", [graph.pair(first)], "last")
    path = graph.save(tmp_path / "g.onnx", {"x": [1, 16]}, {last: [1, 16]})
    assert graph_facts(path).round_trips == ()


def test_a_graph_without_pairs_has_none(tmp_path):
    graph = Writer()
    path = graph.save(tmp_path / "g.onnx", {"x": [4]}, {graph.node("Relu", ["x"], "y"): [4]})
    facts = graph_facts(path)
    assert (facts.round_trips, facts.round_trip_bytes, facts.int8_on_onnxruntime) == ((), 0, 0)


# --- what is claimed of ONNX Runtime ----------------------------------------------------------

ONE = {"x": [1, 4, 8, 8]}
EXTRA = {
    "Expand": [np.array([2, 4, 8, 8], INT64)],
    "Gather": [np.array([0], INT64)],
    "Reshape": [np.array([1, 256], INT64)],
    "Resize": [np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32)],
    "Slice": [np.array([0], INT64), np.array([2], INT64), np.array([1], INT64)],
    "Tile": [np.array([2, 1, 1, 1], INT64)],
    "Unsqueeze": [np.array([0], INT64)],
}
ATTRIBUTES = {
    "AveragePool": {"kernel_shape": [2, 2]},
    "Concat": {"axis": 1},
    "DepthToSpace": {"blocksize": 2},
    "MaxPool": {"kernel_shape": [2, 2]},
    "ReduceMax": {"axes": [1]},
}


def pairs_left(path, folder):
    """How many DequantizeLinear ONNX Runtime keeps in front of other operators."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(folder / "optimized.onnx").graph
    results = {value.name for value in graph.output}
    return sum(
        node.op_type == "DequantizeLinear" and node.output[0] not in results for node in graph.node
    )


@pytest.mark.parametrize("operator", sorted(FUSED_BY_ONNXRUNTIME))
def test_the_installed_onnxruntime_has_the_kernels_that_the_table_says(tmp_path, operator):
    graph, shapes = Writer(), dict(ONE)
    inputs = [graph.pair("x")]
    if operator in ("Add", "Mul", "Concat"):
        shapes["z"] = ONE["x"]
        inputs.append(graph.pair("z"))
    if operator == "Conv":
        inputs.append(graph.weight("w", 4, 4, 3, 3))
    if operator in ("MatMul", "Gemm"):
        inputs.append(graph.weight("w", 8, 8))
    if operator == "Gemm":
        shapes = {"x": [4, 8]}
    for index, value in enumerate(EXTRA.get(operator, [])):
        graph.tensors[f"e{index}"] = value
        inputs.append(f"e{index}")
    result = graph.node(operator, inputs, "y", **ATTRIBUTES.get(operator, {}))
    path = graph.save(tmp_path / "g.onnx", shapes, {graph.pair(result): None})
    assert graph_facts(path).round_trips == ()
    assert pairs_left(path, tmp_path) == 0


@pytest.mark.parametrize("operator", ["Softplus", "Tanh", "Exp", "HardSwish"])
def test_the_installed_onnxruntime_lacks_those_that_it_does_not_say(tmp_path, operator):
    graph = Writer()
    result = graph.pair(graph.node(operator, [graph.pair("x")], "y"))
    path = graph.save(tmp_path / "g.onnx", ONE, {result: None})
    assert pairs_left(path, tmp_path) > 0


@pytest.mark.parametrize("between", [False, True])
def test_the_share_in_int8_is_what_onnxruntime_then_runs(tmp_path, between):
    from edgekit.core.runtime import CompileOptions
    from edgekit.runtimes.catalogue import load_runtime, parse_target

    pytest.importorskip("onnxruntime")
    path = silu(tmp_path / "g.onnx", between=between)
    (tmp_path / "engine").mkdir()
    runtime = load_runtime("onnxruntime")
    target = parse_target("onnxruntime:cpu")
    compiled = runtime.compile(path, target, CompileOptions(threads=1), tmp_path / "engine")
    with runtime.open(compiled, tmp_path / "engine") as session:
        ran = session.placement().share_by_precision()
    facts = graph_facts(path)
    # Channels that the engine pads count in its share, so it is close and not equal.
    assert ran.get("int8", 0) == pytest.approx(facts.int8_on_onnxruntime, abs=0.15)
