"""What is kept is kept until something changes that made it, and every verb finds it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit
from edgekit import api
from edgekit.jobs.steps.sources import led_to, sources

ROOT = Path(edgekit.__file__).parents[1]
STEPS = ["export", "cast", "quantize", "bake", "reshape", "engine", "reference", "examine"]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_depends_on_what_stands_below_it(step):
    found = led_to(f"edgekit.jobs.steps.{step}")
    above = ("edgekit.cli", "edgekit.api", "edgekit.demo", "edgekit.jobs.opening")
    assert not [name for name in found if name.startswith(above)]
    assert ("edgekit.export.qdq" in found) == (step == "quantize")


def test_an_engine_depends_on_what_is_imported_by_name():
    assert "edgekit.runtimes.ort" in led_to("edgekit.jobs.steps.engine")


def test_a_release_alone_changes_no_key():
    assert "edgekit.core.version" not in led_to("edgekit.jobs.steps.export")
    assert sources("edgekit.export.worker") != sources("edgekit.export.quantize")


def test_a_deployment_after_an_export_exports_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    api.export("edgekit:digits", tmp_path / "m.onnx")
    plan = api.deploy("edgekit:digits", tmp_path / "b", targets="onnxruntime:cpu", dry_run=True)
    cached = {stage.stage: stage.cached for stage in plan.stages}
    assert cached.pop("export")
    assert not any(cached.values())


@pytest.mark.skipif(os.name == "nt", reason="a checkout of links")
def test_a_changed_line_makes_again_what_it_made(tmp_path):
    """A comment in the command line makes nothing again, one in the int8 writer its steps alone."""
    tree = tmp_path / "tree"
    for name in ("edgekit", "export", "runtimes", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    data = tmp_path / "digits"
    api.data("digits", data, count=60)

    def made() -> list[str]:
        call = [sys.executable, "-m", "edgekit", "deploy", "edgekit:digits", "--data", data]
        more = ["--target", "onnxruntime:cpu", "--time", "0.1", "--json", "--force"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(tree),
            "EDGEKIT_CACHE": str(tmp_path / "cache"),
        }
        said = subprocess.run(
            [*call, *more, "-o", tmp_path / "b"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        stages = json.loads(said.stdout)["stages"]
        return [f"{one['stage']} {one['subject']}" for one in stages if not one["hit"]]

    assert "export digits" in made()
    for file in ("edgekit/cli/main.py", "edgekit/api.py", "edgekit/jobs/deploy.py"):
        with open(tree / file, "a") as source:
            source.write("# A comment.\n")
    assert made() == []
    with open(tree / "export" / "qdq.py", "a") as source:
        source.write("# A comment.\n")
    assert made() == ["calibration digits", "variant digits, int8-u8s8"]
