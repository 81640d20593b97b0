from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.heads import HEADS


def test_yolox_places_each_row_in_its_cell_and_stride():
    size = (64, 96)
    rows = 8 * 12 + 4 * 6 + 2 * 3
    array = np.zeros((1, rows, 5 + 3), np.float32)
    array[..., 4] = 0.5
    array[0, :, 5] = 0.8
    # Stride 16, second row, third column.
    array[0, 96 + 6 + 2, :4] = [0.25, 0.5, np.log(2), np.log(3)]
    boxes, scores, found, _ = HEADS["yolox"].read({"y": array}, size, -np.inf)
    assert boxes.shape == (rows, 4)
    assert scores.shape == (rows, 3)
    assert scores[:, 0] == pytest.approx(0.4)
    centre_x, centre_y = (2 + 0.25) * 16, (1 + 0.5) * 16
    expected = [centre_x - 16, centre_y - 24, centre_x + 16, centre_y + 24]
    assert boxes[96 + 8] == pytest.approx(expected)
    assert boxes[0] == pytest.approx([-4, -4, 4, 4])
    # The last cell: stride 32, row 1, column 2.
    assert boxes[-1] == pytest.approx([64 - 16, 32 - 16, 64 + 16, 32 + 16])
    assert boxes.dtype == scores.dtype == np.float32
    assert found.tolist() == list(range(rows))


def test_yolov8_has_no_objectness_and_an_anchor_a_column():
    array = np.zeros((1, 4 + 2, 7), np.float32)
    array[0, :, 3] = [10, 20, 4, 6, 0.1, 0.9]
    boxes, scores, *_ = HEADS["yolov8"].read({"output0": array}, (64, 64), -np.inf)
    assert boxes[3] == pytest.approx([8, 17, 12, 23])
    assert scores[3] == pytest.approx([0.1, 0.9])
    assert scores.shape == (7, 2)


def test_yolov5_multiplies_objectness_into_the_classes():
    array = np.zeros((1, 7, 5 + 2), np.float32)
    array[0, 3] = [10, 20, 4, 6, 0.5, 0.2, 0.8]
    maps = np.zeros((1, 3, 8, 8, 7), np.float32)
    outputs = {"output": array, "p3": maps}
    boxes, scores, *_ = HEADS["yolov5"].read(outputs, (64, 64), -np.inf)
    assert boxes[3] == pytest.approx([8, 17, 12, 23])
    assert scores[3] == pytest.approx([0.1, 0.4])


@pytest.mark.parametrize("name", [name for name, head in HEADS.items() if not head.chosen])
def test_rows_that_cannot_reach_the_floor_are_left_out_and_the_others_stay_the_same(name):
    size, anchors = (64, 96), 8 * 12 + 4 * 6 + 2 * 3
    rows = np.random.default_rng(0).random((1, anchors, 9), np.float32)
    rows[0, 7] = np.nan
    outputs = {"y": rows.transpose(0, 2, 1) if name == "yolov8" else rows}
    every = HEADS[name].read(outputs, size, -np.inf)
    assert every.rows.tolist() == list(range(anchors))
    for floor in (0.6, 0.9, 0.97):
        some = HEADS[name].read(outputs, size, floor)
        reaching = np.flatnonzero((every.scores >= floor).any(axis=1))
        assert 0 < len(some.rows) < anchors
        assert set(reaching) <= set(some.rows)
        assert np.array_equal(some.boxes, every.boxes[some.rows], equal_nan=True)
        assert np.array_equal(some.scores, every.scores[some.rows], equal_nan=True)


