"""Faults planted into real graphs, run on real engines: the right node is named, and its module."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.cli.main import run
from edgekit.core.card import GraphCard, ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.core.variant import Variant
from edgekit.export.fp16 import write_fp16
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.diverge import TAPS, first_divergence

ORT, OV = TARGETS = ("onnxruntime:cpu", "openvino:cpu")
MODELS = Path(__file__).parent.parent / "models"


def load_module(name):
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """The network of tests/models/residual.py as an ONNX file."""
    module, folder = load_module("residual"), tmp_path_factory.mktemp("residual")
    torch.save(module.trained().state_dict(), folder / "r.pth")
    (folder / "r.card.yaml").write_text(yaml.safe_dump(module.CARD))
    api.export(
        str(folder / "r.pth"),
        folder / "r.onnx",
        arch=f"{MODELS / 'residual.py'}:residual",
        trust_code=True,
        opset=18,
    )
    return folder / "r.onnx"


def plant(source, path, name, change):
    """Copy a graph with one initializer passed through `change`."""
    model = onnx.load(source)
    (tensor,) = [one for one in model.graph.initializer if one.name == name]
    array = change(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(array.astype(array.dtype), name))
    onnx.save(model, path)
    return str(path)


def louder(array):
    return array * np.float32(1.05)


def swapped(array):
    array[[0, 1]] = array[[1, 0]]
    return array


def nodes_of(path):
    return len(onnx.load(path).graph.node)


def few(document, path):
    """Whether the rounds grew with the logarithm of the graph's size only."""
    return document.rounds <= math.ceil(math.log(nodes_of(path), TAPS)) + 2


@pytest.mark.parametrize("target", TARGETS)
def test_a_perturbed_weight_in_the_middle_is_named_with_its_module(digits_onnx, tmp_path, target):
    broken = plant(digits_onnx, tmp_path / "b.onnx", "c3.weight", louder)
    document = api.debug_parity(broken, target=target, against=str(digits_onnx))
    node = document.node
    assert document.verdict == "FAIL"
    assert (node.module, node.op, node.tensor) == ("c3", "Conv", "conv2d_1")
    assert node.before_db > 100
    assert node.sqnr_db == pytest.approx(26.02, abs=0.5)
    assert node.own_sqnr_db == pytest.approx(node.sqnr_db, abs=0.1)
    assert few(document, broken)
    assert document.largest_loss is None
    assert document.runs == document.rounds + 2
    worst = node.values[0]
    assert worst.got == pytest.approx(1.05 * worst.expected, rel=0.02)
    gaps = [abs(one.got - one.expected) for one in node.values]
    assert gaps == sorted(gaps, reverse=True)


@pytest.mark.parametrize(
    ("weight", "module"),
    [
        ("blocks.1.conv.weight", "blocks.1.conv"),  # a batch norm was folded into it
        ("blocks.1.shortcut.weight", "blocks.1.shortcut"),
        ("blocks.0.mix.0.weight", "blocks.0.mix.0"),
        ("head.weight", "head"),
    ],
)
def test_swapped_channels_on_either_path_of_a_block_are_named(residual, tmp_path, weight, module):
    broken = plant(residual, tmp_path / "b.onnx", weight, swapped)
    document = api.debug_parity(broken, target=ORT, against=str(residual))
    assert document.node.module == module
    assert document.node.own_sqnr_db < 40
    assert document.node.before_db is None or document.node.before_db > 100
    assert few(document, broken)
    below = {one.output for one in document.outputs if one.sqnr_db < 80}
    assert below == ({"scores"} if module == "head" else {"scores", "map"})


def test_of_two_faults_the_one_named_was_made_of_good_tensors(residual, tmp_path):
    once = plant(residual, tmp_path / "1.onnx", "blocks.0.shortcut.weight", louder)
    broken = plant(once, tmp_path / "2.onnx", "blocks.2.conv.weight", louder)
    document = api.debug_parity(broken, target=OV, against=str(residual))
    assert document.node.module == "blocks.0.shortcut"


