"""Graphs that people have are made plain when they are read; what they compute stays the same."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.core.errors import BadInput
from edgekit.core.onnx_bytes import all_nodes
from edgekit.core.source import Source
from edgekit.export.facts import graph_facts
from edgekit.export.fp16 import write_fp16
from edgekit.export.metadata import graph_card
from edgekit.export.onnx_file import read_onnx, read_plain
from edgekit.export.quantize import calibrate, write_int8
from edgekit.export.worker import ExportRequest, export_model
from edgekit.jobs.process.plain import run_file, run_many

FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
info = helper.make_tensor_value_info
node = helper.make_node


def weights(**more):
    rng = np.random.default_rng(0)
    values = {
        "w1": rng.normal(size=(8, 3, 3, 3)) * 0.3,
        "b1": rng.normal(size=8) * 0.3,
        "w2": rng.normal(size=(8, 8, 3, 3)) * 0.15,
        "gain": rng.normal(size=(1, 8, 1, 1)),
    }
    tensors = {name: value.astype(np.float32) for name, value in values.items()} | more
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]


def model(middle, *, shape=("batch", 3, 8, 8), opset=17, ir=8, tensors=None, functions=()):
    """Conv, Relu, what is asked for from r to mid, Conv, mean: one network around odd nodes."""
    last = node("Conv", ["mid", "w2"], ["c2"], pads=[1] * 4)
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c"], pads=[1] * 4),
        node("Relu", ["c"], ["r"]),
        *middle,
        last,
        node("GlobalAveragePool", ["c2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", FLOAT, list(shape))],
        [info("y", FLOAT, [shape[0], 8, 1, 1])],
        tensors or weights(),
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions))


SIMPLE = [node("Mul", ["r", "gain"], ["mid"])]


def equal_node_names():
    made = model(SIMPLE)
    for one in made.graph.node:
        one.name = "dup"
    return made


def weights_as_inputs():
    made = model(SIMPLE, opset=9, ir=3)
    for tensor in made.graph.initializer:
        made.graph.input.append(info(tensor.name, FLOAT, tensor.dims))
    return made


def unsorted():
    made = model(SIMPLE)
    nodes = [type(one).FromString(one.SerializeToString()) for one in made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend(reversed(nodes))
    return made


def a_function():
    own = helper.make_function(
        "own", "Scale", ["a", "b"], ["c"], [node("Mul", ["a", "b"], ["c"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    return model([node("Scale", ["r", "gain"], ["mid"], domain="own")], functions=[own])


def constants():
    middle = [node("Constant", [], ["k"], value_floats=[0.5]), node("Mul", ["r", "k"], ["mid"])]
    return model(middle)


def branch(deep: bool = False):
    then = helper.make_graph(
        [node("Mul", ["r", "gain"], ["t"])], "then", [], [info("t", FLOAT, None)]
    )
    other = helper.make_graph([node("Neg", ["r"], ["t"])], "else", [], [info("t", FLOAT, None)])
    if deep:
        inner = node("If", ["p"], ["mid2"], then_branch=then, else_branch=other)
        then = helper.make_graph([inner], "outer", [], [info("mid2", FLOAT, None)])
    middle = [
        node("ReduceMean", ["x"], ["m"], keepdims=0),
        node("Less", ["m", "one"], ["p"]),
        node("If", ["p"], ["mid"], then_branch=then, else_branch=other),
    ]
    return model(middle, tensors=weights(one=np.float32(1)))


def a_convolution_in_a_branch():
    made = branch()
    body = made.graph.node[4].attribute[0].g
    body.node[0].CopyFrom(node("Conv", ["r", "w2"], ["t"], pads=[1] * 4))
    return made


def a_loop():
    body = helper.make_graph(
        [
            node("Mul", ["carry", "gain"], ["g"]),
            node("Add", ["g", "r"], ["next"]),
            node("Identity", ["go"], ["more"]),
        ],
        "body",
        [info("i", INT64, []), info("go", BOOL, []), info("carry", FLOAT, None)],
        [info("more", BOOL, []), info("next", FLOAT, None)],
    )
    middle = [node("Loop", ["trips", "start", "r"], ["mid"], body=body)]
    return model(middle, tensors=weights(trips=np.int64(2), start=np.array(True)))


def a_scan():
    """A tensor of its body has the name of a later one outside, which engines take."""
    body = helper.make_graph(
        [node("Add", ["state", "row"], ["after"]), node("Identity", ["after"], ["y"])],
        "body",
        [info("state", FLOAT, [1, 8, 8]), info("row", FLOAT, [1, 8, 8])],
        [info("after", FLOAT, [1, 8, 8]), info("y", FLOAT, [1, 8, 8])],
    )
    scan = node(
        "Scan", ["zeros", "r"], ["last", "mid"], body=body, num_scan_inputs=1,
        scan_input_axes=[2], scan_output_axes=[2],
    )  # fmt: skip
    zeros = np.zeros((1, 8, 8), np.float32)
    return model([scan], shape=(1, 3, 8, 8), tensors=weights(zeros=zeros))


def odd_axes():
    return model(SIMPLE, shape=("?", 3, "-1", "floor(h/2)"))


def stale_value_info():
    made = model(SIMPLE)
    made.graph.value_info.append(info("gone", FLOAT, [3]))
    made.graph.value_info.append(info("r", FLOAT, ["batch", 8, 99, 99]))
    made.graph.value_info.append(info("c", INT64, [3]))
    return made


def odd_ends():
    """Metadata twice, training, an output without a shape, a node that makes nothing."""
    made = model(SIMPLE)
    for value in ("old", "new"):
        entry = made.metadata_props.add()
        entry.key, entry.value = "author", value
    made.training_info.add().algorithm.CopyFrom(made.graph)
    made.graph.output[0].type.tensor_type.ClearField("shape")
    made.graph.node.append(node("Relu", ["r"], []))
    return made


def odd_outputs():
    """An output twice, and one that is a weight, which another node reads too."""
    made = model(SIMPLE)
    made.graph.output.extend([made.graph.output[0], info("gain", FLOAT, [1, 8, 1, 1])])
    return made


MODELS = {
    "odd outputs": odd_outputs,
    "equal node names": equal_node_names,
    "weights as inputs": weights_as_inputs,
    "unsorted": unsorted,
    "a function": a_function,
    "constants": constants,
    "a branch": branch,
    "a branch in a branch": lambda: branch(deep=True),
    "a convolution in a branch": a_convolution_in_a_branch,
    "a loop": a_loop,
    "a scan": a_scan,
    "odd axes": odd_axes,
    "stale value_info": stale_value_info,
    "odd ends": odd_ends,
    "opset 9": lambda: model(SIMPLE, opset=9, ir=4),
}


@pytest.fixture(params=MODELS)
def odd(request, tmp_path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(MODELS[request.param]().SerializeToString())
    return path


def samples(number: int = 4) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(number)]


def decibels(reference: Path, other: Path) -> float:
    signal = noise = 0.0
    for feeds in samples():
        wanted, got = (run_file(path, feeds)["y"].astype(float) for path in (reference, other))
        signal, noise = signal + (wanted**2).sum(), noise + ((wanted - got) ** 2).sum()
    return float(10 * np.log10(signal / max(noise, 1e-30)))


def truth(path: Path) -> list[np.ndarray]:
    """What ONNX Runtime says of the file as it is; it refuses equal node names alone."""
    model = onnx.load(path)
    for place, one in enumerate(model.graph.node):
        one.name = str(place)
    model.training_info.clear()
    del model.graph.output[1:]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    del model.graph.value_info[:]
    kept = [one for one in model.graph.node if one.output]
    copies = [type(one).FromString(one.SerializeToString()) for one in kept]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return [session.run(["y"], feeds)[0] for feeds in samples()]


def test_a_plain_graph_computes_what_the_file_does_and_stays_as_it_is(odd, tmp_path):
    """Equal names and names of bodies, cycles that are none, weights as inputs: all were bugs."""
    plain = read_onnx(odd)
    names = [one.name for one in all_nodes(plain.graph) if one.name]
    made = [name for one in all_nodes(plain.graph) for name in one.output]
    assert len(set(names)) == len(names)
    assert len(set(made)) == len(made)
    assert [value.name for value in plain.graph.input] == ["x"]
    once = tmp_path / "once.onnx"
    once.write_bytes(plain.SerializeToString())
    again, notes = read_plain(once)
    assert again == plain
    assert not notes
    for wanted, feeds in zip(truth(odd), samples(), strict=True):
        np.testing.assert_allclose(run_file(odd, feeds)["y"], wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(run_file(once, feeds)["y"], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [a_loop, a_convolution_in_a_branch], ids=lambda m: m.__name__)
def test_bodies_stay_fp32_and_keep_what_they_read(make, tmp_path):
    """int8 dropped what only a body read: "a bug in edgekit"; fp16 asserted."""
    path = tmp_path / "model.onnx"
    path.write_bytes(make().SerializeToString())
    write_fp16(path, tmp_path / "half.onnx")
    assert decibels(path, tmp_path / "half.onnx") > 40
    half = onnx.load(tmp_path / "half.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kinds["w1"] == TensorProto.FLOAT16
    decisions = calibrate(path, samples(2), task="raw", record={})
    write_int8(path, decisions, "u8s8", tmp_path / "int8.onnx")
    assert decibels(path, tmp_path / "int8.onnx") > 25


@pytest.mark.slow
def test_every_verb_takes_it(odd, tmp_path):
    """int8 dropped what only a body read, fp16 asserted; engines refused equal names."""
    assert graph_facts(odd).parameters > 800
    card = tmp_path / "card.yaml"
    card.write_text("schema: edgekit.card/1\ntask: raw\n")
    outcome = export_model(ExportRequest(Source.parse(str(odd)), tmp_path, runner=run_file))
    assert decibels(odd, outcome.graphs["main"]) > 100
    write_fp16(odd, tmp_path / "half.onnx", samples(), run_many)
    assert decibels(odd, tmp_path / "half.onnx") > 40
    decisions = calibrate(odd, samples(), task="raw", record={})
    write_int8(odd, decisions, "u8s8", tmp_path / "int8.onnx")
    assert len(decisions.nodes) == 2
    assert decibels(odd, tmp_path / "int8.onnx") > 25


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnxruntime:cpu", "openvino:cpu"])
def test_engines_take_it(odd, tmp_path, target, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    made = api.compile(str(odd), target=target)
    assert json.dumps(str(made))


def test_what_a_user_should_know_is_said(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(equal_node_names().SerializeToString())
    assert "5 nodes" not in (notes := " ".join(read_plain(path)[1]))
    assert "4 nodes" in notes


def test_texts_that_are_no_names_of_axes_name_none(tmp_path):
    """ "?" and "-1" were one axis of three sizes, and each was tried at 1."""
    path = tmp_path / "model.onnx"
    path.write_bytes(odd_axes().SerializeToString())
    card = graph_card(read_onnx(path))
    assert card.inputs["x"].shape == ("batch", 3, "x_2", "x_3")


def test_an_expression_of_known_axes_stays_one(tmp_path):
    """past + 1 follows from past; 2*h of an h that is nowhere is an axis of its own."""
    made = model(SIMPLE, shape=("batch", 3, "h", "2*h"))
    made.graph.output.append(info("r", FLOAT, ["batch", 8, "h", "2*h"]))
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    card = graph_card(read_onnx(path))
    assert card.outputs["r"].shape == ("batch", 8, "h", "2*h")
    made = model(SIMPLE, shape=("batch", 3, 8, "2*w"))
    made.graph.output.append(info("r", FLOAT, ["batch", 8, 8, "2*w"]))
    path.write_bytes(made.SerializeToString())
    card = graph_card(read_onnx(path))
    assert card.inputs["x"].shape == ("batch", 3, 8, "x_3")
    assert card.outputs["r"].shape == ("batch", 8, 8, "x_3")


def calls_itself():
    own = [
        helper.make_function(
            "own", name, ["a"], ["b"], [node(other, ["a"], ["b"], domain="own")],
            [helper.make_opsetid("own", 1)],
        )
        for name, other in (("F", "G"), ("G", "F"))
    ]  # fmt: skip
    return model([node("F", ["r"], ["mid"], domain="own")], functions=own)


def multiplies():
    """12 functions of ten calls each stand for 10^11 nodes; onnx's own checker does not end."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    own = [helper.make_function("own", "F0", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)]
    for level in range(1, 12):
        steps = ["a", *(f"t{place}" for place in range(9)), "b"]
        calls = [
            node(f"F{level - 1}", [source], [made], domain="own")
            for source, made in pairwise(steps)
        ]
        own.append(helper.make_function("own", f"F{level}", ["a"], ["b"], calls, opsets))
    return model([node("F11", ["r"], ["mid"], domain="own")], functions=own)


