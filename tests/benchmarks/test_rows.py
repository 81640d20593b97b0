"""Rows that a selection chose: where scores tie order is nothing, and other rows are everything."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.benchmarks.rows import Rows, match_rows
from edgekit.core.parity import ParityMeter

COUNT = 24


def selection(seed=0, *, ties=4, batch=False):
    """Boxes, scores, classes and masks of one image, best first; scores come in runs of `ties`."""
    random = np.random.default_rng(seed)
    scores = np.repeat(np.sort(random.uniform(0.1, 0.99, COUNT // ties))[::-1], ties)
    call = {
        "boxes": random.uniform(0, 300, (COUNT, 4)).astype(np.float32),
        "scores": scores.astype(np.float32),
        "labels": random.integers(1, 5, COUNT),
        "masks": random.uniform(0, 1, (COUNT, 1, 6, 6)).astype(np.float32),
    }
    return {name: array[None] for name, array in call.items()} if batch else call


def reordered(call, order, axis=0):
    return {name: np.take(array, order, axis) for name, array in call.items()}


def worst(one, other):
    figures = []
    for name in one:
        meter = ParityMeter()
        meter.add(one[name], other[name])
        figures.append(meter.result().sqnr_db)
    return min(figures)


def matched(expected, got):
    (one,), (other,), found = match_rows([expected], [got], tuple(expected))
    return worst(one, other), found


def within_ties(ties=4, seed=1):
    random = np.random.default_rng(seed)
    runs = [start + random.permutation(ties) for start in range(0, COUNT, ties)]
    return np.concatenate(runs)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_rows_whose_scores_tie_have_no_order(batch, noise):
    # Red where outputs are compared as they stand: 1 dB.
    expected = selection(batch=batch)
    got = reordered(expected, within_ties(), axis=int(batch))
    got["boxes"] = (got["boxes"] * (1 + noise)).astype(np.float32)
    assert worst(expected, got) < 10
    db, found = matched(expected, got)
    assert db > 120
    assert found["boxes"] == found["masks"]
    assert found["boxes"].moved > 5
    assert found["boxes"].unjudged == 0


def test_rows_in_one_array_are_matched_by_their_column_of_scores():
    call = selection()
    rows = np.column_stack([call["boxes"], call["scores"], call["labels"]])[None].astype("f4")
    db, found = matched({"y": rows}, {"y": rows[:, within_ties()]})
    assert db == 300
    assert found["y"].unjudged == 0


def test_scores_that_nearly_tie_may_change_places_too():
    expected = selection(ties=1)
    got = reordered(expected, [1, 0, *range(2, COUNT)])
    got["scores"] = expected["scores"].copy()
    expected["scores"][1] = expected["scores"][0] * (1 - 1e-6)
    got["scores"][:2] = expected["scores"][:2]
    db, found = matched(expected, got)
    assert db > 100
    assert found["boxes"] == Rows(moved=2, unjudged=0)


@pytest.mark.parametrize("what", ["boxes", "labels", "masks", "scores"])
def test_rows_that_are_others_stay_others(what):
    expected, other = selection(), selection(seed=5)
    got = reordered({**expected, what: other[what]}, within_ties())
    db, _ = matched(expected, got)
    assert db < 30


def test_a_pair_of_box_and_score_that_was_torn_apart_stays_wrong():
    # Each output holds the right rows, and the scores are in the right order.
    expected = selection(ties=1)
    got = {**expected, "boxes": expected["boxes"][::-1].copy()}
    db, _ = matched(expected, got)
    assert db < 30


def test_a_list_in_the_wrong_order_stays_wrong():
    expected = selection(ties=1)
    got = reordered(expected, np.arange(COUNT)[::-1])
    db, found = matched(expected, got)
    assert db < 30
    assert found == {}


def test_without_scores_nothing_says_that_the_order_is_open():
    expected = selection()
    del expected["scores"]
    got = reordered(expected, within_ties())
    db, found = matched(expected, got)
    assert db == 300
    assert found["boxes"].unjudged == found["boxes"].moved > 0


def test_which_of_equal_scores_come_last_is_not_judged():
    expected, other = selection(), selection(seed=5)
    got = {name: array.copy() for name, array in expected.items()}
    for name in ("boxes", "labels", "masks"):
        got[name][-4:-1] = other[name][-4:-1]
    db, found = matched(expected, got)
    assert db == 300
    assert found["boxes"] == Rows(moved=0, unjudged=3)
    # Rows that are wrong further up are judged.
    for name in ("boxes", "labels", "masks"):
        got[name][3] = other[name][3]
    db, _ = matched(expected, got)
    assert db < 30


def test_a_match_no_better_than_chance_is_no_pass():
    # int8 passes with 10 dB, which the nearest of many other rows reaches as well.
    random = np.random.default_rng(0)
    scores = np.full(300, 0.5, np.float32)
    expected = {"boxes": random.normal(size=(300, 2)), "scores": scores}
    got = {"boxes": random.normal(size=(300, 2)), "scores": scores}
    assert worst(expected, got) < 0
    _, found = matched(expected, got)
    assert found["boxes"].unjudged > 100


def test_what_cannot_be_matched_comes_back_as_it_is():
    expected = selection()
    shorter = {name: array[:-1] for name, array in expected.items()}
    broken = {**expected, "boxes": np.full_like(expected["boxes"], np.nan)}
    for got in (shorter, broken, expected):
        (one,), (other,), found = match_rows([expected], [got], tuple(expected))
        assert all(one[name] is expected[name] for name in expected)
        assert all(other[name] is got[name] for name in got)
        assert found == {}


def test_noise_moves_no_row():
    # As int8 leaves it: some row is nearer than the own one by chance.
    random = np.random.default_rng(0)
    expected = {"y": random.uniform(0, 1, (1, 200, 2)), "s": np.linspace(1, 0.1, 200)[None]}
    got = {**expected, "y": expected["y"] + random.normal(0, 0.1, (1, 200, 2))}
    _, found = matched(expected, got)
    assert found == {}
