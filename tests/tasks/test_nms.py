from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.tasks import nms
from edgekit.tasks.nms import suppress


def slow(boxes, scores, classes, iou, limit):
    """Greedy NMS by the book, in exact arithmetic."""

    def overlap(a, b):
        width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
        height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
        area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
        union = area - width * height
        return Fraction(width * height, union) if union else 0

    kept = []
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if len(kept) == limit:
            break
        if all(
            classes[index] != classes[other] or overlap(boxes[index], boxes[other]) <= iou
            for other in kept
        ):
            kept.append(index)
    return kept


coordinate = st.integers(0, 12)
box = st.tuples(coordinate, coordinate, coordinate, coordinate).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
# Few scores and few classes, so that ties and overlaps are common.
candidate = st.tuples(box, st.sampled_from([0.25, 0.5, 0.75, 1.0]), st.integers(0, 2))


@settings(max_examples=300, deadline=None)
@given(
    candidates=st.lists(candidate, max_size=40),
    # Eighths are exact in binary, so that a tie with the threshold is one for both.
    iou=st.integers(0, 8).map(lambda eighths: Fraction(eighths, 8)),
    limit=st.integers(1, 20),
    chunk=st.sampled_from([1, 3, 4096]),
)
def test_the_fast_way_keeps_what_the_slow_one_keeps(candidates, iou, limit, chunk):
    boxes = [each[0] for each in candidates]
    scores = [each[1] for each in candidates]
    classes = [each[2] for each in candidates]
    before, nms._CHUNK = nms._CHUNK, chunk
    try:
        kept = suppress(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(scores, np.float32),
            np.array(classes, np.int64),
            iou=float(iou),
            limit=limit,
        )
    finally:
        nms._CHUNK = before
    assert kept.tolist() == slow(boxes, scores, classes, iou, limit)


def test_a_network_that_finds_everything_is_still_done_in_time():
    random = np.random.default_rng(0)
    count = 200_000
    corner = random.uniform(0, 600, (count, 2))
    boxes = np.concatenate([corner, corner + 30], axis=1).astype(np.float32)
    scores = np.full(count, 0.5, np.float32)
    kept = suppress(boxes, scores, np.zeros(count, np.int64), iou=0.65, limit=100)
    assert len(kept) == 100
    assert kept[0] == 0


@pytest.mark.parametrize("count", [0, 1])
def test_few_candidates_are_kept(count):
    boxes = np.zeros((count, 4), np.float32)
    kept = suppress(boxes, np.ones(count, np.float32), np.zeros(count, np.int64), iou=0.5, limit=10)
    assert kept.tolist() == list(range(count))
