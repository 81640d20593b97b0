"""A finished graph at another height and width: the same layers, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.card import ModelCard, Postprocess, Preprocess
from edgekit.core.errors import BadInput
from edgekit.export.fp16 import write_fp16
from edgekit.export.input_shape import graph_stride, resize_graph
from edgekit.export.metadata import read_card
from edgekit.jobs.process.plain import run_file

RNG = np.random.default_rng(0)
W1 = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
W2 = RNG.normal(size=(6, 4, 1, 1)).astype(np.float32)


def card(size=(64, 64)):
    return ModelCard(
        task="detection",
        preprocess=Preprocess(size=size, resize="letterbox"),
        postprocess=Postprocess(decode="yolov8"),
    )


def numbers(*values):
    return np.array(values, np.int64)


def write(path: Path, nodes, tensors, *, sides=(64, 64), output=None, props=None, batch=1) -> Path:
    """A convolution of stride 8 over the input, and what follows."""
    values = {"w1": W1, "w2": W2, **tensors}
    front = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1], strides=[8, 8]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["map"]),
    ]
    graph = helper.make_graph(
        [*front, *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, *sides])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, props or {})
    onnx.save(model, path)
    return path


def flattened(path: Path, **more) -> Path:
    """A head with its rows baked: (1, 6, 8, 8) to (1, 64, 6)."""
    nodes = [
        helper.make_node("Reshape", ["map", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["y"], perm=[0, 2, 1]),
    ]
    return write(path, nodes, {"flat": numbers(1, 6, 64)}, output=[1, 64, 6], **more)


def resized(graph: Path, wanted=(40, 64), **more):
    output = graph.with_name("sized.onnx")
    return resize_graph(graph, output, card(**more), wanted, run_file), output


def by_hand(picture):
    """The rows that the head gives for a picture of any size: a graph that bakes none."""
    folder = Path(picture["folder"])
    nodes = [
        helper.make_node("Reshape", ["map", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["y"], perm=[0, 2, 1]),
    ]
    path = write(
        folder / "free.onnx", nodes, {"flat": numbers(0, 6, -1)}, sides=("h", "w"),
        output=[1, "n", 6],
    )  # fmt: skip
    return run_file(path, {"x": picture["x"]})["y"]


def test_a_baked_head_gives_the_rows_of_the_new_size(tmp_path):
    fixed, output = resized(flattened(tmp_path / "g.onnx"))
    assert fixed.inputs["x"].shape == (1, 3, 40, 64)
    assert fixed.outputs["y"].shape == (1, 40, 6)
    assert fixed.preprocess.size == (40, 64)
    assert "40x64" in fixed.provenance["input_shape"]
    assert read_card(output) == fixed
    x = RNG.normal(size=(1, 3, 40, 64)).astype(np.float32)
    expected = by_hand({"folder": tmp_path, "x": x})
    np.testing.assert_array_equal(run_file(output, {"x": x})["y"], expected)


@pytest.mark.parametrize("size", [(40, 64), (64, 40), (32, 64), (64, 64), (128, 96)])
def test_anchors_and_their_order_follow(tmp_path, size):
    # As YOLOv5 has it: (1, 6, h, w) to (1, 2, 3, h, w) to (1, 2, h, w, 3) to (1, 2 h w, 3).
    nodes = [
        helper.make_node("Reshape", ["map", "five"], ["v"]),
        helper.make_node("Transpose", ["v"], ["t"], perm=[0, 1, 3, 4, 2]),
        helper.make_node("Reshape", ["t", "rows"], ["y"]),
    ]
    tensors = {"five": numbers(1, 2, 3, 8, 8), "rows": numbers(1, 128, 3)}
    graph = write(tmp_path / "g.onnx", nodes, tensors, output=[1, 128, 3])
    _, output = resized(graph, size)
    x = RNG.normal(size=(1, 3, *size)).astype(np.float32)
    rows = by_hand({"folder": tmp_path, "x": x})
    h, w = size[0] // 8, size[1] // 8
    expected = rows.transpose(0, 2, 1).reshape(1, 2, 3, h, w).transpose(0, 1, 3, 4, 2)
    np.testing.assert_array_equal(run_file(output, {"x": x})["y"], expected.reshape(1, -1, 3))


def test_a_flattened_map_becomes_one_again_as_in_attention(tmp_path):
    fixed, _ = resized(attention(tmp_path / "g.onnx"))
    assert fixed.outputs["y"].shape == (1, 6, 5, 8)


def test_sizes_of_resize_slice_and_expand_follow(tmp_path):
    nodes = [
        helper.make_node("Resize", ["map", "", "", "twice"], ["up"], mode="nearest"),
        helper.make_node("Slice", ["up", "from", "to", "axes", "steps"], ["half"]),
        helper.make_node("ReduceMean", ["half"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Expand", ["mean", "wide"], ["y"]),
    ]
    tensors = {
        "twice": numbers(1, 6, 16, 16),
        "from": numbers(1, 0),
        "to": numbers(16, 16),
        "axes": numbers(2, 3),
        "steps": numbers(2, 2),
        "wide": numbers(1, 6, 8, 8),
    }
    fixed, _ = resized(write(tmp_path / "g.onnx", nodes, tensors, output=[1, 6, 8, 8]))
    assert fixed.outputs["y"].shape == (1, 6, 5, 8)


def test_a_graph_of_any_size_is_fixed_and_its_shapes_are_folded(tmp_path):
    nodes = [
        helper.make_node("Shape", ["map"], ["s"]),
        helper.make_node("Slice", ["s", "two", "four"], ["hw"]),
        helper.make_node("ReduceProd", ["hw"], ["n"], axes=[0], keepdims=1),
        helper.make_node("Slice", ["s", "zero", "two"], ["nc"]),
        helper.make_node("Concat", ["nc", "n"], ["to"], axis=0),
        helper.make_node("Reshape", ["map", "to"], ["y"]),
    ]
    tensors = {"zero": numbers(0), "two": numbers(2), "four": numbers(4)}
    graph = write(
        tmp_path / "g.onnx", nodes, tensors, sides=("h", "w"), batch="batch",
        output=["batch", 6, "n"],
    )  # fmt: skip
    fixed, output = resized(graph)
    assert fixed.outputs["y"].shape == (1, 6, 40)
    assert [node.op_type for node in onnx.load(output).graph.node] == [
        "Conv", "Relu", "Conv", "Reshape",
    ]  # fmt: skip


def test_graphs_of_half_precision_and_of_int8_keep_their_numbers(tmp_path):
    graph = flattened(tmp_path / "g.onnx")
    half = tmp_path / "half.onnx"
    write_fp16(graph, half)
    _, output = resized(half)
    assert {tensor.data_type for tensor in onnx.load(output).graph.initializer} >= {10}
    nodes = [
        helper.make_node("QuantizeLinear", ["map", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["w8", "scale"], ["w"]),
        helper.make_node("Conv", ["d", "w"], ["m"]),
        helper.make_node("Reshape", ["m", "flat"], ["y"]),
    ]
    tensors = {
        "scale": np.array(0.1, np.float32),
        "zero": np.array(128, np.uint8),
        "w8": RNG.integers(-9, 9, (2, 6, 1, 1), dtype=np.int8),
        "flat": numbers(1, 2, 64),
    }
    fixed, output = resized(write(tmp_path / "q.onnx", nodes, tensors, output=[1, 2, 64]))
    assert fixed.outputs["y"].shape == (1, 2, 40)
    kinds = [node.op_type for node in onnx.load(output).graph.node]
    assert kinds.count("DequantizeLinear") == 2


def test_ultralytics_metadata_says_the_new_size(tmp_path):
    props = {
        "task": "detect", "names": "{0: 'a', 1: 'b'}", "stride": "64", "imgsz": "[64, 64]",
        "batch": "4", "dynamic": "True",
    }  # fmt: skip
    graph = flattened(tmp_path / "g.onnx", props=props)
    assert graph_stride(graph) == 64
    _, output = resized(graph)
    found = {entry.key: entry.value for entry in onnx.load(output).metadata_props}
    assert (found["imgsz"], found["batch"], found["dynamic"]) == ("[40, 64]", "1", "False")
    assert graph_stride(flattened(tmp_path / "plain.onnx")) == 32


def attention(path, **more):
    h, w = (side // 8 for side in more.get("sides", (64, 64)))
    nodes = [
        helper.make_node("Reshape", ["map", "flat"], ["f"]),
        helper.make_node("Transpose", ["f"], ["ft"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["ft", "f"], ["a"]),
        helper.make_node("Softmax", ["a"], ["s"], axis=-1),
        helper.make_node("MatMul", ["f", "s"], ["m"]),
        helper.make_node("Reshape", ["m", "back"], ["b"]),
        helper.make_node("Add", ["b", "map"], ["y"]),
    ]
    tensors = {"flat": numbers(1, 6, h * w), "back": numbers(1, 6, h, w)}
    return write(path, nodes, tensors, output=[1, 6, h, w], **more)


def test_a_graph_that_is_turned_keeps_its_order(tmp_path):
    wide = attention(tmp_path / "wide.onnx", sides=(32, 64))
    x = RNG.normal(size=(1, 3, 64, 32)).astype(np.float32)
    _, output = resized(wide, (64, 32), size=(32, 64))
    high = attention(tmp_path / "high.onnx", sides=(64, 32))
    np.testing.assert_array_equal(run_file(output, {"x": x})["y"], run_file(high, {"x": x})["y"])


def grid(path, sides=(64, 64)):
    places = sides[0] * sides[1] // 64
    nodes = [
        helper.make_node("Reshape", ["map", "flat"], ["rows"]),
        helper.make_node("Add", ["rows", "anchors"], ["y"]),
    ]
    tensors = {"flat": numbers(1, 6, places), "anchors": np.ones((1, 6, places), np.float32)}
    return write(path, nodes, tensors, output=[1, 6, places], sides=sides)


def dense(path):
    nodes = [
        helper.make_node("Reshape", ["map", "flat"], ["all"]),
        helper.make_node("Gemm", ["all", "w"], ["y"]),
    ]
    tensors = {"flat": numbers(1, 384), "w": np.ones((384, 2), np.float32)}
    return write(path, nodes, tensors, output=[1, 2])


def pooled(path):
    nodes = [
        helper.make_node("AveragePool", ["map"], ["p"], kernel_shape=[8, 8]),
        helper.make_node("Relu", ["p"], ["y"]),
    ]
    return write(path, nodes, {}, output=[1, 6, 1, 1])


def clipped(path):
    nodes = [helper.make_node("Mul", ["map", "size"], ["y"])]
    return write(path, nodes, {"size": np.array(64, np.float32)}, output=[1, 6, 8, 8])


def partly(path):
    nodes = [helper.make_node("Slice", ["map", "from", "to", "axes"], ["y"])]
    tensors = {"from": numbers(2), "to": numbers(6), "axes": numbers(2)}
    return write(path, nodes, tensors, output=[1, 6, 4, 8])


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (grid, "grid of anchors"),
        (dense, "weights fit one size only"),
        (pooled, "window is the whole picture"),
        (clipped, "calculates with its own size"),
        (partly, "cuts 2 to 6 out of 8"),
    ],
)
def test_what_depends_on_the_size_is_refused_with_its_reason(tmp_path, made, reason):
    graph = made(tmp_path / "g.onnx")
    with pytest.raises(BadInput, match=reason) as caught:
        resized(graph)
    assert caught.value.hint
    assert str(graph) in caught.value.message
    assert not (tmp_path / "sized.onnx").exists()


def test_a_turned_grid_is_refused_although_it_is_as_long(tmp_path):
    with pytest.raises(BadInput, match="grid of anchors"):
        resized(grid(tmp_path / "g.onnx", (32, 64)), (64, 32), size=(32, 64))


def test_a_rewriting_that_answers_otherwise_is_refused(tmp_path, monkeypatch):
    from edgekit.export import input_shape

    # Rows and columns exchanged: the right number of values in the wrong order.
    monkeypatch.setattr(
        input_shape, "_fold", lambda model, sizes: model.graph.node[-1].attribute[0].ints.reverse()
    )
    with pytest.raises(BadInput, match="cannot take another size"):
        resized(flattened(tmp_path / "g.onnx"))


@pytest.mark.realdata
@pytest.mark.parametrize("size", [(256, 416), (416, 256)])
def test_yolox_as_published_takes_a_streams_shape(realdata, tmp_path, size):
    from edgekit.tasks.cards import read_card as read
    from edgekit.tasks.images import read_image
    from edgekit.tasks.registry import task_for

    models = realdata / "models"
    graph = models / "yolox_nano_original.onnx"
    own = read(models / "yolox_nano_original.card.yaml")
    output = tmp_path / "sized.onnx"
    fixed = resize_graph(graph, output, own, size, run_file)
    picture = read_image(realdata / "samples" / "dog.jpg")
    height, width = picture.shape[:2]
    wide = size[0] < size[1]
    picture = picture[: width * 9 // 16] if wide else picture[:, : height * 9 // 16]
    found = []
    for path, one in ((graph, own), (output, fixed)):
        task = task_for(one)
        array, fit = task.preprocess(np.ascontiguousarray(picture))
        result = task.postprocess(run_file(path, {"images": array}), fit, 0.5)
        found.append(set(result.classes.tolist()))
    assert found[0] == found[1] != set()
