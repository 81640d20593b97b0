"""Axes that follow from others, from torch.export's symbols and from a card to the ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.export import Dim

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.parity import ParityMeter
from edgekit.core.source import Source
from edgekit.export import worker
from edgekit.export.load import Loaded
from edgekit.export.worker import ExportRequest, export_model


class Longer(nn.Module):
    """Takes what was and what is: (N, past, 4) and (N, past + 1)."""

    def forward(self, past, mask):
        return torch.cat([past, past[:, :1]], 1).sum(-1) * mask


class Half(nn.Module):
    def forward(self, x, y):
        return x[:, : x.shape[1] // 2] + y


class Joined(nn.Module):
    def forward(self, a, b, c):
        return torch.cat([a, b], 1) + c


class Twice(nn.Module):
    def forward(self, a, b):
        return torch.cat([a, a], 1) + b


class Equal(nn.Module):
    def forward(self, a, b):
        return a + b


def halved() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.Upsample(scale_factor=2))


PAST, SIDE, N = Dim("past", min=1, max=16), Dim("h", min=2, max=8), Dim("n", min=2, max=40)
AUTO = Dim.AUTO
PROGRAMS = {
    "multiple": (halved(), [(2, 3, 64, 64)], [{2: 32 * SIDE}]),
    "sum": (Longer(), [(2, 7, 4), (2, 8)], [{1: PAST}, {1: PAST + 1}]),
    "double": (Twice(), [(2, 3), (2, 6)], [{1: N}, {1: 2 * N}]),
    "half": (Half(), [(2, 10), (2, 5)], [{1: AUTO}, {1: AUTO}]),
    "both": (Joined(), [(2, 3), (2, 5), (2, 8)], [{1: AUTO}, {1: AUTO}, {1: AUTO}]),
    "equal": (Equal(), [(2, 3), (2, 3)], [{1: N}, {1: N}]),
    "one-size": (Equal(), [(2, 3), (2, 3)], [None, None]),
}


def program(name: str, folder: Path) -> Source:
    """Save one of PROGRAMS; loading it again is part of what is tested."""
    network, shapes, dynamic = PROGRAMS[name]
    arguments = tuple(torch.rand(shape) for shape in shapes)
    made = torch.export.export(network.eval(), arguments, dynamic_shapes=tuple(dynamic))
    torch.export.save(made, folder / f"{name}.pt2")
    return Source.parse(str(folder / f"{name}.pt2"))


def module(network, monkeypatch) -> Source:
    monkeypatch.setattr(worker, "load_source", lambda *_, **__: {"main": Loaded(module=network)})
    return Source(text="net", kind="state-dict", location="net")


def inputs(outcome) -> list[list[int | str]]:
    graph = onnx.load(outcome.graphs["main"]).graph
    return [
        [size.dim_param or size.dim_value for size in tensor.type.tensor_type.shape.dim]
        for tensor in graph.input
    ]


def lowest_sqnr(outcome) -> float:
    session = onnxruntime.InferenceSession(
        str(outcome.graphs["main"]), providers=["CPUExecutionProvider"]
    )
    meter = ParityMeter()
    for feeds, expected in outcome.reference["main"]:
        (got,) = session.run(None, feeds)
        (value,) = expected.values()
        meter.add(value, got)
    return meter.result().sqnr_db


RELATIONS = {
    "multiple": lambda feeds: feeds["input"].shape[2] % 32 == 0,
    "sum": lambda feeds: feeds["mask"].shape[1] == feeds["past"].shape[1] + 1,
    "double": lambda feeds: feeds["b"].shape[1] == 2 * feeds["a"].shape[1],
    "half": lambda feeds: feeds["y"].shape[1] == feeds["x"].shape[1] // 2,
    "both": lambda feeds: feeds["c"].shape[1] == feeds["a"].shape[1] + feeds["b"].shape[1],
    "equal": lambda feeds: feeds["a"].shape == feeds["b"].shape,
}


@pytest.mark.parametrize("name", RELATIONS)
def test_sizes_are_solved_from_the_programs_own_symbols(name, tmp_path):
    """They were axes of their own, and a program with a multiple could not be exported at all."""
    outcome = export_model(ExportRequest(source=program(name, tmp_path), folder=tmp_path))
    cases = [feeds for feeds, _ in outcome.reference["main"]]
    assert len(cases) == 3
    assert all(RELATIONS[name](feeds) for feeds in cases)
    assert outcome.exporter == "torch.export"
    assert lowest_sqnr(outcome) > 100
    again = export_model(
        ExportRequest(source=Source.parse(str(outcome.graphs["main"])), folder=tmp_path)
    )
    assert again.card.inputs == outcome.card.inputs


def test_a_program_of_one_size_is_tried_at_that_size(tmp_path):
    outcome = export_model(ExportRequest(source=program("one-size", tmp_path), folder=tmp_path))
    assert len(outcome.reference["main"]) == 1


def test_the_ranges_of_the_programs_axes_are_kept(tmp_path):
    outcome = export_model(ExportRequest(source=program("multiple", tmp_path), folder=tmp_path))
    side = outcome.card.inputs["input"].shape[2]
    assert (side.min, side.max) == (64, 256)


def test_a_card_names_what_a_program_relates(tmp_path):
    source = program("sum", tmp_path)
    card = ModelCard(
        inputs={
            "past": TensorCard(shape=(2, "old", 4)),
            "mask": TensorCard(shape=(2, "1 + old")),
        }
    )
    outcome = export_model(ExportRequest(source=source, folder=tmp_path, card=card))
    assert inputs(outcome) == [[2, "old", 4], [2, "1 + old"]]
    plain = ModelCard(inputs={**card.inputs, "mask": TensorCard(shape=(2, "length"))})
    outcome = export_model(ExportRequest(source=source, folder=tmp_path, card=plain))
    assert inputs(outcome)[1] == [2, "old + 1"]
    assert any("'length'" in note for note in outcome.notes)
    wrong = ModelCard(inputs={**card.inputs, "mask": TensorCard(shape=(2, "old + 2"))})
    with pytest.raises(BadInput, match=r"old \+ 2.*old \+ 1"):
        export_model(ExportRequest(source=source, folder=tmp_path, card=wrong))


@pytest.mark.parametrize(
    ("network", "shapes", "relation"),
    [
        (halved(), {"x": ("batch", 3, "32 * h", 64)}, lambda x: x.shape[2] % 32 == 0),
        (
            Longer(),
            {"past": ("batch", "past", 4), "mask": ("batch", "past + 1")},
            lambda past, mask: mask.shape[1] == past.shape[1] + 1,
        ),
        (
            Half(),
            {"x": ("batch", Axis("n", min=4)), "y": ("batch", "n // 2")},
            lambda x, y: y.shape[1] == x.shape[1] // 2,
        ),
        (
            Joined(),
            {"a": (1, "n"), "b": (1, "m"), "c": (1, "n + m")},
            lambda a, b, c: c.shape[1] == a.shape[1] + b.shape[1],
        ),
    ],
    ids=["multiple", "sum", "half", "both"],
)
def test_a_card_says_how_the_axes_of_a_module_are_related(
    network, shapes, relation, tmp_path, monkeypatch
):
    card = ModelCard(inputs={name: TensorCard(shape=shape) for name, shape in shapes.items()})
    source = module(network.eval(), monkeypatch)
    outcome = export_model(ExportRequest(source=source, folder=tmp_path, card=card))
    cases = [feeds for feeds, _ in outcome.reference["main"]]
    assert len(cases) == 3
    assert all(relation(**feeds) for feeds in cases)
    assert lowest_sqnr(outcome) > 100
    typed = {name: ",".join(map(_label, shape)) for name, shape in shapes.items()}
    request = ExportRequest(source=source, folder=tmp_path, inputs=typed)
    assert inputs(export_model(request)) == inputs(outcome)


def _label(axis) -> str:
    return axis.name if isinstance(axis, Axis) else str(axis)


def test_an_onnx_file_gets_the_relation_from_its_card(tmp_path):
    source = program("sum", tmp_path)
    plain = export_model(ExportRequest(source=source, folder=tmp_path)).graphs["main"]
    model = onnx.load(plain)
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_param = "length"
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "given.onnx")
    card = ModelCard(
        inputs={
            "past": TensorCard(shape=(2, "s0", 4)),
            "mask": TensorCard(shape=(2, "s0 + 1")),
        }
    )
    outcome = export_model(
        ExportRequest(source=Source.parse(str(tmp_path / "given.onnx")), folder=tmp_path, card=card)
    )
    assert [tensor.shape[1].name for tensor in outcome.card.inputs.values()] == ["s0", "s0 + 1"]


def test_a_program_goes_through_torchscript_where_torch_export_fails(tmp_path, monkeypatch):
    """It ended in "Calling train() is not supported yet", whatever the program was."""
    from edgekit.export import to_onnx

    def refuse(*_):
        raise to_onnx._NotExportedError("it does not want to")

    monkeypatch.setattr(to_onnx, "_by_torch_export", refuse)
    outcome = export_model(ExportRequest(source=program("sum", tmp_path), folder=tmp_path))
    assert outcome.exporter == "torchscript"
    assert lowest_sqnr(outcome) > 100


def test_real_arrays_are_all_that_a_network_sees_where_there_are_some(tmp_path, monkeypatch):
    """A network that fails on ids beyond its words and on lengths of nothing."""

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(100, 8)

        def forward(self, ids, lengths):
            seen.append((ids, lengths))
            if not torch.compiler.is_compiling():
                assert int(lengths.min()) >= 5
            return self.words(ids) * lengths[:, None, None]

    seen: list = []
    card = ModelCard(
        inputs={
            "ids": TensorCard(shape=("batch", Axis("tokens", min=2, max=40)), dtype="int64"),
            "lengths": TensorCard(shape=("batch",), dtype="int64"),
        }
    )
    real = [
        {"ids": np.arange(start, start + 9)[None], "lengths": np.array([9])} for start in (30, 60)
    ]
    request = ExportRequest(
        source=module(Words().eval(), monkeypatch),
        folder=tmp_path,
        card=card,
        feeds={"main": real},
    )
    outcome = export_model(request)
    for feeds, _ in outcome.reference["main"]:
        assert feeds["ids"].min() >= 30
        assert feeds["lengths"].min() == 9
    assert len({feeds["ids"].shape[1] for feeds, _ in outcome.reference["main"]}) == 3
    assert outcome.unjudged == ()
