"""What int8 is calibrated on: state over several calls, every graph, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.core.card import GraphCard, ModelCard
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.progress import Silent
from edgekit.jobs.process.child import ChildDied
from edgekit.jobs.process.sequences import STEPS, calibration_calls, run_sequence
from edgekit.jobs.steps import quantize

FEATURES, HIDDEN = 6, 8


class Summing:
    """A session whose state h becomes `keep` h + x."""

    def __init__(self, keep):
        self.keep = keep
        self.calls = 0

    def run(self, feeds):
        self.calls += 1
        return {"y": feeds["x"], "h_out": self.keep * feeds["h"] + feeds["x"]}


class Caching:
    """A session whose state gets longer by a row each call, and takes no more than a few."""

    def run(self, feeds):
        assert feeds["h"].shape[0] < STEPS
        return {"h_out": np.concatenate([feeds["h"], feeds["x"]])}


class OneSample:
    card = ModelCard()

    def calibration_feeds(self, role, count):
        return cases(1)

    def record(self):
        return {}


@pytest.mark.parametrize("error", [RuntimeError("node conv"), np.linalg.LinAlgError("node conv")])
def test_what_a_library_raises_while_calibrating_is_a_refusal(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(quantize, "calibrate", fail)
    with pytest.raises(CheckFailed, match="node conv"):
        quantize._calibrate(Path("m.onnx"), "main", OneSample(), "raw", 0, Silent())
    error = KeyError("edgekit's own")
    with pytest.raises(KeyError):
        quantize._calibrate(Path("m.onnx"), "main", OneSample(), "raw", 0, Silent())


def test_a_calibration_that_died_names_the_model(monkeypatch, digits_onnx, digits, tmp_path):
    def die(*_, **__):
        raise ChildDied("The process for calibrating main died of SIGKILL.")

    monkeypatch.setattr(quantize, "run_in_child", die)
    with pytest.raises(BadInput, match=rf"{digits_onnx}.*SIGKILL"):
        api.quantize(str(digits_onnx), tmp_path / "q.onnx", data=digits, seed=77)
    assert not list(tmp_path.iterdir())


LOOP = GraphCard(state={"h_out": "h"})


def cases(count=6):
    return [
        {"x": np.full((1, 2), n + 1.0, np.float32), "h": np.zeros((1, 2), np.float32)}
        for n in range(count)
    ]


def test_state_that_settles_is_followed_until_it_does():
    calls, growing = calibration_calls(Summing(0.5), cases(), LOOP, 100)
    assert growing == ()
    largest = max(float(one["h"].max()) for one in calls)
    assert largest > 0.95 * 6 / (1 - 0.5)
    # As the certificate runs it: the same calls from the same inputs.
    assert run_sequence(Summing(0.5), cases()[0], LOOP)[0]["h_out"].max() in [
        float(one["h"].max()) for one in calls
    ]


def test_any_beginning_of_the_calls_is_a_fair_choice():
    calls, _ = calibration_calls(Summing(0.9), cases(12), LOOP, 100)
    few = calls[:8]
    assert len({float(one["x"].max()) for one in few}) > 3
    assert any(not one["h"].any() for one in few)
    assert any(one["h"].max() > 5 * one["x"].max() for one in few)


def test_a_sum_grows_as_long_as_it_is_followed_and_is_named():
    session = Summing(1.0)
    _, growing = calibration_calls(session, cases(), LOOP, 100)
    assert growing == ("h",)
    assert session.calls < 1000


def test_a_cache_is_followed_no_further_than_the_certificate_does():
    feeds = [{"x": np.ones((1, 2), np.float32), "h": np.zeros((0, 2), np.float32)}]
    calls, growing = calibration_calls(Caching(), feeds, LOOP, 100)
    assert growing == ()
    assert max(len(one["h"]) for one in calls) < STEPS


def test_without_state_the_cases_are_the_calls():
    session = Summing(1.0)
    given = cases()
    assert calibration_calls(session, given, GraphCard(), 100) == (given, ())
    assert session.calls == 0


def graph(path, nodes, inputs, outputs, **weights):
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "g",
        [value(name, TensorProto.FLOAT, ["batch", size]) for name, size in inputs.items()],
        [value(name, TensorProto.FLOAT, ["batch", size]) for name, size in outputs.items()],
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in weights.items()
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


@pytest.fixture
def integrator(tmp_path):
    """Write a network whose state becomes `keep` times itself and x w; return its files."""

    def write(keep):
        random = np.random.default_rng(0)
        model, data = tmp_path / "net.onnx", tmp_path / "data.npz"
        graph(
            model,
            [
                helper.make_node("Mul", ["h", "keep"], ["kept"]),
                helper.make_node("MatMul", ["x", "w"], ["new"]),
                helper.make_node("Add", ["kept", "new"], ["h_out"]),
                helper.make_node("Relu", ["h_out"], ["r"]),
                helper.make_node("MatMul", ["r", "v"], ["y"]),
            ],
            {"x": FEATURES, "h": HIDDEN},
            {"y": 4, "h_out": HIDDEN},
            w=random.normal(size=(FEATURES, HIDDEN)),
            v=random.normal(size=(HIDDEN, 4)),
            keep=np.array(keep),
        )
        (tmp_path / "net.card.yaml").write_text(
            yaml.safe_dump({"schema": "edgekit.card/1", "state": {"h_out": "h"}})
        )
        np.savez(data, x=random.normal(size=(32, FEATURES)).astype(np.float32))
        return model, data, tmp_path / "int8.onnx"

    return write


def test_ranges_hold_what_state_grows_to(integrator):
    """State was seen on its first call, from zeros; its fourth was clipped to a third."""
    model, data, output = integrator(0.9)
    document = api.quantize(str(model), output, data=data)
    decisions = json.loads(Path(document.decisions["main"]).read_text())
    largest = max(abs(one["minimum"]) + abs(one["maximum"]) for one in decisions["activations"])
    assert largest > 20
    assert decisions["growing"] == []
    assert document.verdict == "PASS"
    assert min(one.sqnr_db for one in document.parity) > 20


def test_state_that_no_range_holds_is_not_verified(integrator):
    model, data, output = integrator(1.0)
    document = api.quantize(str(model), output, data=data)
    assert document.verdict == "UNVERIFIED"
    assert any("state h" in note for note in document.notes)


@pytest.fixture
def two(tmp_path):
    """Write two graphs, the second without anything to quantize, and their data."""
    folder, data = tmp_path / "two", tmp_path / "data"
    folder.mkdir()
    data.mkdir()
    random = np.random.default_rng(0)
    graph(
        folder / "encoder.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": FEATURES},
        {"y": HIDDEN},
        w=random.normal(size=(FEATURES, HIDDEN)),
    )
    graph(folder / "step.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": 3}, {"y": 3})
    np.savez(data / "encoder.npz", x=random.normal(size=(16, FEATURES)).astype(np.float32))
    np.savez(data / "step.npz", x=random.normal(size=(16, 3)).astype(np.float32))
    return folder, data


def test_the_graph_that_stays_in_float_is_named_with_its_reason(two, tmp_path):
    folder, data = two
    document = api.quantize(str(folder), tmp_path / "int8", data=data)
    assert document.quantized_by_graph == {"encoder": 1.0, "step": 0.0}
    (note,) = [note for note in document.notes if "'step'" in note]
    assert "no convolution or matrix product" in note
    assert str(tmp_path) not in note


def test_a_refusal_names_no_file_of_the_cache(two, tmp_path, monkeypatch):
    """It named a file deep in the cache; the user had given another one."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("EDGEKIT_CACHE", str(cache))
    folder, data = two
    with pytest.raises(BadInput) as caught:
        api.deploy(
            str(folder / "step.onnx"),
            tmp_path / "b",
            data=data / "step.npz",
            targets=["onnxruntime:cpu"],
            precision=["int8"],
            time=0.1,
        )
    assert str(cache) not in str(caught.value)
    assert "step.onnx" in str(caught.value)
