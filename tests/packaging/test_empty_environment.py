"""The base install, in an environment of its own: everything imports, every help prints.

Without torch and without any engine, as on a device that only verifies a bundle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from edgekit.cli.catalogue import COMMANDS

ABSENT = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "onnxscript", "onnxslim",
          "safetensors", "pycocotools", "sklearn", "cryptography", "jinja2",
          "matplotlib", "aiohttp", "av", "prometheus_client")  # fmt: skip

IMPORT_ALL = """
import importlib, pkgutil, edgekit
names = [m.name for m in pkgutil.walk_packages(edgekit.__path__, prefix="edgekit.")]
for name in names:
    importlib.import_module(name)
print(len(names), edgekit.__file__)
"""


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A function that runs a program of a fresh virtual environment with the base install."""
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    programs = folder / "venv" / "bin"
    # Nothing of this environment may leak into that one.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    clean["EDGEKIT_CACHE"] = str(folder / "cache")

    def run(program, *arguments):
        return subprocess.run(
            [programs / program, *arguments],
            cwd=folder,
            env=clean,
            capture_output=True,
            text=True,
        )

    installed = run("python", "-m", "pip", "install", "--quiet", str(wheel))
    assert installed.returncode == 0, installed.stderr
    return run


def test_neither_torch_nor_an_engine_is_there(environment):
    program = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    assert environment("python", "-c", program).stdout == "[]\n"


def test_every_module_imports(environment, root):
    ended = environment("python", "-c", IMPORT_ALL)
    assert ended.returncode == 0, ended.stderr
    count, _, where = ended.stdout.partition(" ")
    assert int(count) > 80
    assert str(root) not in where


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_command_prints_its_help(environment, name):
    ended = environment("edgekit", *([name] if name else []), "--help")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Usage: edgekit")


def test_the_doctor_says_what_is_missing_and_how_to_get_it(environment):
    ended = environment("edgekit", "doctor", "--json")
    assert ended.returncode == 0, ended.stderr
    targets = {target["target"]: target for target in json.loads(ended.stdout)["targets"]}
    for name in ("onnxruntime:cpu", "openvino:cpu"):
        assert targets[name]["usable"] is False
        assert "pip install 'edgekit[cpu]'" in targets[name]["fix"]


def test_an_engine_that_is_not_installed_is_a_3_with_the_pip_command(environment):
    ended = environment(
        *("edgekit", "deploy", "edgekit:digits", "--target", "openvino:cpu", "-o", "bundle")
    )
    assert ended.returncode == 3
    assert "pip install 'edgekit[cpu]'" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_built_in_data_needs_no_extra(environment):
    assert environment("edgekit", "data", "digits", "-o", "digits").returncode == 0
