from itertools import islice

import pytest

from edgekit.benchmarks.interleave import mirrored_rounds


@pytest.mark.parametrize("entries", [["a"], ["a", "b"], list(range(7))])
def test_every_round_gives_every_entry_one_turn_and_the_next_mirrors_it(entries):
    rounds = list(islice(mirrored_rounds(entries, seed=4), 12))
    for first, second in zip(rounds[::2], rounds[1::2], strict=True):
        assert sorted(first) == sorted(entries)
        assert second == first[::-1]


def test_the_order_changes_between_pairs_and_repeats_with_the_seed():
    take = [list(islice(mirrored_rounds(range(6), seed=seed), 20)) for seed in (1, 1, 2)]
    assert take[0] == take[1] != take[2]
    assert len(set(take[0])) > 2


def test_a_linear_drift_adds_the_same_to_every_entry():
    positions = dict.fromkeys("abc", 0)
    for number, name in enumerate(n for turn in islice(mirrored_rounds("abc"), 10) for n in turn):
        positions[name] += number
    assert len(set(positions.values())) == 1
