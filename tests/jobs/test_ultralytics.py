"""Ultralytics' networks through the commands: export in a child, inspect, predict, deploy."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import jsonschema
import numpy as np
import pytest

from edgekit import api
from edgekit.benchmarks.schemas import load_schema
from edgekit.core.errors import BadInput, MissingLibrary
from edgekit.export.ultralytics_package import ultralytics_tasks


@pytest.fixture(autouse=True)
def _library():
    try:
        ultralytics_tasks("to test")
    except MissingLibrary as error:
        pytest.skip(str(error))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    noise = np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


def test_a_yaml_is_exported_in_a_child_at_the_size_that_is_asked_for(tmp_path, picture):
    output = tmp_path / "net.onnx"
    document = api.export("ultralytics:yolo11n.yaml", output, inputs={"images": "batch,3,64,128"})
    assert (document.verdict, document.exporter) == ("PASS", "torch.export")
    card = api.inspect(str(output)).card
    assert list(card["preprocess"]["size"]) == [64, 128]
    assert list(card["inputs"]["images"]["shape"][2:]) == [64, 128]
    # Random weights show nothing, without an error.
    answer = api.predict(str(output), [picture])
    assert answer.images[0].detections == ()


def test_a_size_that_the_stride_does_not_divide_is_refused_before_the_export(tmp_path):
    with pytest.raises(BadInput, match="stride 32"):
        api.export("ultralytics:yolo11n.yaml", tmp_path / "a.onnx", options={"size": "[360, 640]"})


def test_a_checkpoint_without_trust_is_refused(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"")
    with pytest.raises(BadInput, match="pickle"):
        api.export(f"ultralytics:{tmp_path / 'best.pt'}", tmp_path / "a.onnx")


_OWN = """
import sys
from edgekit.export.ultralytics_package import ultralytics_tasks
ultralytics_tasks("to test")
from ultralytics import YOLO
model = YOLO(sys.argv[1], verbose=False)
head = model.model.model[-1]
for name in ("cv3", "one2one_cv3"):
    for branch in getattr(head, name, None) or ():
        branch[-1].bias.data[0] += 14
model.export(format="onnx", imgsz=[64, 96], verbose=False, nms=False if sys.argv[2] else None)
"""


def own_export(folder, name, final):
    """Export with Ultralytics' own exporter, one class scored high everywhere."""
    done = subprocess.run(
        [sys.executable, "-c", _OWN, name, "final" if final else ""],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "YOLO_AUTOINSTALL": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    path = folder / name.replace(".yaml", ".onnx")
    assert path.is_file(), done.stderr
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "final", "decode"),
    [
        ("yolov5n.yaml", False, "yolov8"),
        ("yolov8n.yaml", False, "yolov8"),
        ("yolo11n.yaml", False, "yolov8"),
        ("yolo26n.yaml", True, "end2end"),
        ("yolo11n-seg.yaml", False, "yolov8-segment"),
        ("yolo26n-seg.yaml", True, "end2end-segment"),
        ("yolo11n-pose.yaml", False, "yolov8-pose"),
        ("yolo26n-pose.yaml", True, "end2end-pose"),
    ],
)
def test_a_file_of_its_own_exporter_is_read_with_its_metadata(
    tmp_path, picture, name, final, decode
):
    path = own_export(tmp_path, name, final)
    card = api.inspect(str(path)).card
    assert (card["task"], card["postprocess"]["decode"]) == ("detection", decode)
    output = tmp_path / "out"
    document = api.predict(str(path), [picture], output, confidence=0.3)
    content = json.loads((output / "predictions.json").read_text())
    jsonschema.Draft202012Validator(load_schema("predict")).validate(content)
    found = document.images[0].detections
    assert len(found) >= 1
    assert (output / document.images[0].picture).is_file()
    if "segment" in decode:
        assert all(one.polygons is not None for one in found)
    if "pose" in decode:
        assert {len(one.keypoints) for one in found} == {17}
    assert {one.class_index for one in found} == {0}
