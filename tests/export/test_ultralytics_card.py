"""The card that Ultralytics' metadata gives where it is JSON and no output is known."""

from __future__ import annotations

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
        ("names", ["a"]),
        ("names", {}.keys),
        ("imgsz", 640),
        ("imgsz", [0, 1]),
    ],
)
def test_what_is_malformed_names_the_key(key, value):
    with pytest.raises(BadInput, match=f"'{key}'"):
        ultralytics_card({**METADATA, key: value}, "a.engine", shapes=None)


def test_a_key_that_is_missing_is_named():
    with pytest.raises(BadInput, match="lacks the key 'imgsz'"):
        ultralytics_card({"task": "detect", "names": {}, "stride": 1}, "a", shapes=None)


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
