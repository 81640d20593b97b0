"""Baked models through the commands: as good as the plain ones, with no special case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit import api
from edgekit.core.errors import BadInput
from edgekit.core.runtime import CompileOptions
from edgekit.export.bake import bake_graph
from edgekit.export.metadata import read_card
from edgekit.jobs.process.aligned import aligned_runs
from edgekit.runtimes.catalogue import load_runtime, parse_target

TARGETS = ("onnxruntime:cpu", "openvino:cpu")
SQUEEZENET = f"{Path(__file__).parent.parent / 'models' / 'squeezenet.py'}:squeezenet1_1"


@pytest.fixture(scope="module")
def baked_digits(tmp_path_factory, digits):
    """(document, path) of the built-in model with its preprocessing inside."""
    path = tmp_path_factory.mktemp("baked") / "digits.onnx"
    return api.export("edgekit:digits", path, bake=["preprocess"], data=digits), path


def test_export_checks_the_baked_graph_too(baked_digits):
    document, path = baked_digits
    assert (document.verdict, document.bake) == ("PASS", ("preprocess",))
    assert [one.output for one in document.parity] == ["logits", "logits"]
    assert min(one.sqnr_db for one in document.parity) > 100
    (pixels,) = read_card(path).inputs.values()
    assert (pixels.dtype, pixels.layout, pixels.shape[1:]) == ("uint8", "NHWC", (32, 32, 1))


@pytest.mark.parametrize("target", TARGETS)
def test_accuracy_is_the_same_to_the_last_image(baked_digits, digits_onnx, digits, target):
    plain = api.evaluate(str(digits_onnx), data=digits, target=target)
    baked = api.evaluate(str(baked_digits[1]), data=digits, target=target)
    assert baked.metric.value == plain.metric.value
    assert baked.n == plain.n


@pytest.mark.parametrize("target", TARGETS)
def test_a_baked_model_is_measured_like_any_other(baked_digits, target):
    document = api.bench(str(baked_digits[1]), targets=(target,), time=0.2)
    assert document.entries[0].p50_ms > 0


@pytest.fixture(scope="module")
def int8_digits(tmp_path_factory, digits_onnx, digits):
    """The int8 graph of the built-in model, and the same with its preprocessing inside."""
    folder = tmp_path_factory.mktemp("int8")
    api.quantize(str(digits_onnx), folder / "plain.onnx", data=digits)
    card = read_card(folder / "plain.onnx")
    bake_graph(folder / "plain.onnx", folder / "baked.onnx", card, ["preprocess"])
    return folder


@pytest.mark.parametrize("text", TARGETS)
def test_int8_is_fused_as_before(int8_digits, tmp_path, text):
    target = parse_target(text)
    runtime = load_runtime(target.runtime)
    shares = []
    for name in ("plain", "baked"):
        folder = tmp_path / name
        folder.mkdir()
        options = CompileOptions(threads=1)
        compiled = runtime.compile(int8_digits / f"{name}.onnx", target, options, folder)
        with runtime.open(compiled, folder) as session:
            shares.append(session.placement().share_by_precision())
    assert shares[0]["int8"] > 0
    assert shares[1]["int8"] == pytest.approx(shares[0]["int8"])


def test_the_plain_card_beside_the_output_is_refused(tmp_path):
    (tmp_path / "m.card.yaml").write_text("schema: edgekit.card/1\n")
    with pytest.raises(BadInput, match=r"m\.card\.yaml describes the plain model"):
        api.export("edgekit:digits", tmp_path / "m.onnx", bake=["preprocess"])


def test_nms_in_a_classifier_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(BadInput, match="'classification'"):
        api.export("edgekit:digits", tmp_path / "m.onnx", bake=["preprocess,nms"])


def test_a_model_of_several_graphs_is_refused(toy, tmp_path):
    with pytest.raises(BadInput):
        api.export(
            str(toy / "toy.pth"),
            tmp_path / "m",
            arch=f"{Path(__file__).parent.parent / 'models' / 'toy_seq.py'}:build",
            bake=["preprocess"],
            trust_code=True,
        )


def test_runs_of_other_models_are_not_aligned(baked_digits):
    runs = {"main": [[{"logits": np.zeros((1, 5, 6))}]]}
    assert aligned_runs(runs, runs, read_card(baked_digits[1])) == (runs, runs, {})


@pytest.fixture(scope="module")
def yolox(tmp_path_factory, realdata):
    """A real detector, plain and with both inside."""
    folder = tmp_path_factory.mktemp("yolox")
    source = str(realdata / "models" / "yolox_nano_original.onnx")
    api.export(source, folder / "plain.onnx")
    document = api.export(source, folder / "baked.onnx", bake=["preprocess,nms"])
    assert document.verdict == "PASS"
    assert {one.output for one in document.parity} == {"output", "detections"}
    return folder


@pytest.mark.realdata
@pytest.mark.parametrize("target", TARGETS)
def test_a_real_detector_scores_as_the_plain_one(yolox, realdata, target):
    data = realdata / "coco" / "val"
    scores = [
        api.evaluate(str(yolox / name), data=data, target=target).metric.value
        for name in ("plain.onnx", "baked.onnx")
    ]
    assert scores[0] == pytest.approx(0.3415, abs=1e-3)
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)


@pytest.mark.realdata
def test_in_bf16_nms_stays_in_fp32(yolox, tmp_path):
    target = parse_target("openvino:cpu")
    runtime = load_runtime(target.runtime)
    if "bf16" not in runtime.probe(target).computes:
        pytest.skip("this CPU has no bf16")
    options = CompileOptions(compute="bf16", threads=1)
    compiled = runtime.compile(yolox / "baked.onnx", target, options, tmp_path)
    with runtime.open(compiled, tmp_path) as session:
        nodes = session.placement().nodes
    assert {node.precision for node in nodes if node.op in ("NonMaxSuppression", "TopK")} == {
        "fp32"
    }
    assert {node.precision for node in nodes if node.flops} == {"bf16"}


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_real_classifier_answers_as_the_plain_one(realdata, tmp_path, target):
    arguments = {"arch": SQUEEZENET, "trust_code": True}
    source = str(realdata / "models" / "squeezenet1_1.pth")
    api.export(source, tmp_path / "plain.onnx", **arguments)
    api.export(source, tmp_path / "baked.onnx", bake=["preprocess"], **arguments)
    scores = [
        api.evaluate(str(tmp_path / name), data=realdata / "imagenet", target=target).metric.value
        for name in ("plain.onnx", "baked.onnx")
    ]
    assert scores[0] == pytest.approx(0.655, abs=1e-3)
    assert scores[1] == scores[0]
