"""What a deployment can do besides: bake, sign, and name the node where parity breaks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit import api
from edgekit.core.errors import BadInput
from edgekit.core.progress import Silent
from edgekit.jobs.deploy import prepare, prove, variants_of
from edgekit.jobs.model.bundle import read_manifest
from edgekit.jobs.steps.examine import Basis, judge_entry
from edgekit.jobs.steps.graphs import exported
from edgekit.jobs.steps.proofs import compiled, examined
from edgekit.jobs.steps.request import DeployRequest
from edgekit.jobs.steps.step import Stages

ORT, OV = "onnxruntime:cpu", "openvino:cpu"


def test_baked_variants_are_certified_like_any_other(baked, deployed):
    document, bundle = baked
    plain, _ = deployed
    checks = {(one.target, one.variant): one.checks for one in plain.entries}
    assert {(one.target, one.variant) for one in document.entries} == set(checks)
    for entry in document.entries:
        before = checks[entry.target, entry.variant]
        assert {name: one.verdict for name, one in entry.checks.items()} == {
            name: one.verdict for name, one in before.items()
        }
    for variant in read_manifest(bundle).variants:
        (picture,) = onnx.load(bundle / variant.graphs["main"]).graph.input
        assert picture.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_a_baked_bundle_verifies_and_answers_as_the_plain_one(baked, deployed, digits):
    import edgekit

    _, bundle = baked
    assert api.verify(bundle).verdict == "PASS"
    pictures = sorted((digits / "images").glob("eval-*.png"))[:20]
    answers = []
    for path in (bundle, deployed[1]):
        with edgekit.load(f"{path}@fp32", target=ORT) as predictor:
            answers.append([one.label for one in predictor.predict(pictures)])
    assert answers[0] == answers[1]


def test_what_cannot_be_baked_is_refused_before_any_work(tmp_path, digits):
    with pytest.raises(BadInput, match="nms"):
        api.deploy("edgekit:digits", tmp_path / "b", targets=(ORT,), data=digits, bake=("nms",))
    with pytest.raises(BadInput, match="cannot be baked") as caught:
        api.deploy("edgekit:digits", tmp_path / "b", targets=(ORT,), bake=("prepocess",))
    assert "preprocess" in caught.value.hint


def test_a_signed_deployment_is_known_by_its_key(tool, tmp_path):
    key = tmp_path / "key"
    openssl = tool("openssl")
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    public = tmp_path / "key.pub"
    subprocess.run([openssl, "pkey", "-in", key, "-pubout", "-out", public], check=True)
    bundle = tmp_path / "bundle"
    api.deploy("edgekit:digits", bundle, targets=(ORT,), precision=("fp32",), time=0.2, sign=key)
    document = api.verify(bundle, require_signature=public)
    assert document.signature.state == "valid"
    assert str(key) not in (bundle / "recipe.yaml").read_text()


def test_a_key_that_cannot_sign_is_refused_before_any_work(tmp_path):
    (tmp_path / "key").write_text("no key")
    with pytest.raises(BadInput, match="private key"):
        api.deploy("edgekit:digits", tmp_path / "b", targets=(ORT,), sign=tmp_path / "key")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("target", [ORT, OV])
def test_where_parity_fails_the_certificate_names_the_node(tmp_path, digits, target):
    request = DeployRequest(
        source="edgekit:digits",
        output=tmp_path / "bundle",
        targets=(target,),
        data=digits,
        precision=("int8",),
        compute=("fp32",),
    )
    stages = Stages(Silent())
    prepared = prepare(request)
    model = exported(stages, request.source_request, prepared.card, prepared.data)
    known = prove(stages, request, prepared, model)
    variants, *_ = variants_of(stages, request, prepared, model)
    (plan,) = prepared.plans
    sound = variants[plan.variant]
    broken = plant(sound.path(), tmp_path / "broken.onnx", "tanh_1/scale")
    variants[plan.variant] = msgspec.structs.replace(sound, graphs={"main": str(broken)})
    basis = Basis(model.card, Path(), known.truths, model.shapes)
    source = request.parsed
    engines = compiled(stages, source, plan, variants[plan.variant], request)
    found = examined(stages, source, plan, variants, engines, basis, known.key)
    parity = judge_entry(plan, found, basis, request.limits).checks["parity"]
    assert parity.verdict == "FAIL"
    assert "tanh_1" in parity.details["broken_node"]
    assert "the first node out of it is" in parity.reason


def plant(source, path, name):
    """Copy a graph with one activation scale thirty times too small: it clips."""
    model = onnx.load(source)
    (scale,) = [one for one in model.graph.initializer if one.name == name]
    array = numpy_helper.to_array(scale) / np.float32(30)
    scale.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))
    onnx.save(model, path)
    return path
