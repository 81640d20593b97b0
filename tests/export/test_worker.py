"""The whole export of one source, on small networks."""

from __future__ import annotations

import pickle
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekit.core.card import Axis, GraphCard, ModelCard, TensorCard, card_from_dict
from edgekit.core.errors import BadInput
from edgekit.core.parity import ParityMeter
from edgekit.core.source import Source
from edgekit.export import cleanup, to_onnx, worker
from edgekit.export.load import Loaded
from edgekit.export.metadata import read_card
from edgekit.export.worker import ExportRequest, export_model

CARD = ModelCard(inputs={"x": TensorCard(shape=(Axis("batch", max=16), 3))})
Pair = namedtuple("Pair", "low high")


class Two(nn.Module):
    def forward(self, a, b):
        return Pair(a + b, a * b)


class Shape(nn.Module):
    """Refuses torch.export by a branch on values; TorchScript takes it."""

    def forward(self, x):
        return x * 2 if x.sum() > -1e9 else x


class Neither(nn.Module):
    def forward(self, x):
        return torch.from_numpy(np.sort(x.numpy()))


class Broken(nn.Module):
    def forward(self, x):
        return x / (x - x)


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).eval()


@pytest.fixture
def request_of(tmp_path, monkeypatch):
    """Make a request for networks that are here already."""

    def make(*networks: nn.Module, card: ModelCard | None = CARD, **options) -> ExportRequest:
        roles = ["main"] if len(networks) == 1 else ["first", "second"]
        loaded = {
            role: Loaded(module=network.eval())
            for role, network in zip(roles, networks, strict=True)
        }
        monkeypatch.setattr(worker, "load_source", lambda *_, **__: loaded)
        source = Source(text="net", kind="state-dict", location="net")
        return ExportRequest(source=source, folder=tmp_path, card=card, **options)

    return make


def run_file(path: Path, feeds) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def worst_sqnr(outcome) -> float:
    """Run the written files on every reference input."""
    meters: dict[tuple[str, str], ParityMeter] = {}
    for role, trials in outcome.reference.items():
        for feeds, expected in trials:
            got = run_file(outcome.graphs[role], feeds)
            assert list(got) == list(expected)
            for name, value in expected.items():
                meters.setdefault((role, name), ParityMeter()).add(value, got[name])
    return min(meter.result().sqnr_db for meter in meters.values())


def dims(path: Path) -> dict[str, list[str | int]]:
    graph = onnx.load(path).graph
    return {
        tensor.name: [
            size.dim_param or size.dim_value for size in tensor.type.tensor_type.shape.dim
        ]
        for tensor in [*graph.input, *graph.output]
    }


def test_a_network_becomes_one_file_that_equals_it_at_three_batch_sizes(request_of, capfd):
    outcome = export_model(request_of(net()))
    assert capfd.readouterr() == ("", "")
    assert (outcome.exporter, outcome.notes) == ("torch.export", ())
    assert dims(outcome.graphs["main"]) == {"x": ["batch", 3], "output": ["batch", 2]}
    assert [feeds["x"].shape[0] for feeds, _ in outcome.reference["main"]] == [1, 2, 3]
    assert worst_sqnr(outcome) > 100
    assert [path.name for path in outcome.graphs["main"].parent.iterdir()] == ["main.onnx"]
    assert outcome.opset == onnx.load(outcome.graphs["main"]).opset_import[0].version
    assert read_card(outcome.graphs["main"]) == outcome.card
    assert outcome.card.inputs == CARD.inputs
    assert outcome.card.outputs == {"output": TensorCard(shape=("batch", 2))}
    assert pickle.loads(pickle.dumps(outcome)).card == outcome.card


