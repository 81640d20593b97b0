"""The front holds what no other beats in both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekit.benchmarks.report.pareto import front

POINT = st.tuples(st.integers(1, 9).map(float), st.integers(0, 9).map(float))


def beats(one, other):
    return one[0] <= other[0] and one[1] >= other[1] and one != other


def test_the_fastest_and_the_most_accurate_are_on_it():
    assert front([(3, 0.9), (1, 0.5), (2, 0.4), (2, 0.7)]) == [1, 3, 0]
    assert front([]) == []


@given(st.lists(POINT, min_size=1, max_size=12))
def test_nothing_on_it_is_beaten_and_all_else_is(points):
    found = front(points)
    for at, point in enumerate(points):
        beaten = any(beats(other, point) for other in points)
        twin = any(points[on] == point for on in found)
        assert twin != beaten
        assert not (at in found and beaten)
