"""The module that a node came from is still known after clean-up and conversion."""

from __future__ import annotations

import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.onnx_keys import MODULE_KEY
from edgekit.core.source import Source
from edgekit.export.calibrate import weight_maximum
from edgekit.export.decisions import Activation, QuantizedNode
from edgekit.export.fp16 import write_fp16
from edgekit.export.graph import constants, producers
from edgekit.export.module_paths import module_paths, put_module_paths
from edgekit.export.onnx_file import read_onnx
from edgekit.export.qdq import DIALECTS, _written
from edgekit.export.worker import ExportRequest, export_model


class Branch(nn.Module):
    """One activation for two places, a child in a list in a list, a norm behind a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)), nn.Conv2d(4, 4, 1)
        )
        self.act = nn.ReLU()
        self.bend = nn.Tanh()

    def forward(self, x):
        first = self.act(self.layers[0](x))
        return self.bend(self.act(self.layers[1](first)) + first).mean((2, 3))


class Refused(nn.Module):
    """A branch on values, which torch.export refuses, around the same network."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Branch()

    def forward(self, x):
        return self.inner(x) * 2 if x.sum() > -1e9 else x


CARD = ModelCard(inputs={"x": TensorCard(shape=(Axis("batch", max=16), 3, 6, 6))})
# One a node, in order: convolutions, activations, the sum, the mean.
PATHS = ["layers.0.0", "act", "layers.1", "act", "", "bend", ""]


def network(kind=Branch):
    torch.manual_seed(0)
    return kind().eval()


def pt2(path, kind=Branch):
    batch = torch.export.Dim("batch", min=1, max=16)
    program = torch.export.export(
        network(kind), (torch.ones(2, 3, 6, 6),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)
    return Source.parse(str(path))


def exported(source, folder):
    folder.mkdir()
    outcome = export_model(ExportRequest(source=source, folder=folder, card=CARD))
    return outcome.exporter, outcome.graphs["main"]


def paths_of(path):
    model = onnx.load(path)
    found = module_paths(model)
    return [found[node.output[0]] for node in model.graph.node if node.output[0] in found]


def test_an_exported_program_keeps_the_module_of_every_node_through_the_clean_up(tmp_path):
    exporter, graph = exported(pt2(tmp_path / "m.pt2"), tmp_path / "out")
    assert exporter == "torch.export"
    assert paths_of(graph) == PATHS


def test_a_file_keeps_paths_and_no_stack_traces(tmp_path):
    _, graph = exported(pt2(tmp_path / "m.pt2"), tmp_path / "out")
    keys = {entry.key for node in onnx.load(graph).graph.node for entry in node.metadata_props}
    assert keys == {MODULE_KEY}
    assert b"stack_trace" not in graph.read_bytes()
    onnx.checker.check_model(onnx.load(graph), full_check=True)


@pytest.fixture
def in_process(monkeypatch):
    """Let an export take a network that is here already."""
    from edgekit.export import worker
    from edgekit.export.load import Loaded

    def use(module):
        monkeypatch.setattr(worker, "load_source", lambda *_, **__: {"main": Loaded(module=module)})
        return Source(text="net", kind="state-dict", location="net")

    return use


def test_a_module_of_eager_pytorch_keeps_them_too(tmp_path, in_process):
    exporter, graph = exported(in_process(network()), tmp_path / "out")
    assert exporter == "torch.export"
    assert paths_of(graph) == PATHS


def test_the_torchscript_exporter_says_them_in_its_names(tmp_path, in_process):
    exporter, graph = exported(in_process(network(Refused)), tmp_path / "out")
    assert exporter == "torchscript"
    paths = paths_of(graph)
    # Its constants are nodes of their own; the folded norm's name is the convolution's.
    for path in ("inner.layers.0.0", "inner.layers.1", "inner.act", "inner.bend", "inner", ""):
        assert path in paths
    # The exporter calls the second call of `act` "act_1", which is no module of its own.
    assert paths.count("inner.act") == 2


def test_both_writers_of_variants_keep_them(tmp_path):
    _, graph = exported(pt2(tmp_path / "m.pt2"), tmp_path / "out")
    fp32 = module_paths(onnx.load(graph))
    write_fp16(graph, tmp_path / "half.onnx")
    half = module_paths(onnx.load(tmp_path / "half.onnx"))
    convolutions = [n.output[0] for n in onnx.load(graph).graph.node if n.op_type == "Conv"]
    assert {name: half[name] for name in convolutions} == {n: fp32[n] for n in convolutions}

    model = read_onnx(graph)
    (node,) = [one for one in model.graph.node if one.output[0] == convolutions[0]]
    weight = constants(model)[node.input[1]]
    decision = QuantizedNode(
        output=node.output[0],
        op="Conv",
        weight=node.input[1],
        axis=0,
        absolute_maximum=weight_maximum(weight, 0),
        bias=None,
    )
    written = _written(model, [Activation("x", -3.0, 3.0)], [decision], DIALECTS["u8s8"])
    assert producers(written)[node.output[0]].input[0] == "x/dequantized"
    assert module_paths(written).items() >= fp32.items()


def graph_of(*names):
    nodes = [
        helper.make_node("Relu", [str(index)], [str(index + 1)], name=name)
        for index, name in enumerate(names)
    ]
    kind = onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(end, kind, [1]) for end in ("0", str(len(names)))]
    return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))


def test_names_of_the_torchscript_exporter_are_read_without_its_network():
    model = graph_of(
        "/layer1/layer1.0/conv1/Conv",
        "/model.22/cv2.0/cv2.0.0/act/Mul_1",
        "/Concat_3",
        "Conv_41",
        "onnx::Relu_7",
        "relu/lower",
    )
    assert module_paths(model) == {"1": "layer1.0.conv1", "2": "model.22.cv2.0.0.act", "3": ""}


def test_a_number_is_the_modules_own_where_the_network_says_so():
    model = graph_of("/act/Relu", "/act_1/Relu", "/block/act_2/Relu")
    assert list(module_paths(model).values()) == ["act", "act_1", "block.act_2"]
    known = module_paths(model, {"act", "block", "block.act"})
    assert list(known.values()) == ["act", "act", "block.act"]


def test_notes_that_are_no_list_and_other_peoples_notes_are_left_alone():
    model = graph_of("a", "b")
    for node, key, value in zip(
        model.graph.node,
        ("pkg.torch.onnx.name_scopes", "mine"),
        ("not a [list", "kept"),
        strict=True,
    ):
        entry = node.metadata_props.add()
        entry.key, entry.value = key, value
    assert module_paths(model) == {}
    put_module_paths(model, {"1": "head"})
    first, second = model.graph.node
    assert [(e.key, e.value) for e in first.metadata_props] == [(MODULE_KEY, "head")]
    assert [(e.key, e.value) for e in second.metadata_props] == [("mine", "kept")]
    put_module_paths(model, {})
    assert module_paths(model) == {"1": "head"}
