"""The card that Ultralytics' metadata gives where it is JSON and no output is known."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.export.ultralytics_card import is_ultralytics, ultralytics_card

METADATA = {
    "description": "YOLO",
    "version": 8.4,
    "task": "detect",
    "stride": 32,
    "batch": 1,
    "imgsz": [64, 32],
    "names": {str(index): f"class {index}" for index in range(12)},
}


def test_the_labels_stand_in_the_order_of_their_numbers():
    card = ultralytics_card(METADATA, "a.engine", shapes=None)
    assert card.labels == tuple(f"class {index}" for index in range(12))
    assert card.preprocess.size == (64, 32)
    assert card.provenance == {"description": "YOLO", "version": "8.4"}


@pytest.mark.parametrize(
    ("more", "head"),
    [
        ({}, "yolov8"),
        ({"args": {"nms": False}}, "yolov8"),
        ({"args": {"nms": True}}, "end2end"),
        ({"end2end": True}, "end2end"),
        ({"end2end": False}, "yolov8"),
    ],
)
def test_without_an_output_the_head_is_the_exporters_own(more, head):
    card = ultralytics_card({**METADATA, **more}, "a.engine", shapes=None)
    assert card.postprocess.decode == head


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", {"a": "b"}),
        ("names", []),
        ("names", {"0": "a", 0: "b"}),
        ("names", {}.keys),
        ("imgsz", 0),
        ("imgsz", [0, 1]),
    ],
)
def test_what_is_malformed_names_the_key(key, value):
    with pytest.raises(BadInput, match=f"'{key}'"):
        ultralytics_card({**METADATA, key: value}, "a.engine", shapes=None)


def test_a_key_that_is_missing_is_named():
    with pytest.raises(BadInput, match="lacks the key 'imgsz'"):
        ultralytics_card({"task": "detect", "names": ["a"], "stride": 1}, "a", shapes=None)


def test_only_its_own_metadata_is_taken_for_it():
    assert is_ultralytics(METADATA)
    assert not is_ultralytics({"task": "detect", "names": {}})


def yolov5(shapes, names="{0: 'a', 1: 'b'}", size=(64, 96)):
    properties = {"stride": "32", "names": names}
    assert is_ultralytics(properties)
    return ultralytics_card(properties, "v5.onnx", shapes=shapes, size=size)


@pytest.mark.parametrize("names", ["{0: 'a', 1: 'b'}", "['a', 'b']"])
def test_the_repository_of_yolov5_says_names_and_stride_only(names):
    card = yolov5([("batch", 1260, 7)], names)
    assert (card.task, card.labels, card.preprocess.size) == ("detection", ("a", "b"), (64, 96))
    assert (card.postprocess.decode, card.postprocess.iou) == ("yolov5", 0.45)
    assert yolov5([(1, 1260, 7)], size=None).preprocess.size == (640, 640)


def test_masks_of_yolov5_are_known_by_their_prototypes():
    assert yolov5([(1, 1260, 39), (1, 32, 16, 24)]).postprocess.decode == "yolov5-segment"
    assert yolov5([(1, 1260, 39)]).task == "raw"
    assert yolov5([(1, 2)]).task == "raw"


PROTOTYPES = (1, 32, 16, 8)


@pytest.mark.parametrize(
    ("task", "shapes", "more", "head"),
    [
        ("segment", [(1, 4 + 12 + 32, 84), PROTOTYPES], {}, "yolov8-segment"),
        ("segment", [(1, 300, 38), PROTOTYPES], {}, "end2end-segment"),
        ("segment", [PROTOTYPES, ("batch", 300, 38)], {}, "end2end-segment"),
        ("segment", None, {}, "yolov8-segment"),
        ("segment", None, {"end2end": True}, "end2end-segment"),
        ("pose", [(1, 4 + 12 + 51, 84)], {}, "yolov8-pose"),
        ("pose", [(1, 300, 57)], {}, "end2end-pose"),
        ("pose", None, {}, "yolov8-pose"),
    ],
)
def test_masks_and_keypoints_have_heads_of_their_own(task, shapes, more, head):
    properties = {**METADATA, "task": task, "kpt_shape": [17, 3], **more}
    card = ultralytics_card(properties, "a.onnx", shapes=shapes)
    assert (card.task, card.postprocess.decode) == ("detection", head)
    assert card.postprocess.keypoints == ((17, 3) if task == "pose" else None)


@pytest.mark.parametrize("shape", [[17], [17, 4], [0, 3], "17"])
def test_keypoints_that_make_no_sense_name_the_key(shape):
    with pytest.raises(BadInput, match="'kpt_shape'"):
        ultralytics_card({**METADATA, "task": "pose", "kpt_shape": shape}, "a", shapes=None)


@pytest.mark.parametrize(
    ("task", "shapes", "what"),
    [
        ("segment", [(1, 48, 84)], "model of masks"),
        ("pose", [(1, 16, 84)], "model of keypoints"),
        ("detect", [(1, 17, 84)], "detector"),
    ],
)
def test_outputs_that_fit_no_head_ask_for_a_card(task, shapes, what):
    properties = {**METADATA, "task": task, "kpt_shape": [17, 3]}
    with pytest.raises(BadInput, match=f"{what} of 12 classes") as caught:
        ultralytics_card(properties, "a.onnx", shapes=shapes)
    assert "--card" in caught.value.hint


@pytest.mark.parametrize("task", ["obb", "semantic", "depth"])
def test_a_task_without_a_head_is_raw_and_says_so(task):
    card = ultralytics_card({**METADATA, "task": task}, "a.onnx", shapes=[(1, 17, 84)])
    assert card.task == "raw"
    assert f"no head for Ultralytics' task {task!r}" in card.provenance["note"]


def labelled(classes, **more):
    names = {str(index): f"class {index}" for index in range(classes)}
    return {**METADATA, "names": names, **more}


def answer(head, classes, anchors):
    """Rows of a head for one object of class 0 at 8, 16 of 16 x 32 pixels, and of noise below."""
    random = np.random.default_rng(0)
    boxes = np.tile([8.0, 16.0, 16.0, 32.0], (anchors, 1))
    if head.startswith("rtdetr"):
        boxes /= [32, 64, 32, 64]
    elif head == "end2end":
        boxes = np.tile([0.0, 0.0, 16.0, 32.0], (anchors, 1))
    if head in ("end2end", "rtdetr-end2end"):
        label = np.arange(anchors) % classes
        rows = np.column_stack([boxes, np.linspace(0.9, 0.01, anchors), label])
    else:
        rows = np.column_stack([boxes, random.uniform(0.01, 0.1, (anchors, classes))])
    rows = rows.T if head == "yolov8" else rows
    return rows[None].astype(np.float32)


@pytest.mark.parametrize("classes", [1, 2, 3, 80, 296])
@pytest.mark.parametrize(
    ("more", "head"),
    [
        ({"description": "Ultralytics rtdetr-l model trained on own.yaml"}, "rtdetr"),
        ({"description": "Ultralytics YOLOv8-rtdetr model"}, "rtdetr"),
        ({"head": "RTDETRDecoder", "end2end": "False"}, "rtdetr-end2end"),
        ({"description": "Ultralytics YOLOv10n model"}, "end2end"),
        ({"head": "Detect", "end2end": "True"}, "end2end"),
        ({"head": "Detect", "args": "{'nms': True}", "end2end": "False"}, "end2end"),
        ({"head": "Detect", "args": "{'nms': None}", "end2end": "False"}, "yolov8"),
        ({"description": "Ultralytics best model"}, "rtdetr"),
        ({"description": "Ultralytics best model"}, "end2end"),
        ({"description": "Ultralytics best model"}, "yolov8"),
    ],
)
def test_no_number_of_classes_makes_a_head_of_another(classes, more, head):
    # Red where a dimension decides: with 2 classes RT-DETR was read as "end2end", with 296 as
    # "yolov8".
    rows = answer(head, classes, 300)
    card = ultralytics_card(
        labelled(classes, **more), "a.onnx", shapes=[rows.shape], answers=lambda size: [rows]
    )
    assert card.postprocess.decode == head
    assert card.preprocess.resize == ("stretch" if "rtdetr" in head else "letterbox")


@pytest.mark.parametrize(("classes", "heads"), [(2, ["end2end", "rtdetr"]), (80, ["rtdetr"])])
def test_what_nothing_tells_is_refused_with_the_lines_that_say_it(classes, heads):
    properties = labelled(classes, description="Ultralytics best model")
    shapes = [(1, 300, 4 + classes)]
    with pytest.raises(BadInput) as caught:
        ultralytics_card(properties, "a.onnx", shapes=shapes)
    assert all(f"--set decode={head}" in caught.value.hint for head in heads)
    for head in heads:
        card = ultralytics_card(properties, "a.onnx", shapes=shapes, decode=head)
        assert card.postprocess.decode == head
    # Values that are of no head at all.
    with pytest.raises(BadInput, match="its output is"):
        ultralytics_card(
            properties, "a.onnx", shapes=shapes, answers=lambda size: [np.full(shapes[0], 7.5)]
        )


def test_the_values_are_asked_for_at_the_size_in_the_metadata():
    asked = []
    rows = answer("rtdetr", 2, 300)
    properties = labelled(2, description="Ultralytics best model")
    ultralytics_card(
        properties, "a", shapes=[rows.shape], answers=lambda size: asked.append(size) or [rows]
    )
    assert asked == [(64, 32)]