def test_two_graphs_with_state_go_the_whole_road(tmp_path, toy_seq, models_folder):
    toy_seq.write_weights(str(tmp_path / "toy.pth"))
    (tmp_path / "out").mkdir()
    request = ExportRequest(
        source=Source.parse(str(tmp_path / "toy.pth"), f"{models_folder}/toy_seq.py:toy_seq"),
        folder=tmp_path / "out",
        card=card_from_dict(toy_seq.CARD, "toy"),
        trust_code=True,
    )
    outcome = export_model(request)
    assert list(outcome.graphs) == ["encoder", "step"]
    assert dims(outcome.graphs["encoder"]) == {
        "sequence": ["batch", "time", 8],
        "h_out": ["batch", 16],
    }
    assert list(dims(outcome.graphs["step"])) == ["x", "h_in", "scores", "h_out"]
    assert outcome.card.graphs["step"].state == {"h_out": "h_in"}
    assert read_card(outcome.graphs["step"]) == outcome.card
    assert len({feeds["sequence"].shape[1] for feeds, _ in outcome.reference["encoder"]}) == 3
    assert worst_sqnr(outcome) > 100


def test_an_rnn_over_a_dynamic_time_axis_stays_dynamic_twice_in_one_process(request_of, toy_seq):
    card = ModelCard(
        inputs={"sequence": TensorCard(shape=("batch", Axis("time", typical=6, max=40), 8))}
    )
    torch.manual_seed(2)
    for _ in range(2):
        outcome = export_model(request_of(toy_seq.sequence_encoder(), card=card))
        assert dims(outcome.graphs["main"])["output"] == ["batch", "time", 16]
        assert worst_sqnr(outcome) > 100


def test_real_inputs_are_what_parity_runs_on(request_of):
    real = [{"whatever": np.full((1, 3), value, np.float32)} for value in (5, 6)]
    outcome = export_model(request_of(net(), feeds={"main": real}))
    seen = np.concatenate([feeds["x"][:, 0] for feeds, _ in outcome.reference["main"]])
    assert set(seen) == {5, 6}


def test_arguments_of_forward_are_matched_by_name_in_any_order(request_of):
    tensor = TensorCard(shape=("batch", 2))
    card = ModelCard(inputs={"b": tensor, "a": tensor})
    outcome = export_model(request_of(Two(), card=card))
    assert list(dims(outcome.graphs["main"])) == ["a", "b", "low", "high"]
    assert worst_sqnr(outcome) > 100


def test_the_cards_output_names_are_used(request_of):
    card = replace_card(outputs={"logits": TensorCard(shape=("batch", 2))})
    assert "logits" in dims(export_model(request_of(net(), card=card)).graphs["main"])


def replace_card(**changes: object) -> ModelCard:
    return ModelCard(inputs=CARD.inputs, **changes)


def test_typed_shapes_stand_in_for_a_card(request_of):
    outcome = export_model(request_of(net(), card=None, inputs={"x": "n,3"}))
    assert dims(outcome.graphs["main"])["x"] == ["n", 3]
    assert outcome.card.task == "raw"


def test_torchscript_is_the_fallback_and_the_result_says_so(request_of):
    outcome = export_model(request_of(Shape()))
    assert outcome.exporter == "torchscript"
    assert "torch.export failed: GuardOnDataDependentSymNode" in outcome.notes[0]
    assert dims(outcome.graphs["main"]) == {"x": ["batch", 3], "output": ["batch", 3]}
    assert worst_sqnr(outcome) > 100


def test_what_neither_exporter_takes_is_one_sentence_and_writes_nothing(request_of, tmp_path):
    with pytest.raises(BadInput, match="net cannot be exported to ONNX") as caught:
        export_model(request_of(Neither()))
    assert "does not depend on the input 'x'" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_opset_asked_for_is_read_back(request_of, monkeypatch):
    assert export_model(request_of(net(), opset=18)).opset == 18
    monkeypatch.setattr(to_onnx, "opset_of", lambda _: 19)
    with pytest.raises(BadInput, match=r"Opset 18 was asked for net, but .* wrote 19"):
        export_model(request_of(net(), opset=18))


