"""Q/DQ files from ONNX Runtime's own quantizer, and others, as TensorRT takes them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.errors import BadInput
from edgekit.export.mend_qdq import mend_qdq, qdq_faults

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

_spec = importlib.util.spec_from_file_location(
    "small_graphs", Path(__file__).with_name("small_graphs.py")
)
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

node = helper.make_node
SHAPES = {"x": (1, 3, 8, 8)}


def quantized(folder: Path, name: str, **options) -> Path:
    """Two convolutions with biases, quantized by ONNX Runtime's quantizer."""
    from onnxruntime import quantization

    class Samples(quantization.CalibrationDataReader):
        def __init__(self):
            self.feeds: Iterator = iter(small.samples(SHAPES))

        def get_next(self):
            return next(self.feeds, None)

    types = {
        "activation_type": quantization.QuantType.QInt8,
        "weight_type": quantization.QuantType.QInt8,
    }
    model, output = small.convolutions(folder / "m.onnx"), folder / f"{name}.onnx"
    quantization.quantize_static(str(model), str(output), Samples(), **{**types, **options})
    return output


def build(path: Path, folder: Path):
    """What TensorRT for RTX plans its products in; skips where it is not installed."""
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt_rtx is not installed: pip install 'edgekit[tensorrt-rtx]'")
    from edgekit.core.runtime import CompileOptions
    from edgekit.core.target import Target
    from edgekit.runtimes.trt import RUNTIME

    folder.mkdir(exist_ok=True)
    options = CompileOptions(sm=(86,))
    return RUNTIME.compile(path, Target("tensorrt-rtx", "cuda"), options, folder).planned


def tensors(path: Path):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}


def faults_of(path: Path):
    return qdq_faults(onnx.load(str(path)))


def pair(levels, scale, zero, *, outputs=("y",), shape=(4, 6)):
    """A model that rounds x and adds a rounded constant."""
    inputs = ["s"] if zero is None else ["s", "z"]
    nodes = [
        node("QuantizeLinear", ["x", *inputs], ["q"]),
        node("DequantizeLinear", ["q", *inputs], ["d"]),
        node("DequantizeLinear", ["w", *inputs], ["wd"]),
        node("Add", ["d", "wd"], list(outputs)),
    ]
    constants = {"w": np.asarray(levels), "s": np.float32(scale)}
    if zero is not None:
        constants["z"] = zero
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def saved(model, path: Path) -> Path:
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


@pytest.mark.filterwarnings("ignore")  # the quantizer's own
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantized_biases_are_named_refused_and_mended_exactly(tmp_path, per_channel):
    path = quantized(
        tmp_path, "s8", per_channel=per_channel, extra_options={"ActivationSymmetric": True}
    )
    faults = faults_of(path)
    assert len(faults.biases) == 2
    assert not faults.shifted
    assert faults.words().startswith("2 quantized biases (")
    said = mend_qdq(path, tmp_path / "mended.onnx")
    assert said == ["2 quantized biases were written in float."]
    assert not faults_of(tmp_path / "mended.onnx")
    # What nothing reads any more is gone.
    assert not [t for t in tensors(tmp_path / "mended.onnx").values() if t.dtype == np.int32]
    for feed in small.samples(SHAPES):
        wanted, got = (small.run(file, feed)[0] for file in (path, tmp_path / "mended.onnx"))
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(BadInput, match="a quantized bias as ONNX Runtime's quantizer writes it"):
        build(path, tmp_path / "e")
    assert build(tmp_path / "mended.onnx", tmp_path / "e") == {"int8": 1.0}


@pytest.mark.filterwarnings("ignore")  # the quantizer's own
def test_the_quantizers_own_defaults_are_mended_closely(tmp_path):
    from onnxruntime.quantization import QuantType

    path = quantized(tmp_path, "u8", activation_type=QuantType.QUInt8)
    faults = faults_of(path)
    assert len(faults.biases) == 2
    assert "x" in faults.shifted
    said = mend_qdq(path, tmp_path / "mended.onnx")
    assert len(said) == 2
    assert not faults_of(tmp_path / "mended.onnx")
    feed = small.samples(SHAPES, 1)[0]
    wanted, got = (small.run(file, feed)[0] for file in (path, tmp_path / "mended.onnx"))
    assert small.sqnr_db(wanted, got) > 25
    # The quantizer had dropped the Relu: its range had begun at zero.
    assert "Relu" in {node.op_type for node in onnx.load(str(tmp_path / "mended.onnx")).graph.node}
    assert build(tmp_path / "mended.onnx", tmp_path / "e") == {"int8": 1.0}


