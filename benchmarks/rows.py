"""Rows that a top-k or a suppression chose, put row against row before parity compares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# Lies beside run.py in packed folders too: nothing of edgekit is imported, older Pythons run it.
# ruff: noqa: B905
__all__ = ["Rows", "match_rows"]

Array = npt.NDArray[Any]
Call = Mapping[str, Array]

# More rows are compared as they stand: every one is held against every other.
_MOST = 1000
# Fewer numbers may never grow by chance.
_FEW = 8
# Mean square of a row's difference, in units of the outputs' own, up to which it is one row: 80 dB.
_SAME = 1e-8
# A row found elsewhere is the right one only if it is so much closer than the reference's rows are
# to each other; else any row would do, and a match shows nothing.
_CLOSER = 4.0


class Rows(NamedTuple):
    """What matching the rows of a set of outputs came to, over all calls.

    Attributes:
        moved: Rows that were compared with the row of another place.
        unjudged: Rows of which nothing tells whether they are right: they were chosen among equal
            scores at the end of a list and left out, or no scores show that their order is open,
            or they are no closer to their partner than rows are to each other.
    """

    moved: int = 0
    unjudged: int = 0


def match_rows(
    expected: Sequence[Call], got: Sequence[Call], names: Sequence[str]
) -> tuple[list[dict[str, Array]], list[dict[str, Array]], dict[str, Rows]]:
    """Compare as sets what a top-k or a suppression has put into an order.

    The order of rows with equal scores is no property of a model, and neither is which of them a
    top-k takes last. So the rows of all outputs of a set are paired as a whole, the nearest first;
    a row stays where it is if no other is nearer. Rows change places only where both sides are
    sorted by the same scores, so a list in a wrong order stays wrong. A column of scores is a
    float a row that never grows in the reference.

    Args:
        expected: Outputs of the reference by name, call by call.
        got: Of the other, alike.
        names: The outputs whose rows one selection chose: (R, …), or (B, R, …).

    Returns:
        Both with the rows of `got` in the reference's places and rows that cannot be judged zero on
        both sides, and by output what was done. Other outputs, and those whose shapes differ or
        that are not finite, come back as they are.
    """
    one, other = ([dict(call) for call in calls] for calls in (expected, got))
    found: dict[str, Rows] = {}
    for first, second in zip(one, other):
        for axis, members in _sets(first, second, names):
            for image in range(first[members[0]].shape[0] if axis else 1):
                at = (image,) if axis else (...,)
                result = _match(
                    [first[name][at] for name in members], [second[name][at] for name in members]
                )
                if result is None:
                    continue
                place, left_out, count = result
                for name in members:
                    for call, order in ((first, slice(None)), (second, place)):
                        call[name] = call[name].copy()
                        call[name][at] = call[name][at][order]
                        call[name][at][left_out] = 0
                    before = found.get(name, Rows())
                    found[name] = Rows(*(sum(pair) for pair in zip(before, count)))
    return one, other, found


def _sets(one: Call, other: Call, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the axis of the rows and the outputs that share them."""
    usable = [
        name
        for name in names
        if name in one
        and one[name].shape == other[name].shape
        and one[name].ndim
        and np.isfinite(one[name]).all()
        and np.isfinite(other[name]).all()
    ]
    # A number a row says how many rows there are; else images come first.
    counts = {one[name].shape[0] for name in usable if one[name].ndim == 1}
    groups: dict[tuple[int, ...], list[str]] = {}
    for name in usable:
        shape = one[name].shape
        axis = 0 if shape[0] in counts or len(shape) == 1 else 1
        groups.setdefault(shape[: axis + 1], []).append(name)
    for key, members in groups.items():
        flat = len(key) == 2 and all(one[name].ndim == 2 for name in members)
        if flat and len(members) == 1:
            yield 0, members  # (R, numbers) of one image
        else:
            yield len(key) - 1, members


