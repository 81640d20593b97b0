"""Every command refuses what is no model with one sentence, and its command works as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import zipfile

import pytest

from edgekit.cli.main import run
from edgekit.core.errors import BadInput
from edgekit.core.no_model import no_model, refuse_no_model

# Of every command that takes a model, a line with MODEL in it.
LINES = {
    "export": "export MODEL -o out.onnx",
    "quantize": "quantize MODEL --precision fp16",
    "compile": "compile MODEL",
    "eval": "eval MODEL --data images",
    "bench": "bench MODEL --no-store",
    "against": "bench MODEL --against MODEL",
    "deploy": "deploy MODEL -o out.bundle",
    "demo": "demo MODEL --source synthetic --display none --time 1",
    "predict": "predict MODEL image.png",
    "inspect": "inspect MODEL",
    "diff": "inspect --diff MODEL MODEL",
    "parity": "debug parity MODEL",
    "verify": "verify MODEL",
    "pack": "pack MODEL --target openvino:cpu -o out",
}


def model_of(folder, kind):
    """Write a thing that people give for a model."""
    if kind == "checkpoint":
        with zipfile.ZipFile(folder / "best.pt", "w") as archive:
            archive.writestr("best/data.pkl", b"\x80\x02cultralytics.nn.tasks\nModel\n.")
        return "best.pt"
    if kind == "misspelt":
        (folder / "right.bundle").mkdir()
        (folder / "right.bundle" / "manifest.json").write_text("{}")
        return "rihgt.bundle"
    if kind == "keras":
        (folder / "net.h5").write_bytes(b"\x89HDF")
        return "net.h5"
    return {"published": "yolo11n.pt", "name": "resnet18"}[kind]


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize(
    ("kind", "hinted"),
    [
        ("checkpoint", "edgekit export ultralytics:best.pt --trust-pickle -o best.onnx"),
        ("published", "yolo export model=yolo11n.pt"),
        ("name", "edgekit export resnet18.pt2 -o resnet18.onnx"),
        ("misspelt", "'right.bundle'"),
        ("keras", "--keras net.h5"),
    ],
)
def test_every_command_has_the_hint(tmp_path, monkeypatch, capsys, line, kind, hinted):
    # Red where a command has a reader of its own: "not an ONNX file, or it is damaged".
    import cv2
    import numpy as np

    monkeypatch.chdir(tmp_path)
    cv2.imwrite("image.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "images").mkdir()
    model = model_of(tmp_path, kind)
    if kind == "checkpoint" and line.startswith(("verify", "pack")):
        # They take a bundle, which a graph is not.
        hinted = "edgekit deploy ultralytics:best.pt --trust-pickle -o best.bundle"
    before = sorted(tmp_path.iterdir())
    assert run(line.replace("MODEL", model).split()) == 2
    told = capsys.readouterr().err
    assert hinted in told
    assert "target:" not in told
    assert sorted(tmp_path.iterdir()) == before


def hint_of(text, takes):
    """What is told of a text that is no model."""
    try:
        refuse_no_model(text, takes)
    except BadInput as error:
        return error.hint
    return no_model(text, takes).hint


def run_printed(hint, folder, **environment):
    """Run the commands that a hint ends with, as they are printed."""
    command = hint[re.search(r"(python -c|edgekit (export|deploy)) ", hint).start() :]
    script = command.replace("python -c", f"{shlex.quote(sys.executable)} -c").replace(
        "edgekit ", f"{shlex.quote(sys.executable)} -m edgekit "
    )
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_for_a_built_in_model_works_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run_printed(hint_of("edgekit:digits", "graph"), tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "digits.onnx").is_file()
    assert "digits.onnx" in hint_of("edgekit:digits", "graph")


@pytest.mark.slow
def test_the_command_that_makes_a_bundle_of_a_graph_works_as_printed(tmp_path, digits_onnx):
    graph = tmp_path / "my digits.onnx"
    graph.write_bytes(digits_onnx.read_bytes())
    ran = run_printed(hint_of(str(graph), "bundle"), tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "my digits.bundle" / "manifest.json").is_file()


@pytest.mark.slow
def test_the_command_for_a_model_of_torchvision_works_as_printed(tmp_path, monkeypatch):
    # A torchvision with one small network stands in: the real one would download weights.
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "site" / "torchvision" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("from torchvision import models\n")
    (models / "__init__.py").write_text(
        "import torch\n\ndef resnet18(weights=None):\n    assert weights == 'DEFAULT'\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    ran = run_printed(hint_of("resnet18", "graph"), tmp_path, PYTHONPATH=path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "resnet18.onnx").is_file()
