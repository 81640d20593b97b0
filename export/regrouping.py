"""What a Reshape's sizes become where the axes that it regroups change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

__all__ = ["regrouped", "resolved"]


def regrouped(
    pairs: list[tuple[int, int]],
    target: tuple[int, ...],
    maps: Mapping[tuple[int, int], tuple[int, int]],
) -> list[int] | None:
    """Sizes of a reshaped tensor at the new size; None where they do not follow.

    Both shapes are cut into the shortest runs of axes that hold equally many values; a run keeps
    its order, so its sizes at the new size follow.

    Args:
        pairs: Old and new size of every axis of the tensor that is reshaped.
        target: What it is reshaped to at the old size.
        maps: Height and width of maps at the old size, to those at the new one.
    """
    result: list[int] = []
    source, place = 0, 0
    while source < len(pairs) or place < len(target):
        group, sizes = [], []
        held = wanted = 1
        if source < len(pairs):
            group.append(pairs[source])
            held, source = pairs[source][0], source + 1
        if place < len(target):
            sizes.append(target[place])
            wanted, place = target[place], place + 1
        while held != wanted:
            if held < wanted and source < len(pairs):
                group.append(pairs[source])
                held, source = held * pairs[source][0], source + 1
            elif held > wanted and place < len(target):
                sizes.append(target[place])
                wanted, place = wanted * target[place], place + 1
            else:
                return None
        found = _run(group, sizes, maps)
        if found is None:
            return None
        result += found
    return result


def _run(
    group: list[tuple[int, int]],
    sizes: list[int],
    maps: Mapping[tuple[int, int], tuple[int, int]],
) -> list[int] | None:
    real = [pair for pair in group if pair[0] != 1]
    places = [place for place, size in enumerate(sizes) if size != 1]
    if all(old == new for old, new in group):
        turned = len(real) == 1 and len(places) == 2 and _turned(sizes, places, maps)
        # A picture that was turned has as many places as before: they may be these, or channels.
        return None if turned else sizes
    product = math.prod(new for _, new in group)
    if [old for old, _ in real] == [sizes[place] for place in places]:
        fresh = [new for _, new in real]
    elif len(places) == 1:
        fresh = [product]
    else:
        # A flattened map becomes one of two sides again, as attention does.
        key = tuple(sizes[place] for place in places)
        found = maps.get((key[0], key[1])) if len(key) == 2 else None
        if found is None or math.prod(found) != product:
            return None
        fresh = list(found)
    written = list(sizes)
    for place, size in zip(places, fresh, strict=True):
        written[place] = size
    return written


def _turned(
    sizes: list[int], places: list[int], maps: Mapping[tuple[int, int], tuple[int, int]]
) -> bool:
    key = sizes[places[0]], sizes[places[1]]
    new = maps.get(key, key)
    return new != key and math.prod(new) == math.prod(key)


def resolved(value: NDArray[Any], own: list[int]) -> list[int] | None:
    """The shape that a Reshape's operand means for an input; None where it does not fit."""
    sizes = [
        own[place] if size == 0 and place < len(own) else int(size)
        for place, size in enumerate(value.tolist())
    ]
    total = math.prod(own)
    if -1 in sizes:
        rest = -math.prod(sizes)
        if rest <= 0 or total % rest:
            return None
        sizes[sizes.index(-1)] = total // rest
    return sizes if math.prod(sizes) == total else None
