import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.matching import box_iou, match
from edgekit.tasks.results import Detections

coordinate = st.integers(0, 12)
row = st.tuples(coordinate, coordinate, st.integers(1, 8), st.integers(1, 8), st.integers(0, 1))


def detections(rows, scores):
    table = np.array(rows, dtype=np.float32).reshape(-1, 5)
    table[:, 2:4] += table[:, :2]
    return Detections(
        table[:, :4], np.array(scores, dtype=np.float32), table[:, 4].astype(np.int64)
    )


@st.composite
def found(draw):
    rows = draw(st.lists(row, max_size=6))
    scores = draw(st.permutations([0.9 - 0.1 * index for index in range(len(rows))]))
    return detections(rows, scores)


def grid_iou(a, b):
    """By counting unit cells."""
    cells = [
        {(x, y) for x in range(int(c[0]), int(c[2])) for y in range(int(c[1]), int(c[3]))}
        for c in (a, b)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


@settings(max_examples=50)
@given(found(), found())
def test_overlap_is_that_of_counted_cells(a, b):
    expected = [[grid_iou(x, y) for y in b.boxes] for x in a.boxes]
    assert box_iou(a.boxes, b.boxes) == pytest.approx(
        np.reshape(expected, (len(a.boxes), len(b.boxes)))
    )


@settings(max_examples=50)
@given(found(), found())
def test_matches_are_those_of_the_rule_written_out(reference, entry):
    free = set(range(len(reference.scores)))
    expected = []
    for j in sorted(range(len(entry.scores)), key=lambda j: -entry.scores[j]):
        best, most = None, 0.5
        for i in sorted(free):
            overlap = grid_iou(reference.boxes[i], entry.boxes[j])
            if reference.classes[i] == entry.classes[j] and overlap >= most:
                if best is None or overlap > most:
                    best = i
                most = overlap
        if best is not None:
            free.remove(best)
            expected.append([best, j])
    assert match(reference, entry).tolist() == expected


@given(found())
def test_a_detection_is_matched_with_an_object_of_its_own_class_once(one):
    pairs = match(one, one)
    assert len(set(pairs[:, 0].tolist())) == len(set(pairs[:, 1].tolist())) == len(one.scores)
    assert (one.classes[pairs[:, 0]] == one.classes[pairs[:, 1]]).all()


def test_boxes_that_are_empty_or_not_finite_match_nothing():
    broken = Detections(
        np.array([[0, 0, 0, 0], [np.nan, 0, 5, 5], [0, 0, np.inf, 5]], dtype=np.float32),
        np.array([0.9, 0.8, 0.7], dtype=np.float32),
        np.zeros(3, dtype=np.int64),
    )
    assert match(broken, broken).shape == (0, 2)
