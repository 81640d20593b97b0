"""The simulation of fp16, held against numpy's own float16, with which it shares no code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.errors import BadInput
from edgekit.export.fp16 import write_fp16
from edgekit.export.fp16_simulation import NARROW, is_known, simulated
from edgekit.export.onnx_file import read_onnx
from edgekit.jobs.process.plain import open_plain

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

_spec = importlib.util.spec_from_file_location(
    "small_graphs", Path(__file__).with_name("small_graphs.py")
)
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

F16 = np.float16


def half_graph(nodes, feeds, constants=None, opset=17, domain=""):
    """A graph that computes in fp16 what `nodes` say, its inputs and output `y` fp16."""
    graph = helper.make_graph(
        nodes,
        "half",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT16, array.shape)
            for name, array in feeds.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, None)],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8)
    )


def run(model, feeds, tmp_path):
    path = tmp_path / "simulation.onnx"
    onnx.save(model, path)
    with open_plain(path) as session:
        return session.run(feeds)["y"]


def simulate(nodes, feeds, tmp_path, *, narrow, constants=None, opset=17):
    model = half_graph(nodes, feeds, constants, opset)
    return run(simulated(model, narrow=narrow), feeds, tmp_path)


def spread(*shape, low=-6, high=3, seed=0):
    """Numbers of all sizes, both signs."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=shape) * 10.0 ** random.uniform(low, high, shape)
    return numbers.clip(-65504, 65504).astype(F16)


def bits(array):
    """fp16 as integers, every NaN alike."""
    assert array.dtype == F16
    return np.where(np.isnan(array), 0x7E00, array.view(np.uint16))


def added(array, axes, add=np.add, start=0):
    """Add up over axes in float16: in lanes, then the lanes, one step after the other."""
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    rows = array.transpose(*kept, *axes).reshape(*(array.shape[axis] for axis in kept), -1)
    count = rows.shape[-1]
    lanes = int(np.ceil(np.sqrt(np.float32(count))))
    filler = np.full((*rows.shape[:-1], lanes * lanes - count), start, F16)
    rows = np.concatenate([rows, filler], -1).reshape(*rows.shape[:-1], lanes, lanes)
    for _ in range(2):
        total = np.full((*rows.shape[: len(kept)], *rows.shape[len(kept) + 1 :]), start, F16)
        for step in range(lanes):
            total = add(total, np.take(rows, step, axis=len(kept)))
        rows = total
    return rows.reshape([1 if axis in axes else size for axis, size in enumerate(array.shape)])


def wide(array):
    return array.astype(np.float32)


def softmax(array, total):
    powers = np.exp(array - array.max(-1, keepdims=True))
    return powers / total(powers, (array.ndim - 1,))


def normal(array, axes, epsilon=1e-5):
    count = F16(np.prod([array.shape[axis] for axis in axes]))
    distance = array - added(array, axes) / count
    variance = added(distance * distance, axes) / count
    return distance / np.sqrt(variance + F16(epsilon))


@pytest.mark.parametrize(
    ("operator", "numpy_form"),
    [
        ("Add", lambda a, b: a + b),
        ("Sub", lambda a, b: a - b),
        ("Mul", lambda a, b: a * b),
        ("Div", lambda a, b: a / b),
    ],
)
@pytest.mark.parametrize("narrow", [False, True])
def test_arithmetic_is_that_of_float16_bit_for_bit(tmp_path, operator, numpy_form, narrow):
    """Overflow to infinity, subnormal results and ties included."""
    feeds = {"a": spread(4000, low=-8, high=5), "b": spread(4000, low=-8, high=5, seed=1)}
    feeds["a"][:4] = [65504, 60000, 6e-8, 0]
    feeds["b"][:4] = [65504, 10000, 0.5, 0]
    node = helper.make_node(operator, ["a", "b"], ["y"])
    got = simulate([node], feeds, tmp_path, narrow=narrow)
    with np.errstate(all="ignore"):
        want = numpy_form(feeds["a"], feeds["b"])
    assert np.array_equal(bits(got), bits(want))
    assert np.isinf(want).any()
    assert ((want != 0) & (np.abs(want) < 6.1e-5)).any()


@pytest.mark.parametrize(
    ("operator", "numpy_form"),
    [("Sqrt", np.sqrt), ("Exp", np.exp), ("Reciprocal", np.reciprocal), ("Log", np.log)],
)
def test_functions_are_rounded_once(tmp_path, operator, numpy_form):
    feeds = {"x": np.abs(spread(2000))}
    got = simulate([helper.make_node(operator, ["x"], ["y"])], feeds, tmp_path, narrow=False)
    with np.errstate(all="ignore"):
        want = numpy_form(wide(feeds["x"])).astype(F16)
    # Two libraries differ in the last bit of fp32, and so at a tie of fp16.
    assert (np.abs(bits(got).astype(int) - bits(want).astype(int)) <= 1).all()
    assert (bits(got) == bits(want)).mean() > 0.99


