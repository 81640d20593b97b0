"""The README's walk, from nothing to a certified bundle, run as it is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(root):
    return BLOCK.findall((root / "README.md").read_text())


def quicker(command):
    """The same command with a short measurement."""
    measures = command.startswith(("edgekit deploy", "edgekit bench"))
    return f"{command} --time 0.5" if measures else command


def test_the_readme_prints_commands_to_run(root):
    commands = [line for kind, text in blocks(root) if kind == "bash" for line in text.splitlines()]
    assert len(commands) >= 8
    assert all(command.startswith(("edgekit ", "python ")) for command in commands)


@pytest.mark.timeout(900)
def test_the_commands_of_the_readme_work(root, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    work = tmp_path / "work"
    work.mkdir()
    for kind, text in blocks(root):
        if kind in ("python", "yaml"):
            name = text.splitlines()[0].removeprefix("# ")
            (work / name).write_text(text)
        elif kind == "bash":
            for command in text.splitlines():
                ended = subprocess.run(
                    ["bash", "-c", quicker(command)],
                    cwd=work,
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
                assert "Traceback" not in ended.stderr
    manifest = json.loads((work / "mine.bundle" / "manifest.json").read_text())
    assert manifest["schema"] == "edgekit.bundle/1"
    deployed = json.loads((work / "mine.bundle" / "deploy.json").read_text())
    assert {one["target"] for one in deployed["recommended"]} == {"onnxruntime:cpu", "openvino:cpu"}
    assert all(one["variant"] for one in deployed["recommended"])
    assert deployed["reference_metric"]["value"] > 0.8
