"""The program of docs/use.md, run as it is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_program_of_the_page_runs_as_printed(root, tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    work = tmp_path / "work"
    work.mkdir()
    printed = []
    for kind, text in BLOCK.findall((root / "docs" / "use.md").read_text()):
        if kind == "python":
            (work / text.splitlines()[0].removeprefix("# ")).write_text(text)
        elif kind == "bash":
            for command in text.splitlines():
                quick = " --time 0.2 --compute fp32" if command.startswith("edgekit deploy") else ""
                ended = subprocess.run(
                    ["bash", "-c", command + quick],
                    cwd=work,
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
                printed.append(ended.stdout)
    answers = next(text for text in printed if text.startswith("classification"))
    assert "PASS" in answers
    assert len(answers.splitlines()[-1].split()) == 16
    assert cv2.imread(str(work / "answer.png")) is not None
    document = json.loads((work / "answers" / "predictions.json").read_text())
    assert document["n"] == 600
