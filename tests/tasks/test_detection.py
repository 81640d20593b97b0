from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.core.card import card_from_dict
from edgekit.core.errors import BadInput
from edgekit.tasks.heads import HEADS
from edgekit.tasks.nms import suppress
from edgekit.tasks.registry import task_for


def detector(card, labels=("cat", "dog"), resize="stretch", **rules):
    section = {"size": [32, 64], "resize": resize}
    return task_for(card("detection", labels, preprocess=section, postprocess=rules))


def answer(rows, classes=2):
    """Make a yolov8 output of (x1, y1, x2, y2, scores…) rows."""
    array = np.zeros((1, 4 + classes, max(len(rows), 5)), np.float32)
    for column, (x1, y1, x2, y2, *scores) in enumerate(rows):
        array[0, :, column] = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, *scores]
    return {"output0": array}


def detect(task, outputs, image=(64, 64), confidence=None, **more):
    _, fit = task.preprocess(np.zeros((*image, 3), np.uint8))
    return task.postprocess(outputs, fit, confidence, **more)


def test_boxes_come_back_in_image_pixels_best_first(card):
    rows = [(0, 0, 32, 16, 0.5, 0), (32, 16, 64, 32, 0, 0.9)]
    found = detect(detector(card, decode="yolov8"), answer(rows), image=(64, 64))
    assert found.boxes.tolist() == [[32, 32, 64, 64], [0, 0, 32, 32]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.classes.tolist() == [1, 0]
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.classes.dtype == np.int64


def test_a_letterboxed_box_comes_back_too(card):
    # A 64 x 64 image in 32 x 64: half the size, 16 pixels of padding on the left.
    task = detector(card, decode="yolov8", resize="letterbox")
    found = detect(task, answer([(16, 0, 48, 32, 0.5, 0)]), image=(64, 64))
    assert found.boxes.tolist() == [[0, 0, 64, 64]]


def test_a_box_is_shown_with_its_best_class_and_scored_with_every_class(card):
    # Red on the code that showed a box once for each class above the threshold.
    task = detector(card, decode="yolov8")
    outputs = answer([(0, 0, 8, 8, 0.5, 0.6)])
    assert detect(task, outputs).classes.tolist() == [1]
    assert detect(task, outputs, evaluation=True).classes.tolist() == [1, 0]
    every = detector(card, decode="yolov8", multi_label=True)
    assert detect(every, outputs).classes.tolist() == [1, 0]


def test_a_second_class_suppresses_nothing(card):
    # The first box is of class 0 alone, so the second keeps class 1, though the first one's score
    # for that class is higher.
    rows = [(0, 0, 10, 10, 0.9, 0.8), (0, 0, 10, 9, 0, 0.7)]
    found = detect(detector(card, decode="yolov8"), answer(rows))
    assert found.classes.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])


def test_a_score_must_be_above_the_threshold(card):
    rows = [(0, 0, 8, 8, 0.25, 0), (16, 0, 24, 8, 0.2500001, 0)]
    assert len(detect(detector(card, decode="yolov8"), answer(rows)).scores) == 1


@pytest.mark.parametrize("decode", ["yolov8", "end2end"])
def test_what_is_shown_is_clipped_to_the_image_and_what_is_scored_is_not(card, decode):
    outputs = answer([(-4, -4, 72, 16, 0.9, 0)])
    if decode == "end2end":
        outputs = {"y": np.array([[[-4, -4, 72, 16, 0.9, 0]]], np.float32)}
    task = detector(card, decode=decode)
    assert detect(task, outputs, (32, 64)).boxes.tolist() == [[0, 0, 64, 16]]
    scored = detect(task, outputs, (32, 64), evaluation=True)
    assert scored.boxes.tolist() == [[-4, -4, 72, 16]]


def test_a_box_that_the_network_has_chosen_twice_is_shown_once(card):
    # As a graph with NMS inside gives it: a row for each class.
    rows = np.array([[[0, 0, 8, 8, 0.6, 0], [0, 0, 8, 8, 0.9, 1], [9, 0, 16, 8, 0.5, 0]]], "f4")
    task = detector(card, decode="end2end")
    assert detect(task, {"y": rows}).classes.tolist() == [1, 0]
    assert detect(task, {"y": rows}, evaluation=True).classes.tolist() == [1, 0, 0]
    every = detector(card, decode="end2end", multi_label=True)
    assert detect(every, {"y": rows}).classes.tolist() == [1, 0, 0]


def test_rtdetr_suppresses_nothing_and_clips_nothing(card):
    rows = np.array([[[0.5, 0.5, 1.25, 1, 0.9, 0.8], [0.5, 0.5, 1.25, 1, 0.7, 0]]], np.float32)
    found = detect(detector(card, decode="rtdetr"), {"y": rows}, (32, 64))
    assert found.boxes.tolist() == [[-8, 0, 72, 32]] * 2
    assert found.classes.tolist() == [0, 0]


def test_duplicates_go_within_a_class_only(card):
    rows = [(0, 0, 10, 10, 0.9, 0), (0, 0, 10, 9, 0.8, 0), (0, 0, 10, 10, 0, 0.7)]
    found = detect(detector(card, decode="yolov8"), answer(rows))
    assert found.classes.tolist() == [0, 1]
    found = detect(detector(card, decode="yolov8", iou=0.95), answer(rows))
    assert found.classes.tolist() == [0, 0, 1]


