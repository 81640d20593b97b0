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
from edgekit.export.fp16_simulation import simulated
from edgekit.jobs.process.plain import open_plain

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


def test_an_output_that_is_an_input_passes_through(tmp_path):
    model = onnx.load(str(small.convolutions(tmp_path / "m.onnx")))
    model.graph.output.insert(0, model.graph.input[0])
    onnx.save(model, tmp_path / "m.onnx")
    write_fp16(tmp_path / "m.onnx", tmp_path / "h.onnx")
    half = onnx.load(str(tmp_path / "h.onnx"))
    assert [entry.name for entry in half.graph.output] == ["x", "y"]
    feed = small.samples(SHAPES, 1)[0]
    passed, result = small.run(tmp_path / "h.onnx", feed)
    assert np.array_equal(passed, feed["x"])
    assert small.sqnr_db(small.run(tmp_path / "m.onnx", feed)[1], result) > 50


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


def run_many(path, feeds):
    with open_plain(path) as session:
        return [session.run(one) for one in feeds]


def in_fp16(path, feeds, *, narrow):
    """What a graph answers in true fp16."""
    onnx.save(simulated(onnx.load(path), narrow=narrow), path.with_suffix(".simulated.onnx"))
    return [outputs["y"] for outputs in run_many(path.with_suffix(".simulated.onnx"), feeds)]


def product(tail, *constants):
    """A matrix product, what is done with it, and a second product behind it."""
    weights = np.random.default_rng(0).normal(size=(2, 16, 16)).astype(np.float32) * 0.3
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        *tail,
        helper.make_node("MatMul", ["z", "w2"], ["y"]),
    ]
    tensors = {"w": weights[0], "w2": weights[1], **dict(constants)}
    return nodes, {"x": [4, 16]}, {"y": [4, 16]}, tensors


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), [output], **attributes)


SCALE = ("k", np.float32(400))
SPREAD = [node("Mul", "a k", "b"), node("ReduceMean", "b", "m", axes=[1]), node("Sub", "b m", "d")]
WRITTEN_OUT = {
    "layer norm": (
        product(
            [
                *SPREAD,
                node("Pow", "d two", "q"),
                node("ReduceMean", "q", "v", axes=[1]),
                node("Add", "v eps", "e"),
                node("Sqrt", "e", "s"),
                node("Div", "d s", "z"),
            ],
            SCALE,
            ("two", np.float32(2)),
            ("eps", np.float32(1e-5)),
        ),
        {"q", "v"},
    ),
    "sum of squares": (
        product(
            [
                node("Mul", "a k", "b"),
                node("ReduceSumSquare", "b", "q", axes=[1]),
                node("Sqrt", "q", "s"),
                node("Div", "b s", "z"),
            ],
            SCALE,
        ),
        {"q", "s"},
    ),
    "length": (
        product(
            [
                node("ReduceL2", "a", "l", axes=[1]),
                node("Max", "l tiny", "f"),
                node("Expand", "f shape", "g"),
                node("Div", "a g", "z"),
            ],
            ("tiny", np.float32(1e-12)),
            ("shape", np.array([4, 16])),
        ),
        {"f", "z"},
    ),
    "length clipped": (
        product(
            [
                node("ReduceL2", "a", "l", axes=[1]),
                node("Clip", "l tiny", "f"),
                node("Div", "a f", "z"),
            ],
            ("tiny", np.float32(1e-12)),
        ),
        {"f", "z"},
    ),
    "mask": (
        product(
            [
                node("Where", "hidden low a", "t"),
                node("Mul", "t one", "u"),
                node("Softmax", "u", "z", axis=1),
            ],
            ("hidden", np.arange(16) % 3 == 0),
            ("low", np.float32(-3e38)),
            ("one", np.float32(1)),
        ),
        {"t", "u"},
    ),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_what_leaves_fp16_on_real_inputs_stays_fp32(tmp_path, name):
    """ONNX Runtime computes the graph in fp32: 71 dB; fp16 arithmetic gave 0 dB or NaN."""
    (nodes, inputs, outputs, tensors), kept = WRITTEN_OUT[name]
    model = small.save(tmp_path / "m.onnx", nodes, inputs, outputs, tensors)
    feeds = small.samples({"x": (4, 16)}, 3)
    if name.startswith("length"):
        feeds[0]["x"][2] = 0  # only the lower bound stands between it and NaN
    notes = write_fp16(model, tmp_path / "h.onnx", feeds, run_many)
    told = {output for note in notes for output in note.partition(" stay")[0].split(", ")}
    assert kept <= told
    wanted = [outputs["y"] for outputs in run_many(model, feeds)]
    for narrow in (False, True):
        for want, got in zip(
            wanted, in_fp16(tmp_path / "h.onnx", feeds, narrow=narrow), strict=True
        ):
            assert small.sqnr_db(want, got) > 50
    types = {one.name: one.data_type for one in onnx.load(tmp_path / "h.onnx").graph.initializer}
    assert types["w"] == types["w2"] == TensorProto.FLOAT16


def test_a_small_lower_bound_is_kept_without_inputs(tmp_path):
    nodes, inputs, outputs, tensors = WRITTEN_OUT["length"][0]
    model = small.save(tmp_path / "m.onnx", nodes, inputs, outputs, tensors)
    (note,) = write_fp16(model, tmp_path / "h.onnx")
    assert note.startswith("f, g, z stay fp32")
    zeros = {"x": np.zeros((4, 16), np.float32)}
    assert not np.isnan(in_fp16(tmp_path / "h.onnx", [zeros], narrow=False)).any()


def test_a_sum_that_only_fp16_spoils_stays_fp32(tmp_path):
    """4096 values of 30 add up to 122880; their mean is 30 where the engine adds up in fp32."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["a"]),
        helper.make_node("ReduceMean", ["a"], ["y"], axes=[1]),
    ]
    tensors = {"w": np.full(4096, 30, np.float32)}
    model = small.save(tmp_path / "m.onnx", nodes, {"x": [1, 4096]}, {"y": [1, 1]}, tensors)
    feeds = [{"x": np.ones((1, 4096), np.float32)}]
    assert write_fp16(model, tmp_path / "bare.onnx") == ()
    assert in_fp16(tmp_path / "bare.onnx", feeds, narrow=False)[0] == 30
    assert np.isinf(in_fp16(tmp_path / "bare.onnx", feeds, narrow=True)).all()
    (note,) = write_fp16(model, tmp_path / "h.onnx", feeds, run_many)
    assert note.startswith("y stays fp32")
    assert in_fp16(tmp_path / "h.onnx", feeds, narrow=True)[0] == 30


def test_an_operator_that_the_simulation_does_not_know_stays_fp32(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("LpNormalization", ["a"], ["y"], axis=1),
    ]
    tensors = {"w": np.eye(4, dtype=np.float32)}
    model = small.save(tmp_path / "m.onnx", nodes, {"x": [1, 4]}, {"y": [1, 4]}, tensors)
    (note,) = write_fp16(model, tmp_path / "h.onnx")
    assert note.startswith("y stays fp32")
    feeds = small.samples({"x": (1, 4)}, 1)
    want = run_many(model, feeds)[0]["y"]
    assert small.sqnr_db(want, in_fp16(tmp_path / "h.onnx", feeds, narrow=True)[0]) > 50
