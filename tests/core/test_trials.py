"""What a graph and its source are both run on."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.card import Axis, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.trials import answer_trials, example_feeds, fit_feeds, trials

WORDS = {
    "ids": TensorCard(shape=("batch", Axis("tokens", min=2, max=64)), dtype="int64"),
    "mask": TensorCard(shape=("batch", Axis("tokens", min=2, max=64)), dtype="bool"),
}


def drawn(tensors, real):
    return [trial.draws[0]() for trial in trials(tensors, real, 0)]


def words(start, length=12):
    """One sample: ids that nothing generated would hit, a mask that hides nothing."""
    return {
        "ids": np.arange(start, start + length, dtype=np.int64)[None],
        "mask": np.zeros((1, length), bool),
    }


def test_real_inputs_fill_the_batches_in_turn():
    cards = {"x": TensorCard(shape=("batch", 2)), "k": TensorCard(shape=(1,))}
    real = [
        {"x": np.full((1, 2), value, np.float32), "k": np.ones(1, np.float32)} for value in (1, 2)
    ]
    assert fit_feeds(cards, real, {"batch": 3})["x"][:, 0].tolist() == [1, 2, 1]
    found = drawn(cards, real)
    assert [feed["x"].shape[0] for feed in found] == [1, 2, 3]
    assert found[0]["x"][0, 0] != found[1]["x"][0, 0]
    assert all(feed["k"].shape == (1,) for feed in found)


def test_where_data_is_given_every_value_is_of_the_data():
    """Ids of 0 and 1 and masks that hide everything were run beside the data."""
    real = [words(40), words(60)]
    found = drawn(WORDS, real)
    assert {feed["ids"].shape[0] for feed in found} == {1, 2, 3}
    assert len({feed["ids"].shape[1] for feed in found}) == 3
    assert found[0]["ids"].tolist() == real[0]["ids"].tolist()
    for feed in found:
        assert feed["ids"].shape == feed["mask"].shape
        assert feed["ids"].min() >= 40
        assert feed["ids"].max() < 72
        assert not feed["mask"].any()


def test_arrays_of_several_lengths_are_brought_to_one():
    found = drawn(WORDS, [words(40, 12), words(60, 5)])
    assert all(feed["ids"].min() >= 40 for feed in found)


def test_an_axis_of_one_size_is_tried_at_that_size():
    cards = {"x": TensorCard(shape=(Axis("batch", min=2, max=2), 3))}
    assert [feed["x"].shape for feed in drawn(cards, [])] == [(2, 3)]
    real = [{"x": np.ones((1, 3), np.float32)}]
    assert [feed["x"].shape for feed in drawn(cards, real)] == [(2, 3)]


def test_axes_that_follow_from_others_are_cut_with_them():
    cards = {
        "past": TensorCard(shape=("batch", "past", 4)),
        "mask": TensorCard(shape=("batch", "past + 1")),
        "pair": TensorCard(shape=("2 * batch", 1)),
    }
    real = {
        "past": np.ones((1, 7, 4), np.float32),
        "mask": np.ones((1, 8), np.float32),
        "pair": np.ones((2, 1), np.float32),
    }
    for feed in drawn(cards, [real]):
        batch, past, _ = feed["past"].shape
        assert feed["mask"].shape == (batch, past + 1)
        assert feed["pair"].shape == (2 * batch, 1)
    wrong = {**real, "mask": np.ones((1, 7), np.float32)}
    with pytest.raises(BadInput, match="past \\+ 1"):
        trials(cards, [wrong], 0)


def test_an_empty_state_grows_out_of_zeros():
    cards = {"past": TensorCard(shape=("batch", "past"))}
    found = example_feeds(cards, [{"past": np.ones((1, 0), np.float32)}])
    assert found["past"].tolist() == [[0]]


def test_a_length_follows_where_its_axis_was_cut_and_the_source_refuses_the_real_one():
    cards = {**WORDS, "lengths": TensorCard(shape=("batch",), dtype="int64")}
    real = [{**words(40), "lengths": np.array([12])}]

    def source(feeds):
        if feeds["lengths"].max() > feeds["ids"].shape[1]:
            raise BadInput("too long")
        return {"y": feeds["ids"].astype(np.float32)}

    answers, failures = answer_trials(source, trials(cards, real, 0))
    assert not failures
    for one in answers:
        assert one.feeds["lengths"].max() == min(12, one.sizes["tokens"])


def test_generated_inputs_that_have_no_answer_are_drawn_again_and_then_left_out():
    wanted = trials(WORDS, [], 0)
    seen = []

    def source(feeds):
        seen.append(feeds["ids"])
        value = np.nan if len(seen) == 1 or feeds["ids"].shape[0] == 3 else 1.0
        return {"y": np.full(2, value, np.float32)}

    answers, failures = answer_trials(source, wanted)
    assert [one.finite for one in answers] == [True, True, False]
    assert not np.array_equal(seen[0], seen[1])
    (failure,) = failures
    assert failure.sizes["batch"] == 3
    assert "NaN" in str(failure)
    assert "batch=3" in str(failure)


def test_a_sample_longer_than_the_axis_takes_is_cut():
    found = drawn(WORDS, [words(0, 100)])
    assert max(feed["ids"].shape[1] for feed in found) <= 64


def test_an_array_of_another_rank_is_named():
    with pytest.raises(BadInput, match="'ids' has 2 axes"):
        trials(WORDS, [{**words(0), "ids": np.arange(3)}], 0)
