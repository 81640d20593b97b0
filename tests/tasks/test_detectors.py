"""A model that is no detector is refused before the first picture."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.detectors import require_detector


@pytest.mark.parametrize("task", ["classification", "segmentation", "raw"])
def test_another_task_is_named(card, task):
    with pytest.raises(BadInput, match=f"m.onnx is no detector: its task is '{task}'"):
        require_detector(card(task), "m.onnx")


def test_why_a_model_is_raw_is_the_hint(card):
    with pytest.raises(BadInput) as caught:
        require_detector(card("raw", provenance={"note": "No head for obb."}), "m.onnx")
    assert caught.value.hint == "No head for obb."


@pytest.mark.parametrize(
    ("decode", "shapes", "more"),
    [
        ("yolov8", [["batch", 6, "anchors"]], {}),
        ("yolov5", [[1, 21, 7]], {}),
        ("yolox", [[1, 21, 7]], {}),
        ("yolov8-segment", [[1, 38, 21], [1, 32, 8, 8]], {}),
        ("yolov5-segment", [[1, 21, 39], [1, 32, 8, 8]], {}),
        ("yolov8-pose", [[1, 57, 21]], {"keypoints": [17, 3]}),
    ],
)
def test_labels_are_counted_against_the_outputs(card, decode, shapes, more):
    outputs = {str(at): {"shape": shape} for at, shape in enumerate(shapes)}

    def of(labels):
        rules = {"decode": decode, **more}
        return card("detection", labels, postprocess=rules, outputs=outputs)

    require_detector(of("ab"), "m.onnx")
    require_detector(of(""), "m.onnx")
    with pytest.raises(BadInput, match=r"m\.onnx names 3 classes.*answers 2"):
        require_detector(of("abc"), "m.onnx")


@pytest.mark.parametrize("decode", ["end2end", "yolov8", "heads.py:mine"])
def test_outputs_that_do_not_say_it_pass(card, decode):
    shapes = {"y": {"shape": ["batch", "rows", "columns"]}}
    require_detector(card("detection", "ab", postprocess={"decode": decode}), "m.onnx")
    require_detector(
        card("detection", "ab", postprocess={"decode": decode}, outputs=shapes), "m.onnx"
    )