def test_each_step_of_a_chain_is_rounded(tmp_path):
    """x * x overflows although its root does not: what an engine of fp32 hides."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("Sqrt", ["square"], ["y"]),
    ]
    feeds = {"x": np.array([300, 2, 1e-5], F16)}
    got = simulate(nodes, feeds, tmp_path, narrow=False)
    assert got.tolist() == [np.inf, 2.0, 0.0]
    assert run(half_graph(nodes, feeds), feeds, tmp_path)[0] == 300


def test_products_add_up_in_fp32_and_are_rounded_once(tmp_path):
    random = np.random.default_rng(0)
    a = random.normal(size=(8, 300)).astype(F16)
    b = random.normal(size=(300, 5)).astype(F16)
    a[0], b[:, 0] = 300, np.where(np.arange(300) % 2, 300, -300)
    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    got = simulate([node], {"a": a, "b": b}, tmp_path, narrow=True)
    want = (a.astype(np.float64) @ b.astype(np.float64)).astype(F16)
    assert got[0, 0] == 0  # terms of 90000, which fp16 has not
    assert (np.abs(bits(got).astype(int) - bits(want).astype(int)) <= 1).all()


REDUCTIONS = {
    "ReduceSum": lambda x, total: total(x, (1, 2)),
    "ReduceMean": lambda x, total: total(x, (1, 2)) / x.dtype.type(35),
    "ReduceSumSquare": lambda x, total: total(x * x, (1, 2)),
    "ReduceL1": lambda x, total: total(np.abs(x), (1, 2)),
    "ReduceL2": lambda x, total: np.sqrt(total(x * x, (1, 2))),
    "ReduceLogSum": lambda x, total: np.log(total(x, (1, 2))),
    "ReduceLogSumExp": lambda x, total: np.log(total(np.exp(x), (1, 2))),
    "ReduceProd": lambda x, total: (
        added(x, (1, 2), np.multiply, 1) if x.dtype == F16 else x.prod((1, 2), keepdims=True)
    ),
}


def summed(array, axes):
    return array.sum(axes, keepdims=True, dtype=np.float64).astype(np.float32)


@pytest.mark.parametrize("opset", [12, 18])
@pytest.mark.parametrize("operator", sorted(REDUCTIONS))
def test_both_ways_of_a_reduction_are_those_of_numpy(tmp_path, operator, opset):
    x = np.abs(spread(3, 5, 7, low=-2, high=1))
    x[2] = 3000  # the sum of the narrow way, and squares, leave the range
    constants, inputs, attributes = {}, ["x"], {"axes": [1, 2]}
    if opset >= 18 or (operator == "ReduceSum" and opset >= 13):
        constants, inputs, attributes = {"axes": np.array([1, 2])}, ["x", "axes"], {}
    node = helper.make_node(operator, inputs, ["y"], **attributes)
    options = {"constants": constants, "opset": opset}
    with np.errstate(all="ignore"):
        narrow = REDUCTIONS[operator](x, added)
        want = REDUCTIONS[operator](wide(x), summed).astype(F16)
    got = simulate([node], {"x": x}, tmp_path, narrow=True, **options)
    close(got, narrow)
    if operator != "ReduceLogSumExp":
        close(simulate([node], {"x": x}, tmp_path, narrow=False, **options), want)


def close(got, want, steps=4):
    """Equal where not finite, else within some steps of fp16."""
    assert got.shape == want.shape
    assert np.array_equal(np.isfinite(got), np.isfinite(want))
    both = np.isfinite(want)
    np.testing.assert_allclose(wide(got[both]), wide(want[both]), rtol=steps * 2.0**-11, atol=1e-6)


def test_the_norms_are_taken_apart_where_they_add_up_in_fp16(tmp_path):
    """Values near 300: their squares leave the range, which a kernel of fp32 does not show."""
    x = (spread(4, 6, 16, low=0, high=0.5) * F16(100)).astype(F16)
    scale, bias = spread(16, low=0, high=0), spread(16, low=0, high=0, seed=2)
    node = helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"], axis=-1)
    constants = {"scale": scale, "bias": bias}
    with np.errstate(all="ignore"):
        narrow = normal(x, (2,)) * scale + bias
        x32 = wide(x)
        spreads = x32.var(-1, keepdims=True) + np.float32(1e-5)
        want = (x32 - x32.mean(-1, keepdims=True)) / np.sqrt(spreads) * wide(scale) + wide(bias)
    got = simulate([node], {"x": x}, tmp_path, narrow=True, constants=constants)
    close(got, narrow, steps=40)
    assert np.abs(wide(got) - want).max() > 1  # infinite variance: nothing but the bias is left
    whole = simulate([node], {"x": x}, tmp_path, narrow=False, constants=constants)
    close(whole, want.astype(F16), steps=8)


def test_instance_norm_and_pools_and_softmax(tmp_path):
    x = spread(2, 3, 5, 6, low=0, high=1)
    scale, bias = spread(3, low=0, high=0), spread(3, low=0, high=0, seed=3)
    shape = (1, 3, 1, 1)
    cases = {
        "InstanceNormalization": normal(x, (2, 3)) * scale.reshape(shape) + bias.reshape(shape),
        "GlobalAveragePool": added(x, (2, 3)) / F16(30),
        "Softmax": softmax(x, added),
        "LogSoftmax": (
            (x - x.max(-1, keepdims=True))
            - np.log(added(np.exp(x - x.max(-1, keepdims=True)), (3,)))
        ),
    }
    for operator, want in cases.items():
        inputs = ["x", "scale", "bias"] if operator.startswith("Instance") else ["x"]
        attributes = {"axis": -1} if operator.endswith("Softmax") else {}
        node = helper.make_node(operator, inputs, ["y"], **attributes)
        constants = {"scale": scale, "bias": bias} if len(inputs) > 1 else {}
        got = simulate([node], {"x": x}, tmp_path, narrow=True, constants=constants)
        close(got, want, steps=12)


def test_the_sum_of_a_window_may_leave_the_range(tmp_path):
    x = np.full((1, 1, 4, 4), 20000, F16)
    node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    assert np.isinf(simulate([node], {"x": x}, tmp_path, narrow=True)).all()
    assert (simulate([node], {"x": x}, tmp_path, narrow=False) == 20000).all()


def test_fp32_nodes_and_ends_of_a_cast_graph_stay_as_they_are(tmp_path):
    """1e6 is fp32 inside: no rounding there, and the outputs are fp32."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Mul", ["c", "large"], ["m"]),
        helper.make_node("Mul", ["m", "small"], ["y"]),
    ]
    tensors = {
        "w": np.random.default_rng(0).normal(size=(2, 3, 1, 1)).astype(np.float32),
        "large": np.array([1e6], np.float32),
        "small": np.array([1e-6], np.float32),
    }
    shapes = {"x": [1, 3, 8, 8]}, {"y": [1, 2, 8, 8]}
    model = small.save(tmp_path / "m.onnx", nodes, *shapes, tensors)
    write_fp16(model, tmp_path / "h.onnx")
    feed = small.samples({"x": (1, 3, 8, 8)}, 1)[0]
    wanted = small.run(model, feed)[0]
    made = simulated(onnx.load(tmp_path / "h.onnx"), narrow=False)
    got = run(made, feed, tmp_path)
    assert got.dtype == np.float32
    assert small.sqnr_db(wanted, got) > 50


