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