def _match(
    expected: Sequence[Array], got: Sequence[Array]
) -> tuple[Array, npt.NDArray[np.bool_], tuple[int, int]] | None:
    """Pair the rows (R, …) of one image.

    Returns:
        The row of `got` for each place, which places are left out, and the counts of `Rows`; None
        where all stays as it is.
    """
    count = len(expected[0])
    one, other = _features(expected, expected), _features(got, expected)
    stand = np.square(one - other).sum(axis=1)
    if count < 2 or count > _MOST or stand.max() <= _SAME:
        return None
    scores = _scores(expected, got)
    if scores is None:
        return None
    costs = _distances(one, other)
    np.fill_diagonal(costs, stand)
    place = _assigned(costs)
    cost = costs[np.arange(count), place]
    among = _distances(one, one)
    np.fill_diagonal(among, np.inf)
    wrong = cost > np.maximum(among.min(axis=1) / _CLOSER, _SAME)
    left_out = np.zeros(count, np.bool_)
    if scores and wrong.any():
        truth, given = scores[0]
        tie = np.abs(truth - given).max() + 1e-6 * np.abs(truth).max()
        tail = truth - truth[-1] <= tie
        if (tail | ~wrong).all() and (given - given[-1] <= tie)[place[wrong]].all():
            left_out = wrong
    if not left_out.any() and stand.sum() <= _CLOSER * cost.sum():
        return None  # Noise: as good in its own places.
    moved = (place != np.arange(count)) & (stand > _SAME) & ~left_out
    open_ = left_out | (moved & (wrong if scores else True))
    return place, left_out, (int(moved.sum()), int(open_.sum()))


def _features(rows: Sequence[Array], unit: Sequence[Array]) -> npt.NDArray[np.float64]:
    """Every row as one vector in which each output weighs the same."""
    parts = []
    for array, own in zip(rows, unit):
        flat = array.reshape(len(array), -1).astype(np.float64)
        size = np.sqrt(np.square(own.astype(np.float64)).mean()) or 1.0
        parts.append(flat / (size * np.sqrt(max(flat.shape[1], 1) * len(rows))))
    return np.concatenate(parts, axis=1)


def _scores(
    expected: Sequence[Array], got: Sequence[Array]
) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] | None:
    """Find what rows are sorted by: floats of their own, else columns beside others.

    Returns:
        The scores of both sides; empty where nothing is seen to be one; None where the reference is
        sorted and the other is not.
    """
    floats = [
        (truth.reshape(len(truth), -1), given.reshape(len(given), -1))
        for truth, given in zip(expected, got)
        if truth.dtype.kind == "f" and truth.ndim <= 2
    ]
    alone = [pair for pair in floats if pair[0].shape[1] == 1]
    pairs = [
        (truth[:, column].astype(np.float64), given[:, column].astype(np.float64))
        for truth, given in alone or floats
        for column in range(truth.shape[1])
    ]
    sorted_ = [pair for pair in pairs if _falls(pair[0])]
    if all(_falls(given) for _, given in sorted_):
        return sorted_
    return None if alone or len(expected[0]) >= _FEW else []


def _falls(column: npt.NDArray[np.float64]) -> bool:
    """Say whether numbers never grow; whole ones are classes, but for scores that are all 1."""
    classes = bool((column == np.rint(column)).all()) and bool((column != 1).any())
    return not classes and bool((np.diff(column) <= 0).all())


def _distances(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Squared distance of every pair of rows."""
    squares = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)[None, :]
    return np.asarray(np.maximum(squares - 2 * one @ other.T, 0))


def _assigned(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give each row a partner of its own: itself where none is nearer, then the nearest pairs."""
    count = len(costs)
    own = np.diagonal(costs)
    stays = (own <= costs.min(axis=1) + _SAME) & (own <= costs.min(axis=0) + _SAME)
    place = np.where(stays, np.arange(count), -1)
    free = np.flatnonzero(~stays)
    rest = costs[np.ix_(free, free)]
    taken = np.zeros((2, len(free)), np.bool_)
    for pair in np.argsort(rest, axis=None, kind="stable"):
        row, column = divmod(int(pair), len(free))
        if not taken[0, row] and not taken[1, column]:
            taken[0, row] = taken[1, column] = True
            place[free[row]] = free[column]
    return place
