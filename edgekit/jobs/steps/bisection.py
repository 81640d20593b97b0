"""Which tensors of a graph to look at next, on the way to the first one that is wrong.

A graph has branches, so this is no search along a line. It goes as version control finds a bad
commit: what is good vouches for everything that it was made of, what is bad was spoilt by itself or
by something before it, and what remains in question is cut into pieces as equal as its shape
allows. Several tensors are looked at in one round, so the rounds grow with the logarithm of the
graph's size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

__all__ = ["Bisection", "cuts", "members"]


class Bisection:
    """Finds a bad tensor that was made of good ones.

    Sets of tensors are integers: bit i stands for tensor i of a topological order.

    Args:
        before: One a tensor: the tensors that it was made of, and itself.
        parents: One a tensor: those that it was made of directly.
        bad: A tensor known to be bad, where the search begins.
        last: Tensors to look at only where nothing else is left.
        width: Tensors that may be looked at in one round.
    """

    def __init__(
        self,
        before: Sequence[int],
        parents: Sequence[int],
        bad: int,
        *,
        last: Collection[int] = (),
        width: int,
    ) -> None:
        self._before = before
        self._parents = parents
        self._last = sum(1 << index for index in last)
        self._width = width
        self._good: set[int] = set()
        self._left_out = 0
        self.bad = bad

    def next(self) -> list[int]:
        """Return the tensors to look at now; none where `bad` is the one looked for."""
        asked = self._in_question & ~(1 << self.bad)
        for part in (asked & ~self._last, asked):
            if part:
                return cuts(self._before, part, self._width)
        # Parents that only a good child vouched for: a later node may have hidden their error.
        unseen = [index for index in self._made_of(self.bad) if index not in self._good]
        return unseen[: self._width]

    def tell(self, found: Mapping[int, bool | None]) -> None:
        """Take in what was seen.

        Args:
            found: Tensor to whether it is good; None where that cannot be said.
        """
        for index, good in found.items():
            if good is None:
                self._left_out |= 1 << index
            elif good:
                self._good.add(index)
        wrong = [index for index, good in found.items() if good is False]
        if self.bad not in found:
            wrong.append(self.bad)
        self.bad = min(wrong, default=self.bad)

    def _made_of(self, index: int) -> list[int]:
        """The tensors that one was made of directly, past those that say nothing."""
        found: list[int] = []
        for parent in members(self._parents[index]):
            found += self._made_of(parent) if self._left_out >> parent & 1 else [parent]
        return list(dict.fromkeys(found))

    @property
    def _in_question(self) -> int:
        vouched = 0
        for index in self._good:
            # One that was made of the bad tensor and is good all the same hides its error.
            if not self._before[index] >> self.bad & 1:
                vouched |= self._before[index]
        return self._before[self.bad] & ~vouched & ~self._left_out


def cuts(before: Sequence[int], part: int, width: int) -> list[int]:
    """Choose tensors that cut a set into pieces, always halving the largest piece.

    Args:
        before: One a tensor: the tensors that it was made of, and itself.
        part: The set.
        width: Tensors to choose at most.

    Returns:
        Tensors of the set, in topological order.
    """
    pieces, chosen = [part], 0
    while pieces and chosen.bit_count() < width:
        piece = max(pieces, key=int.bit_count)
        pieces.remove(piece)
        free = members(piece & ~chosen)
        if not free:
            continue
        sizes = {index: (before[index] & piece).bit_count() for index in free}
        half = min(free, key=lambda index: abs(2 * sizes[index] - piece.bit_count()))
        chosen |= 1 << half
        pieces += [one for one in (before[half] & piece, piece & ~before[half]) if one]
    return members(chosen)


def members(part: int) -> list[int]:
    """Return the tensors of a set in topological order."""
    found = []
    while part:
        lowest = part & -part
        found.append(lowest.bit_length() - 1)
        part ^= lowest
    return found
