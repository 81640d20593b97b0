"""The search alone, on made-up graphs whose answer is known."""

from __future__ import annotations

import math
import random

import pytest

from edgekit.jobs.steps.bisection import Bisection, cuts, members


def closed(parents):
    """Sets of everything that each tensor was made of, from those it was made of directly."""
    before = []
    for index, own in enumerate(parents):
        bits = 1 << index
        for parent in own:
            bits |= before[parent]
        before.append(bits)
    return before, [sum(1 << parent for parent in own) for own in parents]


def search(parents, good, bad, *, width=8, last=()):
    """Run to the end; return what was found and the number of rounds."""
    bisection = Bisection(*closed(parents), bad, last=last, width=width)
    rounds = 0
    while asked := bisection.next():
        assert len(asked) <= width
        bisection.tell({index: good(index) for index in asked})
        rounds += 1
    return bisection.bad, rounds


def bound(size, width=8):
    return math.ceil(math.log(size, width)) + 2


@pytest.mark.parametrize("size", [2, 9, 100, 1000, 5000])
def test_a_chain_is_searched_in_logarithmically_many_rounds(size):
    parents = [[index - 1] if index else [] for index in range(size)]
    for fault in sorted({0, 1, size // 3, size // 2, size - 2, size - 1}):
        found, rounds = search(parents, lambda index, at=fault: index < at, size - 1)
        assert found == fault
        assert rounds <= bound(size)


@pytest.mark.parametrize("seed", range(12))
def test_in_a_graph_with_branches_the_first_spoilt_tensor_is_found(seed):
    chance = random.Random(seed)
    parents = [
        sorted({chance.randrange(max(0, index - 30), index) for _ in range(chance.randint(1, 3))})
        if index
        else []
        for index in range(400)
    ]
    before, _ = closed(parents)
    end = len(parents) - 1
    fault = chance.choice([index for index in range(end) if before[end] >> index & 1])
    found, rounds = search(parents, lambda index: not before[index] >> fault & 1, end)
    assert found == fault
    assert rounds <= bound(len(parents)) + 1


def test_wide_branches_are_cut_as_well_as_a_chain():
    # Nine branches of forty tensors that meet in one.
    parents = [[index - 1] if index % 40 else [] for index in range(360)]
    parents.append([40 * branch + 39 for branch in range(9)])
    before, _ = closed(parents)
    for fault in (0, 39, 175, 359):
        found, rounds = search(
            parents, lambda index, at=fault: not before[index] >> at & 1, len(parents) - 1
        )
        assert found == fault
        assert rounds <= bound(len(parents))


def test_an_error_that_a_later_tensor_hides_is_found_behind_it():
    # 0 -> 1 (bad) -> 2 (saturated, good) -> 3 = 1 * 2 (bad)
    assert search([[], [0], [1], [1, 2]], lambda index: index in (0, 2), 3)[0] == 1


def test_what_is_found_is_bad_and_was_made_of_good_tensors_even_where_errors_come_and_go():
    chance = random.Random(4)
    for _ in range(60):
        parents = [
            sorted({chance.randrange(index) for _ in range(2)}) if index else []
            for index in range(80)
        ]
        states = [chance.random() < 0.5 for _ in parents]
        states[-1] = False
        found, _ = search(parents, states.__getitem__, len(parents) - 1)
        assert not states[found]
        assert all(states[parent] for parent in parents[found])


def test_what_says_nothing_is_looked_past():
    # 1 is all zeros; its parent is the culprit.
    states = {0: False, 1: None, 2: False}
    assert search([[], [0], [1]], states.get, 2)[0] == 0
    assert search([[], [0], [1]], {0: True, 1: None, 2: False}.get, 2)[0] == 2


def test_tensors_kept_for_last_are_looked_at_where_nothing_else_is_left():
    parents = [[index - 1] if index else [] for index in range(40)]
    last = range(0, 40, 2)
    bisection = Bisection(*closed(parents), 39, last=last, width=8)
    asked = bisection.next()
    assert asked
    assert not set(asked) & set(last)
    for fault in (17, 18):
        assert search(parents, lambda index, at=fault: index < at, 39, last=last)[0] == fault


def test_cuts_halve_the_largest_piece():
    before, _ = closed([[index - 1] if index else [] for index in range(64)])
    assert cuts(before, before[63], 1) == [31]
    assert cuts(before, before[63], 3) == [15, 31, 47]
    assert cuts(before, 0, 3) == []
    assert cuts(before, 0b1010, 8) == members(0b1010) == [1, 3]