@pytest.mark.parametrize("target", TARGETS)
def test_a_wrong_scale_in_one_qdq_pair_of_a_bundle_is_named(deployed, tmp_path, target, capsys):
    _, bundle = deployed
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    graph = copy / "variants" / "int8-u8s8" / "main.onnx"
    tensor = "tanh_1"
    plant(graph, graph, f"{tensor}/scale", lambda array: array / 30)
    document = api.debug_parity(f"{copy}@int8", target=target)
    node = document.node
    assert (document.variant, document.limit_db, document.against) == (
        "int8-u8s8",
        10,
        f"{copy}@fp32",
    )
    assert (node.tensor, node.op) == (f"{tensor}/dequantized", "DequantizeLinear")
    # Its module is that of the tensor that the pair rounds.
    assert node.module == "a3"
    assert node.before_db > 20
    assert node.own_sqnr_db < 10
    assert few(document, graph)

    capsys.readouterr()
    assert run(["debug", "parity", f"{copy}@int8", "--target", target, "--quiet"]) == 1
    shown = capsys.readouterr().out
    assert f"{tensor}/dequantized (DequantizeLinear)" in shown
    assert "a3" in shown


def test_a_wrong_weight_of_an_int8_graph_is_named_by_its_convolution(deployed, tmp_path):
    _, bundle = deployed
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    graph = copy / "variants" / "int8-u8s8" / "main.onnx"
    plant(graph, graph, "c5.weight/scale", lambda array: array * np.float32(-1))
    document = api.debug_parity(f"{copy}@int8", target=ORT)
    assert (document.node.op, document.node.module) == ("Conv", "c5")
    assert document.node.before_db > 20


@pytest.mark.parametrize("target", TARGETS)
def test_a_sound_variant_passes_and_shows_where_most_is_lost(deployed, target, capsys):
    _, bundle = deployed
    document = api.debug_parity(f"{bundle}@int8", target=target)
    assert (document.verdict, document.node) == ("PASS", None)
    assert document.largest_loss.sqnr_db > 10
    assert document.trail
    assert few(document, bundle / "variants" / "int8-u8s8" / "main.onnx")
    assert run(["debug", "parity", f"{bundle}@int8", "--target", target, "--quiet"]) == 0
    assert "Node of the largest loss" in capsys.readouterr().out


def overflowing(source, folder):
    """One convolution's output becomes more than fp16 holds, and the next one makes up for it."""
    louder_by = np.float32(3e5)
    once = plant(source, folder / "1.onnx", "blocks.1.conv.weight", lambda a: a * louder_by)
    return plant(once, folder / "big.onnx", "blocks.1.mix.0.weight", lambda a: a / louder_by)


def test_an_overflow_in_fp16_is_the_largest_loss_where_the_engine_widens_it_again(
    residual, tmp_path
):
    """A CPU runs an fp16 graph in fp32: nothing fails, and the tensor shows what would."""
    big = overflowing(residual, tmp_path)
    write_fp16(Path(big), tmp_path / "half.onnx")
    document = api.debug_parity(str(tmp_path / "half.onnx"), target=OV, against=big)
    assert (document.verdict, document.limit_db) == ("PASS", 30)
    assert document.largest_loss.module == "blocks.1.conv"
    assert document.largest_loss.values[0].got in ("inf", "-inf")
    assert abs(document.largest_loss.values[0].expected) > 65504


def test_an_overflow_in_fp16_storage_is_named(residual, tmp_path):
    big = overflowing(residual, tmp_path)
    model = onnx.load(big)
    at, node = next(
        (index, one) for index, one in enumerate(model.graph.node) if one.output[0] == "getitem_3"
    )
    node.output[0] = "wide"
    for index, (source, made, kind) in enumerate(
        (("wide", "half", TensorProto.FLOAT16), ("half", "getitem_3", TensorProto.FLOAT))
    ):
        model.graph.node.insert(at + 1 + index, helper.make_node("Cast", [source], [made], to=kind))
    onnx.save(model, tmp_path / "half.onnx")
    document = api.debug_parity(str(tmp_path / "half.onnx"), target=ORT, against=big)
    assert document.verdict == "FAIL"
    # The cast is the writer's; its module is that of the tensor that it casts.
    assert (document.node.op, document.node.module) == ("Cast", "blocks.1.conv")
    assert document.node.tensor == "half"
    assert document.node.values[0].got in ("inf", "-inf")


