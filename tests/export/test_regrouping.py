"""What a Reshape's sizes become where the axes that it regroups change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.export.regrouping import regrouped, resolved

SIDES = st.integers(2, 9)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(1, 4), st.integers(1, 4))
def test_a_map_is_flattened_and_unfolded_at_either_size(h, w, new_h, new_w, anchors, values):
    pairs = [(1, 1), (anchors * values, anchors * values), (h, new_h), (w, new_w)]
    maps = {(h, w): (new_h, new_w)}
    channels = anchors * values
    assert regrouped(pairs, (1, channels, h * w), maps) == [1, channels, new_h * new_w]
    if (anchors, values) != (h, w):
        split = regrouped(pairs, (1, anchors, values, h, w), maps)
        assert split == [1, anchors, values, new_h, new_w]
    flat = [(1, 1), (channels, channels), (h * w, new_h * new_w)]
    if h * w != new_h * new_w:
        assert regrouped(flat, (1, channels, h, w), maps) == [1, channels, new_h, new_w]
    elif (h, w) != (new_h, new_w):
        # As many places, turned: channels of that number look the same.
        assert regrouped(flat, (1, channels, h, w), maps) is None


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5), st.data())
def test_axes_that_are_joined_hold_all_their_values(pairs, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(pairs)), max_size=3)) | {len(pairs)})
    groups = [pairs[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]
    target = tuple(math.prod(old for old, _ in group) for group in groups)
    expected = [math.prod(new for _, new in group) for group in groups]
    assert regrouped(pairs, target, {}) == expected


def test_what_does_not_follow_is_not_guessed():
    # 64 values become 4 x 16: neither side is a side of a map.
    assert regrouped([(1, 1), (64, 40)], (1, 4, 16), {}) is None
    # Two maps of one size that differ afterwards: the product tells.
    assert regrouped([(1, 1), (64, 40)], (1, 8, 8), {(8, 8): (8, 8)}) is None
    # Not as many values.
    assert regrouped([(1, 1), (64, 40)], (1, 65), {}) is None


@pytest.mark.parametrize(
    ("value", "own", "expected"),
    [
        ([0, 6, -1], [1, 6, 5, 8], [1, 6, 40]),
        ([1, 6, 40], [1, 6, 5, 8], [1, 6, 40]),
        ([1, 6, 64], [1, 6, 5, 8], None),
        ([-1, 64], [1, 6, 5, 8], None),
    ],
)
def test_what_an_operand_means(value, own, expected):
    assert resolved(np.array(value, np.int64), own) == expected
