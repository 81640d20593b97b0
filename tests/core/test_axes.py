"""Axes that follow from others."""

from __future__ import annotations

import pytest

from edgekit.core.axes import (
    axis_names,
    axis_size,
    is_derived,
    label_range,
    normal_label,
    renamed_label,
    same_size,
    solve_axis,
    takes_size,
)
from edgekit.core.card import Axis


@pytest.mark.parametrize(
    ("label", "names", "size"),
    [
        ("past + 1", ("past",), 8),
        ("32*h", ("h",), 96),
        ("(n//2)", ("n",), 5),
        ("past - h", ("past", "h"), 4),
        ("2 * (n + past) - 1", ("n", "past"), 33),
    ],
)
def test_a_size_is_computed_from_others(label, names, size):
    assert is_derived(label)
    assert set(axis_names(label)) == set(names)
    assert axis_size(label, {"past": 7, "h": 3, "n": 10}) == size


@pytest.mark.parametrize(
    "label",
    [
        "batch",
        "?",
        "unk__7",
        "batch-size",
        "floor(h/2)",
        "height / 32",
        "3 * 4",
        "__import__('os').getcwd()",
        "(" * 300 + "n",
        "n" + " + 1" * 100,
        "",
    ],
)
def test_anything_else_is_a_name_of_its_own(label):
    assert not is_derived(label)
    assert axis_names(label) == (label,)
    assert axis_size(label, {label: 5}) == 5


def test_names_are_put_in_others_places_with_their_precedence():
    assert renamed_label("2 * s0", {"s0": "past + 1"}) == "2 * (past + 1)"
    assert renamed_label("s0 + s1", {"s0": "n", "s1": "s0"}) == "n + s0"
    assert renamed_label("s0", {"s0": "n"}) == "n"
    assert normal_label("(s27//2)") == "s27 // 2"


def test_two_spellings_are_one_size():
    assert same_size("past + 1", "1 + past")
    assert same_size("2 * n + 2 * m", "2 * (m + n)")
    assert not same_size("past + 1", "past + 2")
    assert not same_size("n", "m")
    assert not same_size("n // 2 * 2", "n")


def test_division_by_nothing_is_no_size():
    assert axis_size("n // (n - 3)", {"n": 3}) == 0


def test_the_sizes_that_solve_an_expression_are_a_range():
    assert list(solve_axis("n // 2", "n", {}, Axis("n"), 3, 3)) == [6, 7]
    assert not solve_axis("2 * n", "n", {}, Axis("n"), 5, 5)
    assert list(solve_axis("m - n", "n", {"m": 10}, Axis("n"), 8, 20)) == [1, 2]


def test_a_range_follows_from_the_ranges_of_the_axes():
    axes = {"h": Axis("h", min=2, typical=4, max=8), "past": Axis("past"), "n": Axis("n", max=9)}
    assert label_range("32 * h", axes) == Axis("32 * h", min=64, typical=128, max=256)
    assert label_range("past + 1", axes) == Axis("past + 1", min=2, typical=2)
    assert label_range("10 - n", axes) == Axis("10 - n", min=1, typical=9, max=9)
    assert label_range("h + n", axes) == Axis("h + n", min=3, typical=5, max=17)


@pytest.mark.parametrize(
    ("axis", "size", "taken"),
    [
        (3, 3, True),
        (3, 4, False),
        ("h", 7, True),
        ("32 * h", 64, True),
        ("32 * h", 65, False),
        (Axis("32 * h", min=64, max=128), 160, False),
        (Axis("h", min=2), 1, False),
        ("n + m", 5, True),
    ],
)
def test_whether_a_place_takes_a_size(axis, size, taken):
    assert takes_size(axis, size) == taken