@pytest.mark.filterwarnings("ignore")  # the quantizer's own
def test_integer_operators_cannot_be_mended(tmp_path):
    from onnxruntime.quantization import QuantFormat, QuantType

    path = quantized(
        tmp_path, "q", quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8
    )
    assert "integer operators" in faults_of(path).words()
    with pytest.raises(BadInput, match=r"q\.onnx computes with integer operators") as caught:
        mend_qdq(path, tmp_path / "mended.onnx")
    assert "--dialect s8s8" in caught.value.hint
    assert not (tmp_path / "mended.onnx").exists()


def random_levels(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (4, 6)).astype(np.uint8)


def test_zero_point_128_changes_nothing_at_all(tmp_path):
    path = saved(pair(random_levels(), 0.05, np.uint8(128)), tmp_path / "m.onnx")
    mend_qdq(path, tmp_path / "mended.onnx")
    x = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32) * 5
    assert np.abs(x).max() > 6.4  # some are cut off
    for file in (path, tmp_path / "mended.onnx"):
        assert small.run(file, {"x": x})[0].shape == (4, 6)
    np.testing.assert_array_equal(
        small.run(path, {"x": x})[0], small.run(tmp_path / "mended.onnx", {"x": x})[0]
    )


@pytest.mark.parametrize("zero", [np.uint8(0), np.uint8(37), np.uint8(255), np.int8(-128), None])
def test_other_zero_points_keep_their_range_within_a_step(tmp_path, zero):
    levels = random_levels()
    if zero is not None and zero.dtype == np.int8:
        levels = (levels.astype(np.int16) - 128).astype(np.int8)
    path = saved(pair(levels, 0.05, zero), tmp_path / "m.onnx")
    assert faults_of(path).shifted == ("x", "w")
    said = mend_qdq(path, tmp_path / "mended.onnx")
    assert "2 unsigned or shifted tensors" in said[0]
    low = 0.0 if zero is None else float(-int(zero) + (0 if zero.dtype == np.uint8 else -128))
    x = np.linspace(low * 0.05, (low + 255) * 0.05, 24, dtype=np.float32).reshape(4, 6)
    wanted, got = (small.run(file, {"x": x})[0] for file in (path, tmp_path / "mended.onnx"))
    # Half a step of each of the four roundings, the new ones twice as wide at most.
    assert np.abs(wanted - got).max() <= 2 * (0.05 + 0.1) / 2 + 1e-4
    points = [value for name, value in tensors(tmp_path / "mended.onnx").items() if "zero" in name]
    assert points
    assert all(value.dtype == np.int8 and not value.any() for value in points)


