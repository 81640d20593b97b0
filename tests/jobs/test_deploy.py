"""The road on the built-in model: what a bundle holds, and what each verb says of it."""

from __future__ import annotations

import json
import shlex

import msgspec
import numpy as np
import pytest
from jsonschema import validate

from edgekit import api
from edgekit.benchmarks.schemas import load_schema
from edgekit.cli.main import run as command
from edgekit.core.certificate import CHECKS, Limits
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.jobs.deploy import settling_command
from edgekit.jobs.steps.request import DeployRequest


def test_every_target_has_a_recommended_entry_that_passes(deployed):
    document, _ = deployed
    verdicts = {(e.target, e.variant, e.compute): e.verdict for e in document.entries}
    assert {one.target for one in document.recommended} == {"onnxruntime:cpu", "openvino:cpu"}
    for one in document.recommended:
        assert verdicts[one.target, one.variant, one.compute] == "PASS"
    keys = [(one.target, one.variant, one.compute) for one in document.recommended]
    assert (document.best.target, document.best.variant, document.best.compute) in keys
    assert document.verdict == "PASS"


def test_what_is_not_settled_names_the_command_that_settles_it(deployed, capsys):
    """Whether anything is open depends on the machine; that the command works does not."""
    document, bundle = deployed
    for one in (document.best, *document.recommended):
        assert one.settled == (not one.settle)
        assert one.settled or one.settle[0] in one.reason
    request = DeployRequest(source="edgekit:digits", output=bundle, threads=1)
    new = next(one for one in document.entries if one.variant == "int8-u8s8")
    base = next(one for one in document.entries if one.target != new.target)
    typed = shlex.split(settling_command(request, new, base))
    assert typed[0] == "edgekit"
    assert command([*typed[1:], "--time", "0.3", "--fail-on", "slower", "--json", "--quiet"]) in (
        0,
        1,
    )
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["new"].startswith(f"{new.variant} on {new.target} in {new.compute}")
    assert entry["base"].startswith(f"{base.variant} on {base.target} in {base.compute}")


def test_all_eight_checks_are_judged_with_figure_and_limit(deployed):
    document, _ = deployed
    for entry in document.entries:
        assert tuple(entry.checks) == CHECKS
        for name, check in entry.checks.items():
            assert check.limit is not None, name
            assert check.value is not None, name


def test_the_built_in_model_reads_unseen_digits(deployed):
    document, _ = deployed
    assert document.reference.startswith("torch")
    assert document.reference_metric.name == "top1"
    assert document.reference_metric.value >= 0.97
    assert document.reference_metric.n == 500


def test_fp32_runs_in_fp32_and_loses_nothing(deployed):
    document, _ = deployed
    for entry in document.entries:
        if entry.variant == "fp32":
            assert entry.executed_precision == "fp32"
            assert entry.metric.drop == 0
            assert entry.checks["parity"].value >= 80


def test_int8_takes_about_a_quarter_of_the_space(deployed):
    document, _ = deployed
    sizes = {entry.variant: entry.size_bytes for entry in document.entries}
    assert sizes["int8-u8s8"] < 0.35 * sizes["fp32"]


def test_the_document_keeps_to_its_schema(deployed):
    document, bundle = deployed
    validate(json.loads(msgspec.json.encode(document)), load_schema("deploy"))
    assert json.loads((bundle / "deploy.json").read_text())["schema"] == "edgekit.deploy/1"


def test_the_manifest_holds_the_sha256_of_every_file(deployed):
    _, bundle = deployed
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    on_disk = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert set(files) == on_disk - {"manifest.json"}
    for name, file in files.items():
        assert sha256_file(bundle / name) == file["sha256"]


def test_raw_samples_are_kept(deployed):
    document, bundle = deployed
    for entry in document.entries:
        name = f"{entry.target.replace(':', '-')}_{entry.variant}_{entry.compute}.npz"
        with np.load(bundle / "measurements" / name) as file:
            samples = file["samples_ns"]
        assert len(samples) == entry.latency.n
        assert np.median(samples) / 1e6 == pytest.approx(entry.latency.p50_ms, rel=0.05)


def test_the_recipe_repeats_the_deploy(deployed, tmp_path, capsys):
    first, bundle = deployed
    recipe = bundle / "recipe.yaml"
    output = tmp_path / "again"
    arguments = ["deploy", "--config", recipe, "-o", output, "--time", "0.2", "--json", "--quiet"]
    assert command([str(argument) for argument in arguments]) == 0
    again = json.loads(capsys.readouterr().out)
    assert len(again["entries"]) == len(first.entries)
    assert again["reference_metric"]["value"] == first.reference_metric.value
    for name in ("variants/fp32/main.onnx", "variants/int8-u8s8/main.onnx", "golden/main.npz"):
        assert sha256_file(output / name) == sha256_file(bundle / name), name


def test_an_existing_bundle_is_refused_before_any_work(deployed):
    _, bundle = deployed
    with pytest.raises(BadInput, match="not empty"):
        api.deploy("edgekit:digits", bundle, targets=["onnxruntime:cpu"])


def test_without_data_the_verdict_is_unverified_and_int8_is_left_out(tmp_path):
    document = api.deploy(
        "edgekit:digits", tmp_path / "bundle", targets=["onnxruntime:cpu"], time=0.2
    )
    assert document.verdict == "UNVERIFIED"
    assert [entry.variant for entry in document.entries] == ["fp32"]
    assert any("int8 was left out" in note for note in document.notes)
    assert document.recommended[0].variant == "fp32"


def test_a_budget_that_nothing_meets_recommends_nothing(tmp_path, digits):
    document = api.deploy(
        "edgekit:digits",
        tmp_path / "bundle",
        targets=["onnxruntime:cpu"],
        data=digits,
        precision=["fp32"],
        limits=Limits(min_agreement=1.5),
        time=0.2,
    )
    assert document.verdict == "FAIL"
    assert document.recommended[0].variant is None
    # What failed stays in the bundle, marked.
    assert (tmp_path / "bundle" / "variants" / "fp32" / "main.onnx").exists()


def test_a_variant_of_a_bundle_can_be_used_by_every_verb(deployed, digits):
    _, bundle = deployed
    document = api.evaluate(f"{bundle}@int8", data=digits, target="openvino:cpu")
    assert document.variant == "int8-u8s8"
    assert document.metric.value >= 0.97
    compiled = api.compile(f"{bundle}@fp32", target="onnxruntime:cpu")
    assert compiled.executed_precision == "fp32"


def test_inspect_lists_every_graph_of_a_bundle(deployed):
    _, bundle = deployed
    document = api.inspect(str(bundle))
    assert {fact.file: fact.precision for fact in document.graphs} == {
        "variants/fp32/main.onnx": "fp32",
        "variants/int8-u8s8/main.onnx": "int8",
    }
    fp32 = document.graphs[0]
    # LeNet-5 as LeCun et al. (1998) count it: 61,706 parameters with full connections in C3.
    assert fp32.parameters == 61_706
    assert document.card["task"] == "classification"
