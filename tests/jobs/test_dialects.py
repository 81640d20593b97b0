"""One calibration, written in the dialect of another engine without the images."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit import api
from edgekit.core.errors import BadInput


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory, digits, digits_onnx):
    """The decisions of one calibration."""
    output = tmp_path_factory.mktemp("dialects") / "m.onnx"
    document = api.quantize(str(digits_onnx), output, data=digits)
    return output.with_name("m.main.quantization.json"), document


def test_the_other_dialect_needs_no_images_and_is_the_same_each_time(
    tmp_path, digits_onnx, calibrated
):
    decisions, first = calibrated
    assert first.decisions["main"] == str(decisions)
    written = []
    for name in ("one.onnx", "two.onnx"):
        document = api.quantize(
            str(digits_onnx), tmp_path / name, decisions=[decisions], dialect="s8s8"
        )
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert document.variant == "int8-s8s8"
    assert document.images == first.images == 100
    assert document.verdict == "UNVERIFIED"
    assert not list(tmp_path.glob("*.json"))
    model = onnx.load(str(tmp_path / "one.onnx"))
    points = [
        numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.name.endswith("zero_point")
    ]
    assert points
    assert all(point.dtype == np.int8 and not point.any() for point in points)


def test_with_images_its_accuracy_is_proven_on_onnx_runtime_and_said_to_be_so(
    tmp_path, digits, digits_onnx, calibrated
):
    document = api.quantize(
        str(digits_onnx),
        tmp_path / "m.onnx",
        decisions=[calibrated[0]],
        dialect="s8s8",
        data=digits,
    )
    assert document.verdict == "PASS"
    assert any("on ONNX Runtime" in note for note in document.notes)
    scored = api.evaluate(str(tmp_path / "m.onnx"), data=digits, target="onnxruntime:cpu")
    assert scored.metric.value > 0.95


def test_decisions_of_another_graph_are_refused(tmp_path, digits_onnx, calibrated):
    other = onnx.load(str(digits_onnx))
    other.graph.node[0].name = "renamed"
    onnx.save(other, str(tmp_path / "other.onnx"))
    with pytest.raises(BadInput, match="made for another graph"):
        api.quantize(str(tmp_path / "other.onnx"), tmp_path / "m.onnx", decisions=[calibrated[0]])
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize(
    "how", [{"precision": "fp16"}, {"calibration": "digits"}, {"twice": True}], ids=str
)
def test_what_makes_no_sense_beside_decisions_is_refused(
    tmp_path, digits, digits_onnx, calibrated, how
):
    given = dict(how)
    files = [calibrated[0]] * (2 if given.pop("twice", False) else 1)
    if "calibration" in given:
        given["calibration"] = digits
    with pytest.raises(BadInput):
        api.quantize(str(digits_onnx), tmp_path / "m.onnx", decisions=files, **given)


def test_a_damaged_file_of_decisions_is_named(tmp_path, digits_onnx):
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(BadInput, match=r"broken\.json"):
        api.quantize(str(digits_onnx), tmp_path / "m.onnx", decisions=[tmp_path / "broken.json"])


@pytest.mark.slow
def test_a_foreign_dialect_has_a_certificate_that_says_where_it_did_not_run(tmp_path, digits):
    document = api.deploy(
        "edgekit:digits",
        tmp_path / "bundle",
        data=digits,
        targets=["onnxruntime:cpu"],
        precision=["fp32", "int8-s8s8"],
        time=0.5,
    )
    entries = {entry.variant: entry for entry in document.entries}
    foreign = entries["int8-s8s8"]
    assert foreign.checks["placement"].verdict == "UNVERIFIED"
    assert "dialect of another engine" in foreign.checks["placement"].reason
    others = {name: check.verdict for name, check in foreign.checks.items() if name != "placement"}
    assert set(others.values()) == {"PASS"}
    assert foreign.verdict == "UNVERIFIED"
    assert document.recommended[0].variant == "fp32"
    assert api.verify(tmp_path / "bundle").verdict != "FAIL"