def test_a_network_that_returns_nan_is_refused_before_it_is_blamed_on_an_engine(request_of):
    with pytest.raises(BadInput, match="itself returns NaN or Inf in 'output'"):
        export_model(request_of(Broken()))


@pytest.mark.parametrize(
    ("card", "options", "said"),
    [
        (None, {}, "which inputs net takes"),
        (ModelCard(inputs={"x": TensorCard(shape=("batch", 5))}), {}, "fails on inputs of shape"),
        (replace_card(outputs={"a": CARD.inputs["x"], "b": CARD.inputs["x"]}), {}, "2 outputs"),
        (ModelCard(graphs={"mian": GraphCard()}), {}, "a graph 'mian'"),
        (CARD, {"feeds": {"main": [{"a": np.ones(1), "b": np.ones(1)}]}}, "The data gives a, b"),
    ],
)
def test_a_card_that_does_not_fit_is_one_sentence(request_of, card, options, said):
    with pytest.raises(BadInput, match=said):
        export_model(request_of(net(), card=card, **options))


def test_wrong_argument_names_list_those_of_forward(request_of):
    card = ModelCard(inputs={"a": CARD.inputs["x"], "c": CARD.inputs["x"]})
    with pytest.raises(BadInput, match="takes a, b, but the card names 'c'"):
        export_model(request_of(Two(), card=card))


def test_typed_shapes_of_several_graphs_name_the_role(request_of):
    request = request_of(nn.Linear(3, 2), nn.Linear(2, 2), card=None, inputs={"x": "1,3"})
    with pytest.raises(BadInput, match="several graphs") as caught:
        export_model(request)
    assert "first, second" in caught.value.hint
    outcome = export_model(replace(request, inputs={"first.input": "1,3", "second.input": "1,2"}))
    assert dims(outcome.graphs["second"])["input"] == [1, 2]


def test_weights_beyond_two_gigabytes_are_refused_before_the_export(request_of, monkeypatch):
    monkeypatch.setattr(to_onnx, "MAXIMUM_BYTES", 40)
    with pytest.raises(BadInput, match="one ONNX file holds 2 GB"):
        export_model(request_of(net()))


def test_a_clean_up_that_changes_the_answer_is_not_kept(linear_model, monkeypatch):
    import onnxslim

    def spoil(model):
        wrong = onnx.numpy_helper.from_array(np.full((3, 2), 2, np.float32), "w")
        model.graph.initializer[0].CopyFrom(wrong)
        return model

    cases = [lambda: {"x": np.ones((1, 3), np.float32)}]
    monkeypatch.setattr(onnxslim, "slim", spoil)
    kept, notes = cleanup.clean(linear_model, cases)
    assert kept is linear_model
    assert notes == ["The graph was left as exported: onnxslim changed the output 'y'."]
    assert cleanup.clean(linear_model, cases, run_file)[1] == notes

    def fail(_):
        raise RuntimeError("no idea")

    monkeypatch.setattr(onnxslim, "slim", fail)
    kept, notes = cleanup.clean(linear_model, cases)
    assert kept is linear_model
    assert "no idea" in notes[0]


def exported(path: Path, **options) -> Source:
    program = torch.export.export(net(), (torch.randn(2, 3),), **options)
    torch.export.save(program, path)
    return Source.parse(str(path))


def test_a_program_keeps_its_dynamic_batch_under_the_cards_name(tmp_path):
    batch = torch.export.Dim("b", min=1, max=16)
    source = exported(tmp_path / "net.pt2", dynamic_shapes=({0: batch},))
    request = ExportRequest(source=source, folder=tmp_path, card=CARD)
    outcome = export_model(request)
    assert dims(outcome.graphs["main"]) == {"x": ["batch", 3], "output": ["batch", 2]}
    assert outcome.card.inputs["x"].shape[0] == Axis("batch", max=16)
    assert worst_sqnr(outcome) > 100
    wide = ModelCard(inputs={"x": TensorCard(shape=(Axis("batch", max=64), 3))})
    with pytest.raises(BadInput, match=r"asks for 1 to 64 on axis 0 of 'x'.*exported for 1 to 16"):
        export_model(replace(request, card=wide))
    with pytest.raises(BadInput, match="says 4 for axis 1"):
        export_model(replace(request, card=ModelCard(inputs={"x": TensorCard(shape=("batch", 4))})))