@pytest.fixture(scope="module")
def toy_graphs(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "graphs"
    api.export(
        str(toy / "toy.pth"),
        folder,
        arch=f"{MODELS / 'toy_seq.py'}:toy_seq",
        trust_code=True,
    )
    return folder


@pytest.mark.parametrize(
    ("role", "weight", "module"),
    [("step", "head.weight", "head"), ("encoder", "mix.weight", "mix")],
)
def test_in_a_model_of_two_graphs_the_graph_is_named_too(
    toy_graphs, tmp_path, role, weight, module
):
    shutil.copytree(toy_graphs, tmp_path / "broken")
    path = tmp_path / "broken" / f"{role}.onnx"
    plant(path, path, weight, louder)
    document = api.debug_parity(str(tmp_path / "broken"), target=ORT, against=str(toy_graphs))
    assert (document.node.role, document.node.module) == (role, module)
    assert {one.role for one in document.trail} == {role}


def test_a_fault_inside_a_loop_of_state_is_found_in_one_call(toy_graphs, tmp_path):
    shutil.copytree(toy_graphs, tmp_path / "broken")
    path = tmp_path / "broken" / "step.onnx"
    model = onnx.load(path)
    weights = [
        one.name for one in model.graph.initializer if "cell" in one.name or "val" in one.name
    ]
    name = next(one for one in weights if "weight_hh" in one or "hh" in one)
    plant(path, path, name, louder)
    document = api.debug_parity(str(tmp_path / "broken"), target=ORT, against=str(toy_graphs))
    assert (document.node.role, document.node.module) == ("step", "cell")


def stateful(path, gain):
    """h_out = h_in · W for a rotation W, a little too long."""
    angle = 0.3
    turn = np.array(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], np.float32
    )
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["h_in", "w"], ["turned"]),
            helper.make_node("Add", ["turned", "x"], ["h_out"]),
        ],
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 2]) for n in ("h_in", "x")],
        [helper.make_tensor_value_info("h_out", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array((turn * gain).astype(np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return Variant(path.stem, "fp32", {"main": str(path)})


def find(fp32, variant, card, feeds, limit_db=80.0):
    target, probe = usable(ORT)
    return first_divergence(
        fp32, variant, card, target, probe, CompileOptions(), {"main": feeds}, limit_db, Silent()
    )


def test_an_error_that_builds_up_only_in_the_loop_is_said_in_words(tmp_path):
    tensors = {"h_in": TensorCard(("batch", 2)), "x": TensorCard(("batch", 2))}
    graph = GraphCard(
        inputs=tensors, outputs={"h_out": TensorCard(("batch", 2))}, state={"h_out": "h_in"}
    )
    card = ModelCard().with_graphs({"main": graph})
    feeds = [
        {"h_in": np.array([[3, 1]], np.float32), "x": np.zeros((1, 2), np.float32)},
        {"h_in": np.array([[-2, 5]], np.float32), "x": np.zeros((1, 2), np.float32)},
    ]
    good = stateful(tmp_path / "good.onnx", 1.0)
    found = find(good, stateful(tmp_path / "drift.onnx", 1 + 6e-5), card, feeds)
    assert found.verdict == "FAIL"
    assert found.node is None
    assert "builds up only as the state loops" in found.notes[0]
    found = find(good, stateful(tmp_path / "wrong.onnx", 1 + 1e-3), card, feeds)
    assert (found.node.tensor, found.node.name) == ("turned", "turned")
    assert find(good, good, card, feeds) is None


def branching(path, slope):
    """An If whose branch holds the fault, between two convolutions' worth of arithmetic."""
    inner = helper.make_graph(
        [helper.make_node("Mul", ["a", "slope"], ["inside"])],
        "then",
        [],
        [helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["same"])],
        "else",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    shape = ["batch", 4]
    graph = helper.make_graph(
        [
            helper.make_node("Tanh", ["x"], ["a"], name="first"),
            helper.make_node(
                "If", ["yes"], ["b"], name="choice", then_branch=inner, else_branch=other
            ),
            helper.make_node("Sin", ["b"], ["c"], name="last"),
            helper.make_node("ArgMax", ["c"], ["best"], axis=1),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("c", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("best", TensorProto.INT64, ["batch", 1]),
        ],
        [
            numpy_helper.from_array(np.array(True), "yes"),
            numpy_helper.from_array(np.float32(slope), "slope"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    return Variant(path.stem, "fp32", {"main": str(path)})


def test_a_fault_inside_a_subgraph_is_named_by_the_node_that_holds_it(tmp_path):
    tensors = {"x": TensorCard(("batch", 4))}
    outputs = {"c": TensorCard(("batch", 4)), "best": TensorCard(("batch", 1), dtype="int64")}
    card = ModelCard().with_graphs({"main": GraphCard(inputs=tensors, outputs=outputs)})
    feeds = [{"x": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)}]
    good, bad = branching(tmp_path / "good.onnx", 0.5), branching(tmp_path / "bad.onnx", 0.7)
    found = find(good, bad, card, feeds)
    assert (found.node.name, found.node.op, found.node.tensor) == ("choice", "If", "b")
    assert found.node.module is None
    assert found.node.own_sqnr_db == pytest.approx(found.node.sqnr_db, abs=0.1)


def test_models_that_do_not_belong_together_are_refused(digits_onnx, residual, toy_graphs):
    with pytest.raises(BadInput, match="has no output"):
        api.debug_parity(str(residual), target=ORT, against=str(digits_onnx))
    with pytest.raises(BadInput, match="has the graphs"):
        api.debug_parity(str(toy_graphs), target=ORT, against=str(digits_onnx))


def test_a_graph_alone_is_compared_with_itself_as_it_is_written(residual):
    document = api.debug_parity(str(residual), target=OV)
    assert (document.verdict, document.against) == ("PASS", str(residual))


def test_a_bundle_whose_export_is_wrong_says_so(deployed, tmp_path):
    _, bundle = deployed
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    graph = copy / "variants" / "fp32" / "main.onnx"
    plant(graph, graph, "c3.weight", louder)
    document = api.debug_parity(f"{copy}@fp32", target=ORT)
    assert "the fault lies in the export" in document.notes[0]
    assert document.verdict == "FAIL"


def test_data_can_stand_in_for_golden_inputs(deployed, digits):
    _, bundle = deployed
    document = api.debug_parity(f"{bundle}@int8", target=ORT, data=digits)
    assert document.verdict == "PASS"
    assert document.outputs[0].sqnr_db > 20


def test_the_document_holds_no_infinity(residual, tmp_path):
    big = overflowing(residual, tmp_path)
    write_fp16(Path(big), tmp_path / "half.onnx")
    document = api.debug_parity(str(tmp_path / "half.onnx"), target=ORT, against=big)
    text = msgspec.json.encode(document)
    assert msgspec.json.decode(text, type=type(document)) == document


@pytest.mark.realdata
@pytest.mark.slow
def test_a_swapped_channel_deep_in_yolox_nano_is_found_in_few_rounds(realdata, tmp_path):
    good = tmp_path / "yolox.onnx"
    api.export(str(realdata / "models" / "yolox_nano.pt2"), good, trust_code=True)
    weights = {n.output[0]: n.input[1] for n in onnx.load(good).graph.node if n.op_type == "Conv"}
    broken = plant(good, tmp_path / "b.onnx", weights["conv2d_60"], swapped)
    document = api.debug_parity(broken, target=OV, against=str(good))
    assert (document.node.tensor, document.node.module) == ("conv2d_60", "p3.c3.0")
    assert document.rounds <= 4
    assert few(document, broken)


@pytest.mark.slow
@pytest.mark.realdata
def test_a_wrong_scale_in_yolox_nano_in_int8_is_found(realdata, tmp_path):
    good, int8 = tmp_path / "yolox.onnx", tmp_path / "int8.onnx"
    coco = realdata / "coco"
    api.export(str(realdata / "models" / "yolox_nano.pt2"), good, trust_code=True)
    api.quantize(str(good), int8, calibration=coco / "calib")
    sound = api.debug_parity(str(int8), target=OV, against=str(good), data=coco / "val")
    assert sound.verdict == "PASS"
    broken = plant(int8, tmp_path / "b.onnx", "silu_52/scale", lambda array: array / 200)
    document = api.debug_parity(broken, target=OV, against=str(good), data=coco / "val")
    assert document.node.tensor == "silu_52/dequantized"
    assert document.node.module == "p4.m.0.b.1.1"
    assert few(document, broken)
