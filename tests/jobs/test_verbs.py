"""export, quantize, compile, bench, doctor and data, one by one."""

from __future__ import annotations

import json
import shutil

import msgspec
import numpy as np
import pytest
from jsonschema import validate

from edgekit import api
from edgekit.benchmarks.schemas import load_schema
from edgekit.core.errors import BadInput
from edgekit.export.metadata import read_card


def valid(document, kind):
    validate(json.loads(msgspec.json.encode(document)), load_schema(kind))


def test_export_checks_three_batch_sizes_against_pytorch(tmp_path, digits):
    document = api.export("edgekit:digits", tmp_path / "m.onnx", data=digits)
    assert document.verdict == "PASS"
    assert document.exporter == "torch.export"
    assert len({case["image"][0] for case in document.shapes["main"]}) == 3
    assert document.parity[0].sqnr_db > 80
    valid(document, "export")


def test_the_file_carries_its_card(digits_onnx):
    card = read_card(digits_onnx)
    assert card.task == "classification"
    assert card.inputs["image"].shape[0].name == "batch"


def test_an_onnx_file_is_a_source_too(tmp_path, digits_onnx):
    document = api.export(str(digits_onnx), tmp_path / "again.onnx")
    assert document.exporter == "onnx"
    assert document.verdict == "PASS"


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_quantize_writes_a_smaller_graph_that_still_answers(
    tmp_path, digits, digits_onnx, precision
):
    output = tmp_path / "small.onnx"
    document = api.quantize(str(digits_onnx), output, data=digits, precision=precision)
    assert document.verdict == "PASS"
    assert document.size_bytes == output.stat().st_size
    share = {"int8": 0.35, "fp16": 0.6}[precision]
    assert document.size_bytes < share * document.size_bytes_before
    assert (document.quantized_share is not None) == (precision == "int8")
    assert bool(document.decisions) == (precision == "int8")
    valid(document, "quantize")


def test_data_that_scores_wholly_leaves_int8_out_with_the_true_reason(
    tmp_path, digits, digits_onnx
):
    """It said that int8 needs `--data`, and that none was given; it was."""
    folder = tmp_path / "scoring"
    shutil.copytree(digits, folder)
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace(",calib", ",eval"))
    asked = {"data": folder, "targets": ["onnxruntime:cpu"]}
    plan = api.deploy("edgekit:digits", tmp_path / "b", dry_run=True, **asked)
    (note,) = [note for note in plan.notes if "int8" in note]
    assert "role=eval" in note
    assert "--calibration" in note
    with pytest.raises(BadInput, match=r"role=eval.*--calibration"):
        api.deploy("edgekit:digits", tmp_path / "b", dry_run=True, **asked, precision=["int8"])
    with pytest.raises(BadInput, match=r"role=eval.*--calibration"):
        api.quantize(str(digits_onnx), tmp_path / "q.onnx", data=folder)
    table.write_text(table.read_text().replace(",eval", ",calib"))
    with pytest.raises(BadInput, match="role=calib"):
        api.evaluate(str(digits_onnx), data=folder, target="onnxruntime:cpu")


def test_quantizing_what_is_quantized_is_refused(tmp_path, digits, digits_onnx):
    output = tmp_path / "small.onnx"
    api.quantize(str(digits_onnx), output, precision="fp16")
    with pytest.raises(BadInput, match="holds fp16 already"):
        api.quantize(str(output), tmp_path / "again.onnx", data=digits)


def test_engines_are_cached_by_content(digits_onnx, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    first = api.compile(str(digits_onnx), target="openvino:cpu")
    copy = tmp_path / "renamed.onnx"
    copy.write_bytes(digits_onnx.read_bytes())
    second = api.compile(str(copy), target="ov")
    other = api.compile(str(digits_onnx), target="openvino:cpu", threads=1)
    assert (first.cached, second.cached, other.cached) == (False, True, False)
    assert first.engines == second.engines
    assert other.engines != first.engines
    valid(first, "compile")


def test_a_damaged_engine_in_the_cache_is_made_again(digits_onnx, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    first = api.compile(str(digits_onnx), target="onnxruntime:cpu")
    for engine in (tmp_path / "cache").rglob("engine.onnx"):
        engine.write_bytes(b"junk")
    again = api.compile(str(digits_onnx), target="onnxruntime:cpu")
    assert not again.cached
    assert again.engines == first.engines


def test_bench_measures_targets_in_turns_and_keeps_raw_samples(digits_onnx, tmp_path):
    document = api.bench(
        str(digits_onnx),
        targets=["onnxruntime:cpu", "openvino:cpu", "null:cpu"],
        time=0.5,
        output=tmp_path / "result",
    )
    assert [entry.target for entry in document.entries] == [
        "onnxruntime:cpu",
        "openvino:cpu",
        "null:cpu",
    ]
    for entry in document.entries:
        assert entry.boundary == "latency.host"
        assert entry.p50_low_ms <= entry.p50_ms <= entry.p50_high_ms
        assert entry.first_ms > 0
        assert entry.load_ms > 0
        assert entry.rss_peak_bytes > entry.rss_base_bytes > 0
        assert entry.stopped_by in ("time", "interval")
        with np.load(entry.samples) as file:
            assert len(file["samples_ns"]) == entry.n
    fastest = min(document.entries, key=lambda entry: entry.p50_ms)
    assert fastest.target == "null:cpu"
    assert json.loads((tmp_path / "result" / "bench.json").read_text())["schema"] == (
        "edgekit.bench/1"
    )
    valid(document, "bench")


def test_bench_takes_a_larger_batch(digits_onnx):
    document = api.bench(str(digits_onnx), targets=["null:cpu"], batch=4, time=0.2)
    assert document.entries[0].n > 0
    with pytest.raises(BadInput, match="takes 1 to"):
        api.bench(str(digits_onnx), targets=["null:cpu"], batch=10**6, time=0.2)


def test_doctor_answers_from_metadata(monkeypatch):
    def opened(*_, **__):
        raise AssertionError("an engine was opened")

    monkeypatch.setattr("edgekit.jobs.process.child.Child.__init__", opened)
    document = api.doctor()
    found = {one.target: one for one in document.targets}
    assert found["onnxruntime:cpu"].usable
    assert found["openvino:cpu"].usable
    assert not found["onnxruntime:cuda"].usable
    assert found["onnxruntime:cuda"].reason
    assert found["onnxruntime:cuda"].fix
    valid(document, "doctor")


def test_doctor_deep_opens_every_engine():
    document = api.doctor(deep=True)
    usable = {one.target for one in document.targets if one.usable}
    assert {"onnxruntime:cpu", "openvino:cpu"} <= usable


def test_data_is_written_whole_or_refused(tmp_path):
    document = api.data("digits", tmp_path / "d")
    assert document.roles == {"calib": 100, "eval": 500}
    with pytest.raises(BadInput, match="not empty"):
        api.data("digits", tmp_path / "d")
    with pytest.raises(BadInput, match="'digits'"):
        api.data("digit", tmp_path / "e")
