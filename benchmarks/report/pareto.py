"""Which entries are beaten by no other in both latency and accuracy."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["front"]


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the positions of the Pareto front, fastest first.

    A point is on the front where none is both as fast and as accurate and better in one of the two.
    Of equal points the first is taken.

    Args:
        points: Latency (less is better), accuracy (more is better).
    """
    order = sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1], at))
    found: list[int] = []
    for at in order:
        if not found or points[at][1] > points[found[-1]][1]:
            found.append(at)
    return found
