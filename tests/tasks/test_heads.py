from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.heads import FINAL_HEADS, HEADS, end2end, yolov5, yolov8, yolox


def test_yolox_places_each_row_in_its_cell_and_stride():
    size = (64, 96)
    rows = 8 * 12 + 4 * 6 + 2 * 3
    array = np.zeros((1, rows, 5 + 3), np.float32)
    array[..., 4] = 0.5
    array[0, :, 5] = 0.8
    # Stride 16, second row, third column.
    array[0, 96 + 6 + 2, :4] = [0.25, 0.5, np.log(2), np.log(3)]
    boxes, scores, found = yolox({"y": array}, size)
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
    boxes, scores, _ = yolov8({"output0": array}, (64, 64))
    assert boxes[3] == pytest.approx([8, 17, 12, 23])
    assert scores[3] == pytest.approx([0.1, 0.9])
    assert scores.shape == (7, 2)


def test_yolov5_multiplies_objectness_into_the_classes():
    array = np.zeros((1, 7, 5 + 2), np.float32)
    array[0, 3] = [10, 20, 4, 6, 0.5, 0.2, 0.8]
    maps = np.zeros((1, 3, 8, 8, 7), np.float32)
    boxes, scores, _ = yolov5({"output": array, "p3": maps}, (64, 64))
    assert boxes[3] == pytest.approx([8, 17, 12, 23])
    assert scores[3] == pytest.approx([0.1, 0.4])


@pytest.mark.parametrize("name", HEADS)
def test_rows_that_cannot_reach_the_floor_are_left_out_and_the_others_stay_the_same(name):
    size, anchors = (64, 96), 8 * 12 + 4 * 6 + 2 * 3
    rows = np.random.default_rng(0).random((1, anchors, 9), np.float32)
    rows[0, 7] = np.nan
    outputs = {"y": rows.transpose(0, 2, 1) if name == "yolov8" else rows}
    every = HEADS[name](outputs, size, -np.inf)
    assert every.rows.tolist() == list(range(anchors))
    for floor in (0.6, 0.9, 0.97):
        some = HEADS[name](outputs, size, floor)
        reaching = np.flatnonzero((every.scores >= floor).any(axis=1))
        assert 0 < len(some.rows) < anchors
        assert set(reaching) <= set(some.rows)
        assert np.array_equal(some.boxes, every.boxes[some.rows], equal_nan=True)
        assert np.array_equal(some.scores, every.scores[some.rows], equal_nan=True)


def test_end2end_answers_with_the_class_itself():
    array = np.array([[[1, 2, 3, 4, 0.9, 7], [0, 0, 0, 0, 0, np.nan]]], np.float32)
    boxes, scores, classes = end2end({"output0": array}, (64, 64))
    assert boxes[0].tolist() == [1, 2, 3, 4]
    assert scores.tolist() == pytest.approx([0.9, 0])
    assert classes.tolist() == [7, -1]


@pytest.mark.parametrize("name", [*HEADS, *FINAL_HEADS])
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
    head = {**HEADS, **FINAL_HEADS}[name]
    with pytest.raises(BadInput) as caught:
        head(outputs, (64, 64))
    assert name in str(caught.value)
    assert "(1, " in str(caught.value)
    assert all(f"{key} (" in str(caught.value) for key in outputs)


def test_two_outputs_that_fit_are_not_guessed_between():
    array = np.zeros((1, 7, 6), np.float32)
    with pytest.raises(BadInput, match="several outputs fit"):
        end2end({"a": array, "b": array}, (64, 64))
