"""The guards bite: a wrong import is found by the linter that is meant to find it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(sys.executable).parent


def lint_imports(tree):
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(
        [TOOLS / "lint-imports", "--no-cache"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_a_test_that_starts_a_program_by_its_bare_name_fails_everywhere():
    # It would pass where the program is, and fail on a stranger's machine.
    with pytest.raises(AssertionError, match="starts 'true' without asking `tool`"):
        subprocess.run(["true"], check=True)


def test_a_program_that_is_not_here_skips_its_test_and_is_named(tool):
    with pytest.raises(pytest.skip.Exception, match="no an-unheard-of-program on this machine"):
        tool("an-unheard-of-program")
    assert tool("an-unheard-of-program-too", sys.executable) == sys.executable


def test_the_layers_hold(tree):
    ended = lint_imports(tree)
    assert ended.returncode == 0, ended.stdout
    assert "0 broken" in ended.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("edgekit/core/names.py", "edgekit.jobs.data", "Imports point one way"),
        ("runtimes/null.py", "edgekit.export.facts", "Imports point one way"),
        ("export/facts.py", "edgekit.benchmarks.clock", "Imports point one way"),
        ("runtimes/ov.py", "edgekit.runtimes.ort", "Runtimes do not know each other"),
        ("benchmarks/clock.py", "torch", "Only export imports torch"),
        ("edgekit/jobs/data.py", "rich", "Only the command line draws on the terminal"),
    ],
)
def test_an_import_against_the_layers_breaks_its_contract(tree, module, imported, contract):
    path = tree / module
    path.write_text(f"{path.read_text()}\nimport {imported}\n")
    ended = lint_imports(tree)
    assert ended.returncode == 1
    assert f"{contract} BROKEN" in ended.stdout


def test_a_part_without_a_layer_is_found(tree):
    (tree / "edgekit" / "misc").mkdir()
    (tree / "edgekit" / "misc" / "__init__.py").write_text("")
    ended = lint_imports(tree)
    assert ended.returncode == 1
    assert "edgekit.misc" in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("import torch", "TID253"),
        ("import onnxruntime", "TID253"),
        ("from openvino import Core", "TID253"),
        ("import export", "TID251"),
        ("from runtimes import ort", "TID251"),
        ("import benchmarks.clock", "TID251"),
        ("from .ort import Session", "TID252"),
    ],
)
def test_ruff_finds_an_import_that_is_banned(root, line, rule):
    ended = subprocess.run(
        [TOOLS / "ruff", "check", "--stdin-filename", "runtimes/new.py", "--output-format=concise"],
        cwd=root,
        input=f"{line}\n",
        capture_output=True,
        text=True,
    )
    assert f" {rule} " in ended.stdout
