"""fp16: what is cast, what stays, and that the numbers hold."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit.core.errors import BadInput
from edgekit.export.fp16 import write_fp16

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

_spec = importlib.util.spec_from_file_location(
    "small_graphs", Path(__file__).with_name("small_graphs.py")
)
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

SHAPES = {"x": (1, 3, 8, 8)}


def test_weights_are_halved_and_io_stays_fp32(tmp_path):
    model = small.convolutions(tmp_path / "m.onnx")
    assert write_fp16(model, tmp_path / "h.onnx") == ()
    half = onnx.load(str(tmp_path / "h.onnx"))
    assert {t.data_type for t in half.graph.initializer} == {TensorProto.FLOAT16}
    io = [*half.graph.input, *half.graph.output]
    assert {entry.type.tensor_type.elem_type for entry in io} == {TensorProto.FLOAT}
    assert [entry.name for entry in io] == ["x", "y"]
    assert half.metadata_props[0].key == "edgekit.card"
    assert (half.opset_import[0].version, half.ir_version) == (17, 8)
    feed = small.samples(SHAPES, 1)[0]
    wanted = small.run(model, feed)[0]
    assert small.sqnr_db(wanted, small.run(tmp_path / "h.onnx", feed)[0]) > 50


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = small.convolutions(tmp_path / "m.onnx")
    write_fp16(model, tmp_path / "a.onnx")
    write_fp16(model, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize(
    ("constant", "inputs", "match"),
    [
        (1e6, [1e-3, 2e-3, 3e-3, 4e-3], "more than fp16 can"),
        (1e-7, [1000, 2000, 3000, 4000], "which fp16 would lose"),
    ],
)
def test_a_constant_outside_fp16_keeps_its_node_in_fp32(tmp_path, constant, inputs, match):
    """Cast, 1e6 becomes 65504 and 1e-7 becomes 1.2e-7, while the products fit into fp16."""
    nodes = [helper.make_node("Mul", ["x", "c"], ["y"])]
    tensors = {"c": np.array([constant], np.float32)}
    model = small.save(tmp_path / "m.onnx", nodes, {"x": [1, 4]}, {"y": [1, 4]}, tensors)
    (note,) = write_fp16(model, tmp_path / "h.onnx")
    assert match in note
    feed = {"x": np.array([inputs], np.float32)}
    wanted = feed["x"] * np.float32(constant)
    assert np.allclose(small.run(tmp_path / "h.onnx", feed)[0], wanted, rtol=2e-3)


def test_resize_and_open_clip_bounds_survive(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Clip", ["c", "low", "high"], ["k"]),
        helper.make_node("Resize", ["k", "", "scales"], ["y"], mode="nearest"),
    ]
    tensors = {
        "w": np.ones((2, 3, 1, 1), np.float32),
        "low": np.float32(0).reshape(()),
        "high": np.float32(3e38).reshape(()),
        "scales": np.array([1, 1, 1.5, 1.5], np.float32),
    }
    shapes = {"x": [1, 3, 8, 8]}, {"y": [1, 2, 12, 12]}
    model = small.save(tmp_path / "m.onnx", nodes, *shapes, tensors)
    write_fp16(model, tmp_path / "h.onnx")
    feed = small.samples(SHAPES, 1)[0]
    wanted = small.run(model, feed)[0]
    assert small.sqnr_db(wanted, small.run(tmp_path / "h.onnx", feed)[0]) > 50


def test_a_model_without_float_weights_is_refused(tmp_path):
    node = helper.make_node("Relu", ["x"], ["y"])
    model = small.save(tmp_path / "m.onnx", [node], {"x": [1, 4]}, {"y": [1, 4]}, {})
    with pytest.raises(BadInput, match="no fp32 weights"):
        write_fp16(model, tmp_path / "h.onnx")
    assert not (tmp_path / "h.onnx").exists()


def test_a_size_on_its_way_into_a_range_is_not_rounded(tmp_path):
    """4099 would be 4096 or 4100 in fp16, and the range too short or too long by one."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["size"]),
        helper.make_node("Cast", ["size"], ["limit"], to=TensorProto.FLOAT),
        helper.make_node("Range", ["zero", "limit", "step"], ["range"]),
        helper.make_node("Mul", ["range", "small"], ["places"]),
        helper.make_node("Add", ["x", "places"], ["y"]),
    ]
    constants = {
        "one": np.int64(1),
        "zero": np.float32(0),
        "step": np.float32(1),
        "small": np.float32(0.001),
    }
    shapes = {"x": [1, "n"]}, {"y": [1, "n"]}
    model = small.save(tmp_path / "m.onnx", nodes, *shapes, constants)
    write_fp16(model, tmp_path / "h.onnx")
    x = np.zeros((1, 4099), np.float32)
    wanted, got = (small.run(path, {"x": x})[0] for path in (model, tmp_path / "h.onnx"))
    assert got.shape == (1, 4099)
    np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=1e-3)
