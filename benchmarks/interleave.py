"""The order in which entries take turns, so that drift strikes all of them alike."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["mirrored_rounds"]

T = TypeVar("T")


def mirrored_rounds(entries: Sequence[T], *, seed: int = 0) -> Iterator[tuple[T, ...]]:
    """Yield rounds without end; in each, every entry has one turn.

    Every second round is the mirror image of the one before (ABBA), so that over both a linear
    drift of the machine adds the same to every entry; each pair starts from a new random order.

    Args:
        entries: What takes turns.
        seed: Of the random orders.
    """
    order = list(entries)
    rng = random.Random(seed)  # noqa: S311  (no secret hangs on it)
    while True:
        rng.shuffle(order)
        yield tuple(order)
        yield tuple(reversed(order))
