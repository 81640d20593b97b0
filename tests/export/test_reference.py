"""The PyTorch reference behind the Session protocol."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekit.core.card import ModelCard, card_from_dict
from edgekit.core.errors import BadInput
from edgekit.core.runtime import TensorInfo
from edgekit.core.source import Source
from edgekit.export.builtin.catalogue import builtin_card
from edgekit.export.reference import open_reference


@pytest.fixture
def toy(tmp_path, toy_seq, models_folder):
    toy_seq.write_weights(str(tmp_path / "toy.pth"))
    source = Source.parse(str(tmp_path / "toy.pth"), f"{models_folder}/toy_seq.py:toy_seq")
    return open_reference(source, card_from_dict(toy_seq.CARD, "toy"), trust_code=True)


def test_every_role_is_a_session_that_knows_its_tensors(toy):
    step = toy["step"]
    assert list(toy) == ["encoder", "step"]
    assert step.inputs == (
        TensorInfo("x", "float32", ("batch", 8)),
        TensorInfo("h_in", "float32", ("batch", 16)),
    )
    assert [(info.name, info.shape) for info in step.outputs] == [
        ("scores", ("batch", 4)),
        ("h_out", ("batch", 16)),
    ]
    assert step.placement().executed_precision == "fp32"


def test_running_and_binding_agree_and_state_loops(toy):
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 8)).astype(np.float32)
    h = np.zeros((2, 16), np.float32)
    with toy["step"] as step:
        first = step.run({"x": x, "h_in": h})
        second = step.run({"x": x, "h_in": first["h_out"]})
        binding = step.bind({"x": x, "h_in": h})
        binding.run()
        held = binding.outputs["scores"]
        assert np.array_equal(held, first["scores"])
        np.copyto(binding.inputs["h_in"], binding.outputs["h_out"])
        binding.run()
        assert binding.outputs["scores"] is held
        assert np.array_equal(held, second["scores"])
        assert not np.array_equal(first["scores"], second["scores"])


def test_outputs_belong_to_the_caller_and_need_no_gradient(toy):
    feeds = {"sequence": np.ones((1, 3, 8), np.float32)}
    one, two = toy["encoder"].run(feeds), toy["encoder"].run(feeds)
    assert one["h_out"] is not two["h_out"]
    one["h_out"][:] = 0
    assert two["h_out"].any()


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({"x": np.ones((1, 8), np.float32)}, "'h_in' is missing"),
        ({"y": np.ones((1, 8), np.float32)}, "no input 'y'"),
        (
            {"x": np.ones((1, 9), np.float32), "h_in": np.ones((1, 16), np.float32)},
            "takes float32 .*8.*, not float32 .*9",
        ),
        ({"x": np.ones((1, 8)), "h_in": np.ones((1, 16), np.float32)}, "not float64"),
    ],
)
def test_wrong_inputs_are_named(toy, feeds, said):
    with pytest.raises(BadInput, match=said):
        toy["step"].run(feeds)
    with pytest.raises(BadInput, match=said):
        toy["step"].bind(feeds)


def test_a_closed_reference_says_so(toy):
    toy["step"].close()
    toy["step"].close()
    with pytest.raises(BadInput, match="closed"):
        toy["step"].run({})


def test_threads_hold_while_it_runs_and_are_given_back(monkeypatch):
    session = open_reference(Source.parse("edgekit:digits"), builtin_card("digits"), threads=1)
    seen = []
    graph = session["main"]._graph
    monkeypatch.setattr(
        type(graph), "__call__", lambda *_: seen.append(torch.get_num_threads()) or {}
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        session["main"].run({"image": np.zeros((1, 1, 32, 32), np.float32)})
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_onnx_source_has_no_pytorch_reference(tmp_path, linear_model):
    path = tmp_path / "net.onnx"
    path.write_bytes(linear_model.SerializeToString())
    assert open_reference(Source.parse(str(path)), ModelCard()) == {}
