"""One failed stage costs its variant or its entry: the rest of the deployment ships."""

from __future__ import annotations

import json

import pytest

from edgekit import api
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.jobs.deploying import bundling
from edgekit.jobs.steps import graphs as making
from edgekit.jobs.steps import proofs as proving

ORT = "onnxruntime:cpu"
FAULTS = [CheckFailed("child gone"), RuntimeError("Traceback:\nValueError: odd"), MemoryError()]


def deployed(tmp_path, digits, **options):
    options = {"precision": ("fp32", "fp16"), "time": 0.1, **options}
    return api.deploy("edgekit:digits", tmp_path / "b", targets=(ORT,), data=digits, **options)


def fail(monkeypatch, module, name, error, when=lambda *_: True):
    """Raise at a stage's door, for the calls that `when` chooses."""
    real = getattr(module, name)

    def failing(*args, **options):
        if when(*args, *options.values()):
            raise error
        return real(*args, **options)

    monkeypatch.setattr(module, name, failing)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("error", FAULTS[1:], ids=["a library's", "memory"])
def test_a_variant_that_cannot_be_written_is_an_entry_that_failed(
    error, tmp_path, digits, monkeypatch
):
    # Red where the cast's failure ended the whole deployment without a bundle.
    fail(monkeypatch, making, "write_variant", error)
    document = deployed(tmp_path, digits)
    by_variant = {one.variant: one for one in document.entries}
    assert (by_variant["fp16"].verdict, by_variant["fp16"].latency) == ("FAIL", None)
    assert by_variant["fp16"].error
    assert [one.variant for one in document.recommended] == ["fp32"]
    bundle = tmp_path / "b"
    assert api.verify(bundle).verdict != "FAIL"
    api.report(bundle, tmp_path / "r.html")
    assert by_variant["fp16"].error in (tmp_path / "r.html").read_text()
    with pytest.raises(BadInput, match="fp16"):
        api.predict(f"{bundle}@fp16", [digits / "images"])


def test_a_target_without_any_variant_has_nothing_to_ship(tmp_path, digits, monkeypatch):
    fail(monkeypatch, making, "write_variant", BadInput("no cast"))
    document = deployed(tmp_path, digits, precision=("fp16",))
    (one,) = document.recommended
    assert (one.target, one.variant) == (ORT, None)
    assert document.verdict == "FAIL"


def test_a_variant_that_the_model_refuses_is_left_out(tmp_path, digits, monkeypatch):
    fail(monkeypatch, making, "write_variant", BadInput("no cast"))
    document = deployed(tmp_path, digits)
    assert {one.variant for one in document.entries} == {"fp32"}
    assert "fp16 was left out: no cast" in document.notes


def test_a_calibration_that_dies_is_an_entry_that_failed(tmp_path, digits, monkeypatch):
    fail(monkeypatch, making, "calibrate_graphs", CheckFailed("child gone"))
    document = deployed(tmp_path, digits, precision=("fp32", "int8"))
    failed = {one.variant: one.error for one in document.entries if one.error}
    assert failed == {"int8-u8s8": "child gone"}
    assert [one.variant for one in document.recommended] == ["fp32"]


@pytest.mark.parametrize("stage", ["compile_graphs", "examine_entry"])
@pytest.mark.parametrize("error", FAULTS[:2], ids=["ours", "a library's"])
def test_an_engine_or_a_certificate_costs_its_entry(stage, error, tmp_path, digits, monkeypatch):
    def of_fp16(*args):
        return any("fp16" in str(one) for one in args if not isinstance(one, dict))

    fail(monkeypatch, proving, stage, error, of_fp16)
    document = deployed(tmp_path, digits)
    by_variant = {one.variant: one for one in document.entries}
    assert by_variant["fp16"].verdict == "FAIL"
    assert by_variant["fp16"].error
    assert [one.variant for one in document.recommended] == ["fp32"]


def test_what_cannot_be_measured_or_shown_ships_without_it(tmp_path, digits, monkeypatch):
    fail(monkeypatch, proving, "measure_in_turns", RuntimeError("the clock stood"))
    fail(monkeypatch, bundling, "render", RuntimeError("no page"))
    document = deployed(tmp_path, digits, precision=("fp32",))
    (entry,) = document.entries
    assert "the clock stood" in entry.reasons[0]
    assert "no page" in document.notes[-1]
    bundle = tmp_path / "b"
    assert not (bundle / "report.html").exists()
    assert json.loads((bundle / "deploy.json").read_text())["notes"][-1] == document.notes[-1]
    assert api.verify(bundle).verdict != "FAIL"


def test_the_reference_and_the_export_end_it(tmp_path, digits, monkeypatch):
    fail(monkeypatch, proving, "find_reference", CheckFailed("no truth"))
    with pytest.raises(CheckFailed, match="no truth"):
        deployed(tmp_path, digits)
    assert not (tmp_path / "b").exists()