def test_threshold_and_number_are_those_of_the_card_or_the_call(card):
    rows = [(9 * i, 0, 9 * i + 5, 5, 0.1 * (i + 1), 0) for i in range(5)]
    task = detector(card, decode="yolov8", confidence=0.3, max_detections=2)
    assert detect(task, answer(rows)).scores.tolist() == pytest.approx([0.5, 0.4])
    task = detector(card, decode="yolov8", confidence=0.25)
    assert len(detect(task, answer(rows)).scores) == 3
    assert len(detect(task, answer(rows), confidence=0.45).scores) == 1
    assert len(detect(task, answer(rows), confidence=0.05).scores) == 5


def test_nothing_found_is_empty_and_well_shaped(card):
    found = detect(detector(card, decode="yolov8"), answer([]))
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == found.classes.shape == (0,)


def test_what_is_not_finite_is_no_detection_and_no_warning(card):
    rows = [(0, 0, 8, 8, np.nan, 0), (0, 0, np.inf, 8, 0.9, 0), (0, 0, 4, 4, 0.5, 0)]
    found = detect(detector(card, decode="yolov8"), answer(rows))
    assert found.boxes.tolist() == [[0, 0, 4, 8]]
    huge = np.full((1, 42, 7), 200, np.float32)  # exp(200) overflows float32
    assert len(detect(detector(card, decode="yolox"), {"y": huge}).scores) == 0


def test_end2end_is_taken_without_suppression(card):
    rows = [[0, 0, 8, 8, 0.9, 1], [0, 0, 8, 9, 0.8, 1], [0, 0, 4, 4, 0.1, 0]]
    outputs = {"output0": np.array([rows], np.float32)}
    found = detect(detector(card, decode="end2end"), outputs, image=(32, 64))
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])
    assert found.classes.tolist() == [1, 1]
    with pytest.raises(BadInput, match="class 1"):
        detect(detector(card, labels=["cat"], decode="end2end"), outputs)


def test_as_many_classes_as_labels(card):
    with pytest.raises(BadInput, match="names 3 classes under `labels`, but the network answers 2"):
        detect(detector(card, labels="abc", decode="yolov8"), answer([]))


def test_an_unknown_head_gets_the_closest_match(card):
    with pytest.raises(BadInput, match="Did you mean 'yolox'"):
        detector(card, decode="yolx")


def test_a_users_head_goes_the_same_way(card, tmp_path):
    (tmp_path / "d.py").write_text(
        "import numpy as np\n"
        "def f(outputs, size):\n"
        "    box = [[0, 0, size[1], size[0]]]\n"
        "    return np.array(box * 2), np.array([[0.9, 0.0], [0.8, 0.0]])\n"
    )
    made = card("detection", ["a", "b"], postprocess={"decode": "d.py:f"})
    with pytest.raises(BadInput, match="--trust-code"):
        task_for(made, folder=tmp_path)
    found = detect(task_for(made, folder=tmp_path, trust_code=True), {}, image=(10, 20))
    assert found.boxes.tolist() == [[0, 0, 20, 10]]


def by_the_book(outputs, decode, size, confidence, iou, limit):
    """Decode every row, then look at every class of it."""
    boxes, scores, *_ = HEADS[decode].read(outputs, size, -np.inf)
    rows, classes = np.nonzero(scores > confidence)
    finite = np.isfinite(boxes[rows]).all(axis=1)
    rows, classes = rows[finite], classes[finite]
    found = boxes[rows], scores[rows, classes], classes
    kept = suppress(*found, iou=iou, limit=limit)
    return [each[kept] for each in found]


@settings(max_examples=60, deadline=None)
@given(
    decode=st.sampled_from(["yolov5", "yolov8", "yolox"]),
    seed=st.integers(0, 1000),
    classes=st.integers(1, 5),
    confidence=st.sampled_from([0.0, 0.01, 0.5, 0.75, 1.0]),
    # Eighths make equal scores, which keep their order.
    eighths=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float16]),
)
def test_leaving_rows_out_early_changes_no_bit(decode, seed, classes, confidence, eighths, dtype):
    random = np.random.default_rng(seed)
    size, anchors = (32, 64), 4 * 8 + 2 * 4 + 1 * 2
    rows = random.random((1, anchors, 5 + classes)).astype(dtype)
    if eighths:
        rows[..., 4:] = np.round(rows[..., 4:] * 8) / 8
    rows[0, random.integers(0, anchors, 3), random.integers(0, 5 + classes, 3)] = np.nan
    if decode == "yolov8":
        rows = np.delete(rows, 4, axis=2).transpose(0, 2, 1)
    outputs = {"y": np.ascontiguousarray(rows)}
    section = {"schema": "edgekit.card/1", "task": "detection", "labels": ["a"] * classes}
    section["preprocess"] = {"size": list(size), "resize": "stretch"}
    section["postprocess"] = {"decode": decode, "iou": 0.5, "max_detections": 20}
    task = task_for(card_from_dict(section, "test"))
    _, fit = task.preprocess(np.zeros((*size, 3), np.uint8))
    found = task.detections(outputs, fit, confidence, multi_label=True)
    expected = by_the_book(outputs, decode, size, confidence, 0.5, 20)
    for one, other in zip((found.boxes, found.scores, found.classes), expected, strict=True):
        assert np.array_equal(one, other)
