"""Labels that do not fit a detector are refused before the first picture."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.detectors import refuse_wrong_labels


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

    refuse_wrong_labels(of("ab"), "m.onnx")
    refuse_wrong_labels(of(""), "m.onnx")
    with pytest.raises(BadInput, match=r"m\.onnx names 3 classes.*answers 2"):
        refuse_wrong_labels(of("abc"), "m.onnx")


@pytest.mark.parametrize("decode", ["end2end", "yolov8", "heads.py:mine"])
def test_outputs_that_do_not_say_it_pass(card, decode):
    shapes = {"y": {"shape": ["batch", "rows", "columns"]}}
    refuse_wrong_labels(card("detection", "ab", postprocess={"decode": decode}), "m.onnx")
    refuse_wrong_labels(
        card("detection", "ab", postprocess={"decode": decode}, outputs=shapes), "m.onnx"
    )
