"""inspect and its diff on graphs, variants and bundles."""

from __future__ import annotations

import json
import shutil

import msgspec
import pytest
from jsonschema import validate

from edgekit import api
from edgekit.benchmarks.schemas import load_schema
from edgekit.core.errors import BadInput


def valid(document, kind):
    validate(json.loads(msgspec.json.encode(document)), load_schema(kind))


def test_a_graph_is_explained(digits_onnx):
    document = api.inspect(str(digits_onnx), top=3)
    (graph,) = document.graphs
    assert document.card["task"] == "classification"
    assert document.top == 3
    # LeNet: 2 (6·28²·25 + 16·10²·150 + 120·400 + 120·84 + 84·10) operations.
    assert graph.flops == 2 * (6 * 784 * 25 + 16 * 100 * 150 + 48_000 + 10_080 + 840)
    assert graph.unknown_nodes == ()
    assert graph.parameters_by_dtype == {"float32": graph.parameters}
    assert graph.axes["batch"].max == 64
    assert graph.intensity == pytest.approx(graph.flops / graph.bytes)
    assert {limit.runtime for limit in graph.limits} >= {"onnxruntime", "openvino", "tensorrt"}
    assert {limit.verdict for limit in graph.limits if limit.installed} == {"ok"}
    # The exporter's notes lead back to the PyTorch modules.
    assert any(work.module for work in graph.by_node)
    valid(document, "inspect")


def test_a_bundle_is_explained_variant_by_variant(deployed):
    deploy, bundle = deployed
    document = api.inspect(str(bundle))
    facts = {graph.variant: graph for graph in document.graphs}
    assert set(facts) == {"fp32", "int8-u8s8"}
    assert facts["fp32"].flops == facts["int8-u8s8"].flops
    assert facts["fp32"].precision_shares == {"fp32": 1.0}
    assert facts["int8-u8s8"].precision_shares == {"int8": 1.0}
    # The digits have Tanh, which stays in float between int8 on both sides.
    assert facts["int8-u8s8"].round_trips
    placed = next(
        entry.checks["placement"].details["precisions"].get("int8", 0)
        for entry in deploy.entries
        if (entry.target, entry.variant) == ("onnxruntime:cpu", "int8-u8s8")
    )
    assert facts["int8-u8s8"].int8_on_onnxruntime == pytest.approx(placed, abs=0.01)
    valid(document, "inspect")


def test_a_variant_of_a_bundle_is_explained_alone(deployed):
    document = api.inspect(f"{deployed[1]}@int8-u8s8")
    (graph,) = document.graphs
    assert graph.precision == "int8"
    assert document.bundle is None


def test_what_is_not_there_is_said(tmp_path, deployed):
    with pytest.raises(BadInput, match="does not exist"):
        api.inspect(str(tmp_path / "none.onnx"))
    with pytest.raises(BadInput, match="neither a bundle nor a folder"):
        api.inspect(str(tmp_path))
    with pytest.raises(BadInput, match="holds no variant"):
        api.inspect_diff(f"{deployed[1]}@fp32", f"{deployed[1]}@fp64")


def test_a_model_does_not_differ_from_itself(digits_onnx, deployed):
    for model in (str(digits_onnx), str(deployed[1]), f"{deployed[1]}@int8-u8s8"):
        document = api.inspect_diff(model, model)
        assert document.equal
        assert all(graph.equal for graph in document.graphs)
        valid(document, "diff")


def test_two_variants_differ_by_their_pairs_and_weights(deployed):
    document = api.inspect_diff(f"{deployed[1]}@fp32", f"{deployed[1]}@int8-u8s8")
    (graph,) = document.graphs
    added = graph.operators["QuantizeLinear"].after + graph.operators["DequantizeLinear"].after
    assert len(graph.nodes_added) == added
    assert graph.nodes_removed == ()
    assert graph.facts["precision"].after == "int8"
    assert (document.card, document.bundle, document.entries) == ({}, {}, ())


def test_two_bundles_stand_side_by_side(tmp_path, deployed):
    other = tmp_path / "other"
    shutil.copytree(deployed[1], other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["edgekit"] = "99.0"
    manifest["card"]["postprocess"]["confidence"] = 0.5
    (gone,) = [entry for entry in manifest["variants"] if entry["id"] == "int8-u8s8"]
    manifest["variants"].remove(gone)
    manifest["engines"] = [
        engine for engine in manifest["engines"] if engine["variant"] != "int8-u8s8"
    ]
    manifest["engines"][0]["compiled"]["runtime_version"] = "99.1"
    (other / "manifest.json").write_text(json.dumps(manifest))
    results = json.loads((other / "deploy.json").read_text())
    entry = results["entries"][0]
    entry["verdict"], entry["latency"]["p50_ms"] = "FAIL", 123.0
    (other / "deploy.json").write_text(json.dumps(results))
    recipe = other / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("max-drop: 1.0", "max-drop: 0.25"))

    document = api.inspect_diff(str(deployed[1]), str(other))
    assert document.bundle["edgekit"].after == "99.0"
    assert list(document.card) == ["postprocess.confidence"]
    assert document.recipe["max-drop"].after == 0.25
    assert list(document.variants) == ["int8-u8s8/main"]
    assert document.variants["int8-u8s8/main"].after is None
    changed_engine, *lost = sorted(document.engines.values(), key=lambda engine: not engine.after)
    assert changed_engine.after.startswith("99.1")
    assert [engine.after for engine in lost] == [None] * 2
    (changed,) = document.entries
    assert (changed.target, changed.variant) == (entry["target"], entry["variant"])
    assert changed.figures["verdict"].after == "FAIL"
    assert changed.figures["p50_ms"].after == 123.0
    assert [graph.role for graph in document.graphs] == ["main"]
    assert not document.equal
    valid(document, "diff")


def test_a_bundle_against_a_graph_is_refused(deployed, digits_onnx):
    with pytest.raises(BadInput, match="whole bundle") as refused:
        api.inspect_diff(str(deployed[1]), str(digits_onnx))
    assert refused.value.hint == f"Name a variant of it: {deployed[1]}@fp32."


@pytest.mark.parametrize("name", ["deploy.json", "recipe.yaml"])
def test_a_damaged_bundle_is_one_sentence(tmp_path, deployed, name):
    other = tmp_path / "other"
    shutil.copytree(deployed[1], other)
    (other / name).write_bytes(b"{ \xff")
    with pytest.raises(BadInput, match=f"{name} is not UTF-8 text"):
        api.inspect_diff(str(deployed[1]), str(other))


@pytest.mark.realdata
def test_squeezenet_does_the_work_that_is_published(tmp_path, realdata, root):
    pytest.importorskip("torch")
    path = tmp_path / "squeezenet.onnx"
    api.export(
        str(realdata / "models/squeezenet1_1.pth"),
        path,
        arch=f"{root / 'tests/models/squeezenet.py'}:squeezenet1_1",
        trust_code=True,
    )
    (graph,) = api.inspect(str(path)).graphs
    # torchvision's table: 1,235,496 parameters and 0.35 GMACs at 224 x 224, 0.70 GFLOPs here.
    assert graph.parameters == 1_235_496
    assert graph.flops == pytest.approx(0.70e9, rel=0.01)
    assert graph.unknown_nodes == ()
