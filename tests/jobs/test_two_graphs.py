"""A model of two graphs, one with state, goes the whole road."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekit import api
from edgekit.jobs.process.golden import read_golden
from edgekit.jobs.process.sequences import STEPS

ARCH = f"{Path(__file__).parent.parent / 'models' / 'toy_seq.py'}:toy_seq"


@pytest.fixture(scope="module")
def bundle(toy, tmp_path_factory):
    output = tmp_path_factory.mktemp("bundle") / "toy"
    document = api.deploy(
        str(toy / "toy.pth"),
        output,
        targets=("onnxruntime:cpu", "openvino:cpu"),
        arch=ARCH,
        trust_code=True,
        data=toy / "data",
        compute=("fp32",),
        time=0.3,
    )
    return document, output


def test_every_role_travels_in_variants_engines_and_golden_files(bundle):
    _, folder = bundle
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["golden"]) == {"encoder", "step"}
    assert {engine["role"] for engine in manifest["engines"]} == {"encoder", "step"}
    for variant in manifest["variants"]:
        assert set(variant["graphs"]) == {"encoder", "step"}


def test_both_graphs_are_certified_and_timed_as_one_inference(bundle):
    document, _ = bundle
    fp32 = [entry for entry in document.entries if entry.variant == "fp32"]
    assert len(fp32) == 2
    for entry in fp32:
        outputs = entry.checks["parity"].details["outputs"]
        assert set(outputs) == {"encoder/h_out", "step/scores", "step/h_out"}
        assert entry.checks["parity"].verdict == "PASS"
        assert entry.latency.p50_ms > 0
        # Arrays have no labels: in words, and never green.
        assert entry.verdict == "UNVERIFIED"


def test_state_is_looped_in_the_golden_outputs(bundle):
    _, folder = bundle
    feeds, outputs = read_golden(folder / "golden" / "step.npz")
    assert len(outputs[0]) == STEPS
    assert not np.array_equal(outputs[0][0]["h_out"], outputs[0][1]["h_out"])
    assert set(feeds[0]) == {"x", "h_in"}


def test_the_bundle_verifies(bundle):
    _, folder = bundle
    document = api.verify(folder)
    assert document.verdict == "PASS"
    assert len(document.entries) >= 2