def test_end2end_answers_with_the_class_itself():
    array = np.array([[[1, 2, 3, 4, 0.9, 7], [0, 0, 0, 0, 0, np.nan]]], np.float32)
    found = HEADS["end2end"].read({"output0": array}, (64, 64), -np.inf)
    boxes, scores, rows, classes = found
    assert rows.tolist() == [0, 1]
    assert boxes[0].tolist() == [1, 2, 3, 4]
    assert scores.tolist() == pytest.approx([0.9, 0])
    assert classes.tolist() == [7, -1]


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(
    "outputs",
    [
        {"y": np.zeros((1, 3, 1), np.float32)},
        {"y": np.zeros((4, 4), np.float32)},
        {"y": np.zeros((2, 84, 6), np.float32)},  # a batch of two
        {},
    ],
)
def test_an_output_of_another_shape_is_named_with_what_was_expected(name, outputs):
    with pytest.raises(BadInput) as caught:
        HEADS[name].read(outputs, (64, 64), -np.inf)
    assert name in str(caught.value)
    assert "(1, " in str(caught.value)
    assert all(f"{key} (" in str(caught.value) for key in outputs)


def test_two_outputs_that_fit_are_not_guessed_between():
    array = np.zeros((1, 7, 6), np.float32)
    with pytest.raises(BadInput, match="several outputs fit"):
        HEADS["end2end"].read({"a": array, "b": array}, (64, 64), -np.inf)


def test_rtdetr_gives_fractions_of_the_input_as_pixels():
    size = (32, 64)
    rows = np.array([[[0.5, 0.25, 0.5, 0.5, 0.9, 0.2], [0.1, 0.1, 0.1, 0.1, 0, 0]]], np.float32)
    boxes, scores, found, classes = HEADS["rtdetr"].read({"output0": rows}, size, 0.1)
    assert boxes.tolist() == [[16, 0, 48, 16]]
    assert (found.tolist(), classes) == ([0], None)
    assert scores[0] == pytest.approx([0.9, 0.2])
    rows[0, 0, 4:] = [0.9, 7]
    boxes, scores, _, classes = HEADS["rtdetr-end2end"].read({"output0": rows}, size, 0.1)
    assert boxes.tolist() == [[16, 0, 48, 16]]
    assert (scores.tolist(), classes.tolist()) == (pytest.approx([0.9]), [7])


def rows_of(name, classes, random):
    """Rows of a head as a network gives them for an input of 64 x 64, (1, 20, numbers)."""
    head = HEADS[name]
    boxes = random.uniform(5, 30, (20, 4))
    boxes[:, 2:] += boxes[:, :2] if head.corners else 0
    boxes /= 64 if head.fractions else 1
    scores = random.uniform(0, 1, (20, head.front - 4 + (1 if head.chosen else classes)))
    label = random.integers(0, classes, (20, 1 if head.chosen else 0))
    return np.concatenate([boxes, scores, label], axis=1)[None].astype(np.float32)


TOLD_APART = ("yolov8", "yolov5", "end2end", "rtdetr", "rtdetr-end2end")


@pytest.mark.parametrize("classes", [1, 2, 3, 16, 80])
@pytest.mark.parametrize("name", TOLD_APART)
def test_values_tell_heads_apart_that_one_shape_fits(name, classes):
    # Red where a shape alone decides: (1, 20, 6) is every one of the last four for some number of
    # classes, and (1, 20, 20) is "yolov8" and "rtdetr" with 16.
    array = rows_of(name, classes, np.random.default_rng(classes))
    array = array.transpose(0, 2, 1) if HEADS[name].axis == 1 else array
    fitting = [one for one in TOLD_APART if HEADS[one].fits(array.shape, classes)]
    assert name in fitting
    assert [one for one in fitting if HEADS[one].reads_well(array, classes)] == [name]
    assert not HEADS[name].reads_well(np.zeros_like(array), classes)


def test_a_class_that_the_network_does_not_have_reads_badly():
    rows = rows_of("end2end", 3, np.random.default_rng(0))
    rows[0, 0, 5] = 3
    assert not HEADS["end2end"].reads_well(rows, 3)
    assert HEADS["end2end"].reads_well(rows, 4)
