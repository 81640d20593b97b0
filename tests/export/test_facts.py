"""Facts read off ONNX files."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edgekit.core.card import Axis, ModelCard, Postprocess, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.export.facts import graph_facts
from edgekit.export.metadata import write_card

helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT


def save(path, nodes, inputs, outputs, weights=(), opset=17):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in dict(weights).items()],
    )
    for output in graph.output:
        output.type.tensor_type.shape.SetInParent()
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="me"
    )
    model = onnx.shape_inference.infer_shapes(model)
    path.write_bytes(model.SerializeToString())
    return graph_facts(path)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("operator", "attributes", "x", "weights", "flops"),
    [
        # 2 * outputs (4 * 6 * 6) * inputs a group (2) * kernel (9)
        ("Conv", {"group": 2}, [1, 4, 8, 8], [ones(4, 2, 3, 3)], 2 * 4 * 36 * 2 * 9),
        # 2 * inputs (4 * 64) * outputs (3) * kernel (4)
        ("ConvTranspose", {}, [1, 4, 8, 8], [ones(4, 3, 2, 2)], 2 * 256 * 3 * 4),
        ("MatMul", {}, [2, 5, 3], [ones(3, 7)], 2 * 2 * 5 * 7 * 3),
        ("Gemm", {"transB": 1}, [5, 3], [ones(7, 3)], 2 * 5 * 7 * 3),
        ("Gemm", {"transA": 1}, [3, 5], [ones(3, 7)], 2 * 5 * 7 * 3),
        # 2 * steps * batch * directions * gates * hidden * (inputs + hidden)
        (
            "LSTM",
            {"hidden_size": 6},
            [9, 2, 5],
            [ones(1, 24, 5), ones(1, 24, 6)],
            2 * 9 * 2 * 24 * 11,
        ),
        (
            "GRU",
            {"hidden_size": 6, "direction": "bidirectional"},
            [9, 2, 5],
            [ones(2, 18, 5), ones(2, 18, 6)],
            2 * 9 * 2 * 2 * 18 * 11,
        ),
        ("Add", {}, [4, 4], [ones(4)], 0),
    ],
)
def test_flops_are_those_of_the_formulas(tmp_path, operator, attributes, x, weights, flops):
    names = [f"w{index}" for index in range(len(weights))]
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    facts = save(tmp_path / "g.onnx", [node], {"x": x}, ["y"], zip(names, weights, strict=True))
    assert facts.flops == flops
    assert facts.operators == {operator: 1}
    assert facts.parameters == sum(weight.size for weight in weights)
    assert facts.parameter_bytes == 4 * facts.parameters
    assert (facts.precision, facts.quantized_share) == ("fp32", 0)


def test_a_dynamic_axis_counts_at_its_smallest_size(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = tmp_path / "g.onnx"
    facts = save(path, [node], {"x": ["batch", 3]}, ["y"], {"w": ones(3, 7)})
    assert facts.flops == 2 * 3 * 7
    assert facts.inputs == {"x": ("float32", ("batch", 3))}
    write_card(path, ModelCard(inputs={"x": TensorCard(shape=(Axis("batch", min=4), 3))}))
    assert graph_facts(path).flops == 4 * 2 * 3 * 7


def test_another_axis_than_the_batch_counts_at_its_typical_size(tmp_path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = tmp_path / "g.onnx"
    save(path, [node], {"x": ["batch", "rows", 3]}, ["y"], {"w": ones(3, 7)})
    rows = Axis("rows", min=2, typical=5, max=9)
    write_card(path, ModelCard(inputs={"x": TensorCard(shape=("batch", rows, 3))}))
    facts = graph_facts(path)
    assert facts.flops == 5 * 2 * 3 * 7
    assert {name: axis.counted for name, axis in facts.axes.items()} == {"batch": 1, "rows": 5}


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("NCHW", ["batch", 3, "height", "width"]), ("NHWC", ["batch", "height", "width", 3])],
)
def test_height_and_width_are_those_of_the_cards_images(tmp_path, layout, shape):
    # Red where a dynamic axis without a range counts as 1: an Ultralytics file with dynamic=True
    # had 2.7 MFLOP instead of 6,500.
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    if layout == "NHWC":
        nodes = [
            helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["t", "w"], ["y"]),
        ]
    path = tmp_path / "g.onnx"
    unknown = save(path, nodes, {"x": shape}, ["y"], {"w": ones(4, 3, 1, 1)})
    assert (unknown.axes["height"].counted, unknown.axes["height"].stated) == (1, False)
    assert unknown.axes["batch"].stated
    tensor = TensorCard(shape=tuple(shape), layout=layout)
    preprocess = Preprocess(resize="stretch", size=(6, 10))
    card = ModelCard(
        task="classification",
        labels=("a", "b"),
        inputs={"x": tensor},
        preprocess=preprocess,
        postprocess=Postprocess(decode="softmax"),
    )
    write_card(path, card)
    facts = graph_facts(path)
    counted = {name: (axis.counted, axis.stated) for name, axis in facts.axes.items()}
    assert counted == {"batch": (1, True), "height": (6, True), "width": (10, True)}
    assert facts.flops == 2 * 4 * 6 * 10 * 3


def test_the_size_in_the_metadata_of_ultralytics_counts(tmp_path):
    path = tmp_path / "g.onnx"
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["c"], strides=[8, 8]),
        helper.make_node("Reshape", ["c", "shape"], ["y"]),
    ]
    weights = {"w": ones(6, 3, 8, 8), "shape": np.array([0, 6, -1])}
    save(path, nodes, {"images": ["batch", 3, "height", "width"]}, ["y"], weights)
    model = onnx.load(path)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, ["batch", 6, "n"]))
    for key, value in {
        "author": "Ultralytics",
        "description": "Ultralytics YOLOv8n model",
        "version": "8.3.0",
        "stride": "32",
        "task": "detect",
        "batch": "1",
        "imgsz": "[48, 64]",
        "names": "{0: 'a', 1: 'b'}",
    }.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    axes = graph_facts(path).axes
    assert (axes["height"].counted, axes["width"].counted) == (48, 64)
    assert axes["height"].stated


def test_the_quantized_share_counts_what_stands_between_dequantizers(tmp_path):
    def pair(name, kind):
        return [
            helper.make_node("QuantizeLinear", [name, "s", kind], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", "s", kind], [f"{name}_d"]),
        ]

    nodes = [
        *pair("x", "zu"),
        helper.make_node("DequantizeLinear", ["w", "s", "zi"], ["w_d"]),
        helper.make_node("MatMul", ["x_d", "w_d"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["y"]),
    ]
    weights = {
        "w": ones(3, 6, dtype=np.int8),
        "v": ones(6, 1),
        "s": np.float32(0.1),
        "zu": np.uint8(0),
        "zi": np.int8(0),
    }
    facts = save(tmp_path / "g.onnx", nodes, {"x": [1, 3]}, ["y"], weights)
    assert facts.flops == 2 * (18 + 6)
    assert facts.quantized_share == pytest.approx(18 / 24)
    assert facts.precision == "int8"


def test_half_precision_weights_make_an_fp16_graph(tmp_path):
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("MatMul", ["h", "w"], ["g"]),
        helper.make_node("Cast", ["g"], ["y"], to=FLOAT),
    ]
    weights = {"w": ones(3, 6, dtype=np.float16)}
    facts = save(tmp_path / "g.onnx", nodes, {"x": [1, 3]}, ["y"], weights)
    assert (facts.precision, facts.parameter_bytes) == ("fp16", 36)


def test_file_facts_are_the_files_own(tmp_path):
    path = tmp_path / "g.onnx"
    facts = save(path, [helper.make_node("Relu", ["x"], ["y"])], {"x": [1]}, ["y"])
    assert facts.size_bytes == path.stat().st_size
    assert (facts.opset, facts.ir_version, facts.producer, facts.file) == (17, 8, "me", "g.onnx")
    path.write_bytes(b"text")
    with pytest.raises(BadInput, match="damaged"):
        graph_facts(path)


@pytest.mark.realdata
def test_a_real_detector_has_its_known_size(realdata):
    facts = graph_facts(realdata / "models/yolox_nano_original.onnx")
    # YOLOX's own table gives 0.91 M parameters and 1.08 GFLOPs at 416 x 416.
    assert facts.parameters == pytest.approx(0.91e6, rel=0.02)
    assert facts.flops == pytest.approx(1.08e9, rel=0.05)
