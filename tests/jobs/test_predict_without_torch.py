"""A program on a device: edgekit without torch, and without Pillow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ABSENT = ("torch", "nncf", "onnxscript", "onnxslim", "safetensors", "sklearn", "pycocotools", "PIL")
PROGRAM = """
import sys
import cv2
import edgekit

path, bundle = sys.argv[2], sys.argv[1]
with edgekit.load(bundle) as predictor:
    prediction = predictor.predict(path)
    same = predictor.predict(cv2.imread(path))
    drawn = edgekit.draw(path, prediction)
assert prediction.label == same.label
print(prediction.label, predictor.target, drawn.shape[2])
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("device")
    for name in ABSENT:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ModuleNotFoundError('{name} is absent')")
    root = Path(__file__).resolve().parents[2]
    search = os.pathsep.join([str(folder), str(root)])
    return {**os.environ, "PYTHONPATH": search, "EDGEKIT_CACHE": str(folder / "cache")}


def test_a_program_gets_answers(environment, deployed, digits):
    picture = min((digits / "images").glob("*.png"))
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, deployed[1], picture],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ended.returncode == 0, ended.stderr
    label, target, channels = ended.stdout.split()
    assert label.isdigit()
    assert (target, channels) == (deployed[0].best.target, "3")
    assert ended.stderr == ""


def test_the_command_writes_pictures(environment, deployed, digits, tmp_path):
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "edgekit", "predict", str(deployed[1])),
            *(str(digits / "images"), "-o", str(tmp_path / "out"), "--json", "--quiet"),
        ],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["n"] == 600
    assert (tmp_path / "out" / document["images"][0]["picture"]).is_file()


def test_the_package_itself_imports_nothing():
    program = "import sys, edgekit; print(*sorted(m for m in sys.modules if '.' not in m))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert {"numpy", "cv2", "msgspec"} & set(ended.stdout.split()) == set()


def test_every_public_name_is_there():
    import edgekit

    for name in edgekit.__all__:
        assert getattr(edgekit, name) is not None
    with pytest.raises(AttributeError, match="'lode'"):
        edgekit.lode  # noqa: B018