def test_a_program_with_a_fixed_batch_stays_fixed_and_says_so(tmp_path):
    request = ExportRequest(source=exported(tmp_path / "net.pt2"), folder=tmp_path, card=CARD)
    outcome = export_model(request)
    assert dims(outcome.graphs["main"])["x"] == [2, 3]
    assert "fixed at 2" in outcome.notes[0]
    assert len(outcome.reference["main"]) == 1


def test_an_onnx_file_keeps_its_opset_and_gets_its_card(tmp_path, linear_model):
    path = tmp_path / "net.onnx"
    path.write_bytes(linear_model.SerializeToString())
    (tmp_path / "out").mkdir()
    request = ExportRequest(
        source=Source.parse(str(path)),
        folder=tmp_path / "out",
        card=ModelCard(inputs={"x": TensorCard(shape=(Axis("batch", max=4), 3))}),
    )
    outcome = export_model(request)
    assert (outcome.exporter, outcome.opset, outcome.reference) == ("onnx", 17, {})
    again = export_model(
        ExportRequest(source=Source.parse(str(outcome.graphs["main"])), folder=tmp_path)
    )
    assert again.card == outcome.card
    with pytest.raises(BadInput, match="opset 17 and keeps it; 20 was asked for"):
        export_model(replace(request, opset=20))


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["darknet_tiny.pt2", "fastestdet.pt2"])
def test_real_programs_equal_pytorch_at_three_batch_sizes(realdata, tmp_path, name):
    request = ExportRequest(
        source=Source.parse(str(realdata / "models" / name)), folder=tmp_path, runner=run_file
    )
    outcome = export_model(request)
    assert dims(outcome.graphs["main"])["x"][0] == "batch"
    assert worst_sqnr(outcome) > 80


@pytest.mark.realdata
def test_a_real_state_dict_fits_its_architecture(realdata, tmp_path, models_folder):
    arch = f"{models_folder}/squeezenet.py:squeezenet1_1"
    source = Source.parse(str(realdata / "models/squeezenet1_1.pth"), arch)
    card = ModelCard(inputs={"x": TensorCard(shape=("batch", 3, 224, 224))})
    outcome = export_model(
        ExportRequest(source=source, folder=tmp_path, card=card, trust_code=True, runner=run_file)
    )
    assert worst_sqnr(outcome) > 80


@pytest.mark.realdata
def test_a_real_onnx_file_is_the_same_after_its_clean_up(realdata, tmp_path):
    path = realdata / "models/yolox_nano_original.onnx"
    outcome = export_model(
        ExportRequest(source=Source.parse(str(path)), folder=tmp_path, runner=run_file)
    )
    assert outcome.opset == 11
    feeds = {"images": np.random.default_rng(0).uniform(0, 255, (1, 3, 416, 416)).astype("f")}
    meter = ParityMeter()
    meter.add(run_file(path, feeds)["output"], run_file(outcome.graphs["main"], feeds)["output"])
    assert meter.result().sqnr_db > 100


def test_an_input_that_is_handed_on_under_another_shape_is_exported():
    """Its declared axes were paired with the input's, of which there are more."""
    floats = onnx.TensorProto.FLOAT
    given = onnx.helper.make_tensor_value_info("x", floats, ["n", None, 4])
    handed_on = onnx.helper.make_tensor_value_info("x", floats, ["n", 4])
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [given], [handed_on]))
    worker._name_unnamed_axes(model, "m.onnx")
    assert all(size.dim_param for size in model.graph.input[0].type.tensor_type.shape.dim[:2])