@pytest.mark.parametrize(
    ("zero", "operator"), [(0, "Relu"), (30, "Max"), (200, "Min"), (255, "Min")]
)
def test_what_a_range_cut_off_is_still_cut_off(tmp_path, zero, operator):
    """ONNX Runtime's quantizer drops a Relu or Clip whose work the range does."""
    nodes = [
        node("Neg", ["x"], ["n"]),
        node("QuantizeLinear", ["n", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    constants = {"s": np.float32(0.1), "z": np.uint8(zero)}
    path = small.save(tmp_path / "m.onnx", nodes, {"x": [400]}, {"y": [400]}, constants)
    mend_qdq(path, tmp_path / "mended.onnx")
    operators = [node.op_type for node in onnx.load(str(tmp_path / "mended.onnx")).graph.node]
    assert operators == ["Neg", operator, "QuantizeLinear", "DequantizeLinear"]
    feed = {"x": np.linspace(-60, 60, 400, dtype=np.float32)}
    wanted, got = (small.run(file, feed)[0] for file in (path, tmp_path / "mended.onnx"))
    np.testing.assert_allclose(got, wanted, atol=0.21)


def test_unsigned_weights_by_channel_keep_a_scale_for_each(tmp_path):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (4, 3, 1, 1)).astype(np.uint8)
    scale = np.array([0.01, 0.1, 1, 10], np.float32)
    zero = np.array([128, 100, 0, 255], np.uint8)
    nodes = [
        node("DequantizeLinear", ["w", "s", "z"], ["wd"], axis=0),
        node("Conv", ["x", "wd"], ["y"]),
    ]
    path = small.save(
        tmp_path / "m.onnx",
        nodes,
        {"x": [1, 3, 8, 8]},
        {"y": [1, 4, 8, 8]},
        {"w": levels, "s": scale, "z": zero},
    )
    mend_qdq(path, tmp_path / "mended.onnx")
    feed = small.samples(SHAPES, 1)[0]
    wanted, got = (small.run(file, feed)[0] for file in (path, tmp_path / "mended.onnx"))
    for channel in range(4):
        assert small.sqnr_db(wanted[:, channel], got[:, channel]) > 30


def test_constants_that_a_file_shares_are_not_changed_for_others(tmp_path):
    """Optimizers keep equal constants once: here a scale of a shifted and of a symmetric tensor."""
    model = pair(random_levels(), 0.05, np.uint8(100), outputs=("a",))
    model.graph.node.extend([
        node("QuantizeLinear", ["a", "s", "zero"], ["aq"]),
        node("DequantizeLinear", ["aq", "s", "zero"], ["ad"]),
        node("DequantizeLinear", ["w", "s", "other"], ["od"]),
        node("Add", ["ad", "od"], ["y"]),
    ])  # fmt: skip
    model.graph.initializer.extend([
        numpy_helper.from_array(np.int8(0), "zero"),
        numpy_helper.from_array(np.uint8(200), "other"),
    ])  # fmt: skip
    model.graph.output[0].name = "y"
    path = saved(model, tmp_path / "m.onnx")
    mend_qdq(path, tmp_path / "mended.onnx")
    x = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    wanted, got = (small.run(file, {"x": x})[0] for file in (path, tmp_path / "mended.onnx"))
    assert np.abs(wanted - got).max() < 0.25
    assert not faults_of(tmp_path / "mended.onnx")


def test_signed_output_without_a_zero_point_is_no_fault(tmp_path):
    """From opset 21 on a type may be named instead of a zero point."""
    graph = helper.make_graph(
        [
            node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=TensorProto.INT8),
            node("DequantizeLinear", ["q", "s"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [numpy_helper.from_array(np.float32(0.1), "s")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    assert not qdq_faults(model)
    model.graph.node[0].attribute[0].i = TensorProto.UINT8
    assert qdq_faults(model).shifted == ("x",)


def test_a_scale_that_is_computed_cannot_be_mended(tmp_path):
    nodes = [
        node("ReduceMax", ["x"], ["s"], keepdims=0),
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    path = small.save(tmp_path / "m.onnx", nodes, {"x": [4]}, {"y": [4]}, {"z": np.uint8(7)})
    with pytest.raises(BadInput, match="scale of 'x' .* is computed while the model runs"):
        mend_qdq(path, tmp_path / "mended.onnx")


def test_weights_that_old_files_list_as_inputs_need_not_be_fed_afterwards(tmp_path):
    model = pair(random_levels(), 0.05, np.uint8(128))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.UINT8, [4, 6]))
    path = saved(model, tmp_path / "m.onnx")
    mend_qdq(path, tmp_path / "mended.onnx")
    x = np.zeros((4, 6), np.float32)
    np.testing.assert_array_equal(
        small.run(path, {"x": x})[0], small.run(tmp_path / "mended.onnx", {"x": x})[0]
    )


def test_what_needs_no_mending_stays_as_it_is(tmp_path):
    path = small.convolutions(tmp_path / "m.onnx")
    assert mend_qdq(path, tmp_path / "mended.onnx") == []
    feed = small.samples(SHAPES, 1)[0]
    np.testing.assert_array_equal(
        small.run(path, feed)[0], small.run(tmp_path / "mended.onnx", feed)[0]
    )
    props = onnx.load(str(tmp_path / "mended.onnx")).metadata_props
    assert {entry.key for entry in props} == {"edgekit.card"}
