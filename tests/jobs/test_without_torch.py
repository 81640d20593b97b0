"""A device has neither torch nor the quantizer: what runs there never imports them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ABSENT = ("torch", "nncf", "onnxscript", "onnxslim", "safetensors", "sklearn", "pycocotools")


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """A function that runs edgekit where the libraries of the desk cannot be imported."""
    folder = tmp_path_factory.mktemp("device")
    for name in ABSENT:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ModuleNotFoundError('{name} is absent')")
    root = Path(__file__).resolve().parents[2]
    search = os.pathsep.join([str(folder), str(root)])

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "edgekit", *map(str, arguments), "--json", "--quiet"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": search, "EDGEKIT_CACHE": str(folder / "cache")},
        )

    return run


def test_a_bundle_is_verified(device, deployed):
    _, bundle = deployed
    result = device("verify", bundle)
    assert result.returncode == 0, result.stdout + result.stderr
    document = json.loads(result.stdout)
    assert document["verdict"] == "PASS"
    assert {entry["target"] for entry in document["entries"]} == {
        "onnxruntime:cpu",
        "openvino:cpu",
    }


def test_a_variant_is_measured_and_scored(device, deployed, digits):
    _, bundle = deployed
    bench = device("bench", f"{bundle}@int8", "--target", "openvino:cpu", "--time", "0.2")
    assert bench.returncode == 0, bench.stdout + bench.stderr
    scored = device("eval", f"{bundle}@fp32", "--target", "ort", "--data", digits)
    assert scored.returncode == 0, scored.stdout + scored.stderr
    assert json.loads(scored.stdout)["metric"]["value"] > 0.97


def test_exporting_says_what_to_install(device, tmp_path):
    result = device("export", "edgekit:digits", "-o", tmp_path / "m.onnx")
    assert result.returncode == 3
    error = json.loads(result.stdout)
    assert "edgekit[export]" in error["hint"]
    assert not (tmp_path / "m.onnx").exists()
