"""The next command that is printed runs as it is printed: by a shell, in a folder with spaces."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
ON = "--target onnxruntime:cpu"
# Each with what it may end with; 1 is a check that fails on purpose.
DIGITS = (
    ("data digits -o 'my data'", 0),
    ("export edgekit:digits -o 'my net.onnx' --data 'my data'", 0),
    ("quantize 'my net.onnx' --data 'my data' --force", 0),
    ("quantize 'my net.onnx' --data 'my data' --min-parity 99 --force", 1),
    (f"compile 'my net.onnx' {ON}", 0),
    (f"compile 'my net.onnx' {ON} -o 'my engines'", 0),
    (f"eval 'my net.onnx' --data 'my data' {ON} --set 'labels=[a, b, c, d, e, f, g, h, i, j]'", 0),
    (f"bench 'my net.onnx' {ON} -o 'my result' --time 0.2", 0),
    (f"deploy 'my net.onnx' --data 'my data' {ON} -o 'my.bundle' --time 0.2", 0),
    (f"deploy 'my net.onnx' {ON} -o 'bad.bundle' --min-parity 200 --time 0.2", 1),
    ("verify my.bundle", 0),
    (f"pack my.bundle {ON} -o 'my device'", 0),
    ("inspect my.bundle", 0),
    (f"deploy 'my net.onnx' {ON} --precision fp32 -o 'dry.bundle' --dry-run", 0),
)
OWN_HEAD = (
    ("export m.onnx -o 'of mine.onnx' --data images", 0),
    ("quantize 'of mine.onnx' --data images --force", 0),
    (f"eval 'of mine.onnx' --data images --trust-code {ON}", 0),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def shell(line, folder):
    """Run a line as a reader would; what measures gets little time."""
    if line.startswith(("edgekit deploy", "edgekit bench")) and "--time" not in line:
        line += " --time 0.2"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    surroundings = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "40"}
    return subprocess.run(
        line, shell=True, cwd=folder, env=surroundings, capture_output=True, text=True
    )


def follow(commands, folder):
    for command, status in commands:
        ended = shell(f"edgekit {command}", folder)
        assert ended.returncode == status, f"{command}\n{ended.stderr}"
        found = [one.partition("next: ")[2] for one in ended.stderr.splitlines() if "next: " in one]
        for line in found:
            program = shlex.split(line)[0]
            assert program in ("edgekit", "python"), line
            again = shell(line, folder)
            # What explains a failure finds it.
            fine = {0, 1} if status else {0}
            assert again.returncode in fine, f"{command}\n{line}\n{again.stderr}"


def test_after_every_command_of_a_classifier(tmp_path):
    pytest.importorskip("torch")
    folder = tmp_path / "a place"
    folder.mkdir()
    follow(DIGITS, folder)


@pytest.fixture
def own_head(tmp_path):
    """A detector with a decoder of its own and eight pictures, in a folder."""
    onnx = pytest.importorskip("onnx")
    folder = tmp_path / "a place"
    (folder / "images" / "images").mkdir(parents=True)
    value = onnx.helper.make_tensor_value_info
    shape = ["batch", 3, 32, 32]
    weights = np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=[1, 1, 1, 1])
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [value("x", 1, shape)],
        [value("y", 1, shape)],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "m.onnx")
    (folder / "m.card.yaml").write_text(
        "schema: edgekit.card/1\ntask: detection\nlabels: [a, b]\n"
        "preprocess: {size: [32, 32]}\npostprocess: {decode: 'heads.py:mine'}\n"
    )
    (folder / "heads.py").write_text(
        "import numpy as np\n\n"
        "def mine(outputs, size):\n"
        "    rows = np.abs(outputs['y'][0, 0, :, :4]).astype(np.float32)\n"
        "    rows[:, 2:] += rows[:, :2] + 4\n"
        "    return rows, np.clip(outputs['y'][0, 1, :, :2], 0, 1).astype(np.float32)\n"
    )
    pictures = np.random.default_rng(1).integers(0, 255, (8, 32, 32, 3), np.uint8)
    for number, picture in enumerate(pictures):
        assert cv2.imwrite(str(folder / "images" / "images" / f"{number}.png"), picture)
    truth = {
        "images": [{"id": one, "file_name": f"{one}.png"} for one in range(8)],
        "annotations": [
            {"image_id": one, "category_id": one % 2, "bbox": [2, 2, 9, 9]} for one in range(8)
        ],
        "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
    }
    (folder / "images" / "instances.json").write_text(json.dumps(truth))
    return folder


def test_with_a_decoder_of_ones_own_consent_is_given_again(own_head):
    follow(OWN_HEAD, own_head)