@pytest.mark.parametrize(
    ("operator", "domain"), [("LSTM", ""), ("CumSum", ""), ("FusedMatMul", "com.microsoft")]
)
def test_an_operator_that_is_not_known_is_refused_by_name(operator, domain):
    node = helper.make_node(operator, ["x", "axis"], ["y"], name="the_node", domain=domain)
    model = half_graph([node], {"x": np.zeros(4, F16)}, {"axis": np.int64(0)}, domain=domain)
    assert not is_known(node)
    with pytest.raises(BadInput, match="the_node"):
        simulated(model, narrow=False)


def test_functions_of_a_model_are_written_out(tmp_path):
    """A square overflows inside the function too."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    length = helper.make_function(
        "own",
        "Length",
        ["v"],
        ["l"],
        [
            helper.make_node("Mul", ["v", "v"], ["square"]),
            helper.make_node("Sqrt", ["square"], ["l"]),
        ],
        opsets[:1],
    )
    feeds = {"x": np.array([300, 2], F16)}
    model = half_graph([helper.make_node("Abs", ["x"], ["y"])], feeds)
    model.graph.node[0].CopyFrom(helper.make_node("Length", ["x"], ["y"], domain="own"))
    model.functions.append(length)
    model.opset_import.append(opsets[1])
    onnx.save(model, tmp_path / "own.onnx")
    plain = read_onnx(tmp_path / "own.onnx")
    assert run(simulated(plain, narrow=False), feeds, tmp_path).tolist() == [np.inf, 2]


def test_every_reduction_that_is_written_out_is_known():
    assert all(is_known(helper.make_node(name, ["x"], ["y"])) for name in NARROW)