def a_cycle():
    return model([node("Add", ["r", "b"], ["a"]), node("Relu", ["a"], ["b"]), *SIMPLE])


def unknown_type():
    made = model(SIMPLE)
    made.graph.input[0].type.tensor_type.elem_type = -1
    return made


def lying_shape():
    made = model(SIMPLE)
    made.graph.initializer[0].dims[:] = []
    return made


def no_memory_holds_it():
    return model(SIMPLE, shape=("batch", 3, 2**40, 8))


def no_text():
    content = model(SIMPLE).SerializeToString()
    return content.replace(b"GlobalAveragePool", b"GlobalAverage\xf0\x28ool")


def nul_in_location():
    made = model(SIMPLE)
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "a\0b"
    return made


def no_number_of_rows():
    middle = [node("TopK", ["r", "k"], ["mid", "places"], axis=1)]
    made = model(middle, tensors=weights(k=np.zeros(0, np.int64)))
    made.graph.node[2].input[0] = "gone"
    return made


HOSTILE = (
    calls_itself, multiplies, a_cycle, unknown_type, lying_shape, no_memory_holds_it, no_text,
    nul_in_location, no_number_of_rows,
)  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_what_cannot_be_believed_is_one_sentence(make, tmp_path):
    """Each ended in a traceback, or did not end."""
    made = make()
    path = tmp_path / "model.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(BadInput, match=r"model\.onnx") as caught:
        graph_facts(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "bomb",
    [
        [node("ConstantOfShape", ["size"], ["k"])],
        [node("Cast", ["real"], ["whole"], to=INT64), node("Expand", ["one", "whole"], ["k"])],
        [node("Cast", ["real"], ["whole"], to=INT64), node("Tile", ["one", "whole"], ["k"])],
        [node("Cast", ["limit"], ["end"], to=INT64), node("Range", ["zero", "end", "step"], ["k"])],
    ],
    ids=["constant", "expand", "tile", "range"],
)  # fmt: skip
def test_facts_compute_no_tensor_of_a_terabyte(bomb, tmp_path):
    """Inference was helped along by computing constants, of any size."""
    tensors = weights(
        size=np.array([10**12]), real=np.array([1e12]), one=np.ones(1, np.float32),
        limit=np.float64(1e12), zero=np.int64(0), step=np.int64(1),
    )  # fmt: skip
    middle = [
        *bomb,
        node("ReduceMax", ["k"], ["most"], keepdims=0),
        node("Cast", ["most"], ["factor"], to=FLOAT),
        node("Mul", ["r", "factor"], ["mid"]),
    ]
    path = tmp_path / "model.onnx"
    path.write_bytes(model(middle, tensors=tensors).SerializeToString())
    assert graph_facts(path).nodes == len(middle) + 4
