"""Inputs made up from a card."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.card import Axis, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import (
    axis_sizes,
    batch_axis,
    dynamic_axes,
    generate_feeds,
    parse_shape,
    resolve_shape,
    sizes_from_shapes,
    trial_sizes,
)

IMAGE = TensorCard(shape=(Axis("batch", max=8), 3, "height", 4))

axes = st.builds(
    lambda name, low, more, top: Axis(
        name, min=low, typical=low + more, max=None if top is None else low + more + top
    ),
    st.sampled_from(["batch", "time", "height"]),
    st.integers(1, 4),
    st.integers(0, 4),
    st.none() | st.integers(0, 4),
)
sizes = st.integers(1, 5) | axes
dtypes = st.sampled_from(["float32", "float16", "float64", "int64", "int32", "uint8", "bool"])
tensors = st.dictionaries(
    st.sampled_from(["x", "y", "z"]),
    st.builds(
        lambda shape, dtype: TensorCard(shape=tuple(shape), dtype=dtype),
        st.lists(sizes, max_size=3),
        dtypes,
    ),
    min_size=1,
)


def consistent(cards: dict[str, TensorCard]) -> bool:
    try:
        dynamic_axes(cards)
    except BadInput:
        return False
    return True


@given(tensors.filter(consistent))
def test_every_trial_lies_within_the_ranges_and_fills_every_shape(cards):
    for trial in trial_sizes(cards):
        assert axis_sizes(cards, trial) == trial
        feeds = generate_feeds(cards, trial, 3)
        for name, card in cards.items():
            assert feeds[name].shape == resolve_shape(card, trial)
            assert feeds[name].dtype == np.dtype(card.dtype)


@given(tensors.filter(consistent))
def test_trials_are_three_where_an_axis_has_room_and_all_differ(cards):
    trials = trial_sizes(cards)
    room = [(axis.max or axis.min + 9) - axis.min for axis in dynamic_axes(cards).values()]
    assert len({tuple(trial.items()) for trial in trials}) == len(trials)
    if batch_axis(cards) and max(room, default=0) >= 9:
        assert len(trials) == 3
    if not room:
        assert trials == ({},)


@given(
    st.lists(st.integers(1, 9999) | st.from_regex(r"[A-Za-z_]\w{0,5}", fullmatch=True), max_size=5)
)
def test_a_shape_survives_being_written_and_parsed(shape):
    shape = [size if isinstance(size, int) or size.isascii() else "a" for size in shape]
    assert parse_shape(",".join(map(str, shape))).shape == tuple(shape)
    assert parse_shape(" , ".join(map(str, shape)) + ":int64").dtype == "int64"


@pytest.mark.parametrize("text", ["0,3", "-1,3", "1,,3", "1.5", "2x", "1,3:complex64", "1:no", "٣"])
def test_a_wrong_shape_is_refused_and_quoted(text):
    with pytest.raises(BadInput) as caught:
        parse_shape(text)
    assert text in caught.value.message


def test_same_seed_same_values_whatever_the_order_of_the_card():
    cards = {"a": TensorCard(shape=("batch", 4)), "b": TensorCard(shape=("batch", 4))}
    first = generate_feeds(cards, {"batch": 2}, 7)
    turned = generate_feeds(dict(reversed(cards.items())), {"batch": 2}, 7)
    assert all(np.array_equal(first[name], turned[name]) for name in cards)
    assert not np.array_equal(first["a"], first["b"])
    assert not np.array_equal(first["a"], generate_feeds(cards, {"batch": 2}, 8)["a"])


def test_a_range_is_kept_and_its_ends_are_reached():
    cards = {
        "token": TensorCard(shape=(400,), dtype="int64", range=(3, 5)),
        "pixel": TensorCard(shape=(400,), range=(0, 255)),
    }
    feeds = generate_feeds(cards, {}, 0)
    assert set(feeds["token"]) == {3, 4, 5}
    assert feeds["pixel"].min() >= 0
    assert 200 < feeds["pixel"].max() <= 255


def test_an_input_that_no_memory_holds_and_an_unknown_dtype_are_refused():
    for shape in ((2**40,), (2**62, 2**62)):
        with pytest.raises(BadInput, match="more than is free"):
            generate_feeds({"x": TensorCard(shape=shape)}, {}, 0)
    with pytest.raises(BadInput, match="bfloat17"):
        generate_feeds({"x": TensorCard(shape=(1,), dtype="bfloat17")}, {}, 0)


def test_axes_take_their_typical_size_unless_asked_otherwise():
    cards = {"x": TensorCard(shape=(Axis("batch", max=8), Axis("time", min=2, typical=5)))}
    assert axis_sizes(cards) == {"batch": 1, "time": 5}
    assert axis_sizes(cards, {"batch": 8}) == {"batch": 8, "time": 5}
    with pytest.raises(BadInput, match="takes 1 to 8, not 9"):
        axis_sizes(cards, {"batch": 9})
    with pytest.raises(BadInput, match="bach") as caught:
        axis_sizes(cards, {"bach": 1})
    assert "'batch'" in caught.value.hint


def test_one_name_with_two_ranges_is_refused():
    cards = {
        "x": TensorCard(shape=(Axis("batch", max=8),)),
        "y": TensorCard(shape=(Axis("batch", max=9),)),
    }
    with pytest.raises(BadInput, match="'batch'"):
        dynamic_axes(cards)
    cards["y"] = TensorCard(shape=("batch",))
    assert dynamic_axes(cards) == {"batch": Axis("batch", max=8)}
    assert dynamic_axes(dict(reversed(cards.items()))) == {"batch": Axis("batch", max=8)}


def test_sizes_are_read_off_the_shapes_a_user_typed():
    cards = {"x": IMAGE, "mask": TensorCard(shape=("batch", "height"))}
    assert sizes_from_shapes(cards, {"x": "2,3,6,4"}) == {"batch": 2, "height": 6}
    for shapes, said in (
        ({"x": "2,3,6"}, "4 axes"),
        ({"x": "2,1,6,4"}, "3 wide"),
        ({"x": "2,3,6,4", "mask": "3,6"}, "both 2 and 3"),
        ({"x": "batch,3,6,4"}, "must be a number"),
        ({"y": "1"}, "no input 'y'"),
        ({"x": "9,3,6,4"}, "takes 1 to 8"),
    ):
        with pytest.raises(BadInput, match=said):
            sizes_from_shapes(cards, shapes)


def test_a_dynamic_axis_without_a_size_is_named():
    with pytest.raises(BadInput, match=r"'height'.*'x'"):
        generate_feeds({"x": IMAGE}, {"batch": 1}, 0)


def test_an_axis_that_follows_from_another_is_none_of_its_own():
    cards = {
        "past": TensorCard(shape=("batch", Axis("past", max=16), 4)),
        "mask": TensorCard(shape=("batch", "past + 1")),
    }
    assert list(dynamic_axes(cards)) == ["batch", "past"]
    feeds = generate_feeds(cards, axis_sizes(cards, {"past": 7}), 0)
    assert feeds["mask"].shape == (1, 8)
    for trial in trial_sizes(cards):
        assert resolve_shape(cards["mask"], trial)[1] == trial["past"] + 1
    assert sizes_from_shapes(cards, {"mask": "2,9"}) == {"batch": 2, "past": 8}
    with pytest.raises(BadInput, match=r"past \+ 1.*both 8 and 9"):
        sizes_from_shapes(cards, {"past": "1,7,4", "mask": "1,9"})
    with pytest.raises(BadInput, match="never 1 wide"):
        sizes_from_shapes(cards, {"mask": "1,1"})


@pytest.mark.parametrize(
    ("label", "limits", "expected"),
    [
        ("32 * h", (64, 256), Axis("h", min=2, max=8)),
        ("n // 2", (3, 5), Axis("n", min=6, max=11)),
        ("10 - n", (1, None), Axis("n", min=1, max=9)),
        ("n - 1", (1, None), Axis("n", min=2)),
        ("2 * n + 1", (5, 5), Axis("n", min=2, max=2)),
    ],
)
def test_the_range_of_what_follows_narrows_what_it_follows_from(label, limits, expected):
    cards = {"x": TensorCard(shape=(1, Axis(label, min=limits[0], max=limits[1])))}
    (found,) = dynamic_axes(cards).values()
    assert found == expected
    for trial in trial_sizes(cards):
        size = resolve_shape(cards["x"], trial)[1]
        assert limits[0] <= size <= (limits[1] or size)


def test_a_typical_size_that_follows_is_kept():
    cards = {"x": TensorCard(shape=(1, Axis("32 * h", min=64, typical=128, max=256)))}
    assert resolve_shape(cards["x"], axis_sizes(cards)) == (1, 128)


def test_sizes_of_two_axes_are_found_at_which_their_difference_is_in_its_range():
    cards = {
        "all": TensorCard(shape=(1, Axis("total", max=9))),
        "old": TensorCard(shape=(1, Axis("past", max=9))),
        "new": TensorCard(shape=(1, Axis("total - past", min=3))),
    }
    for trial in [axis_sizes(cards), *trial_sizes(cards)]:
        assert trial["total"] - trial["past"] >= 3
    with pytest.raises(BadInput, match="total - past"):
        axis_sizes(cards, {"total": 3, "past": 3})


def test_no_size_at_all_is_said():
    cards = {"x": TensorCard(shape=(1, Axis("32 * h", min=33, max=63)))}
    with pytest.raises(BadInput, match="32 \\* h"):
        dynamic_axes(cards)


@pytest.mark.parametrize("text", ["past + 1", "n//2", "2*(n+m)", "a - b"])
def test_arithmetic_is_taken_in_a_shape(text):
    (size,) = parse_shape(text).shape
    assert size.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["0", "2147483648", "1" * 5000])
def test_a_size_that_no_axis_has_is_refused(text):
    with pytest.raises(BadInput, match="1 to 2147483647"):
        parse_shape(f"batch,{text}")


@pytest.mark.parametrize(
    "text", ["n + 0", "n / 2", "n ** 2", "-n", "f(n)", "n.m", "n[0]", "n if n else 1", "n + 1.5"]
)
def test_what_is_no_arithmetic_over_axes_is_refused(text):
    with pytest.raises(BadInput, match="neither a size .* nor a name"):
        parse_shape(text)
