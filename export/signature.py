"""What a network says about its tensors, and what the card says: brought together or refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edgekit.core.axes import axis_label, axis_names, is_derived, renamed_label, same_size
from edgekit.core.card import Axis, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest

__all__ = ["match_names", "merge_tensors"]


def match_names(
    own: tuple[str, ...], card: Mapping[str, TensorCard], where: str
) -> dict[str, TensorCard | None]:
    """Give every input of a network the card's tensor: by name, or the one for the one.

    Args:
        own: Names as the network has them, in order.
        card: Tensors as the card has them; empty where it is silent.
        where: The model, for the message.

    Returns:
        The network's own name to the card's tensor, in the network's order.

    Raises:
        BadInput: The card names an input that is not there, or leaves one out.
    """
    if not card:
        return dict.fromkeys(own)
    if set(own) == set(card):
        return {name: card[name] for name in own}
    unknown = [name for name in card if name not in own]
    if unknown:
        raise BadInput(f"{where} has no tensor {unknown[0]!r}.", hint=closest(unknown[0], own))
    absent = [name for name in own if name not in card]
    raise BadInput(f"The card leaves out {absent[0]!r} of {where}.", hint="Add it to the card.")


def merge_tensors(
    own: Mapping[str, TensorCard], card: Mapping[str, TensorCard | None], where: str
) -> tuple[dict[str, TensorCard], list[str]]:
    """Combine what a finished graph fixes with what the card adds: names, ranges, layout.

    The graph's sizes and dtypes stand. A name that the card gives to a dynamic axis replaces the
    graph's own; a range may only narrow the graph's.

    Args:
        own: The graph's tensors; an Axis carries the range the graph was traced for.
        card: The card's tensor for each of them, or None.
        where: The model, for messages.

    Returns:
        The tensors, and a sentence for every place where the graph is less free than the card.

    Raises:
        BadInput: A dtype, a rank or a fixed size contradicts the graph, or a range leaves it.
    """
    notes: list[str] = []
    names = _card_names(own, card)
    merged = {}
    for name, tensor in own.items():
        wanted = card.get(name)
        if wanted is None:
            merged[name] = tensor
            continue
        if wanted.dtype != tensor.dtype:
            raise BadInput(
                f"The card says {wanted.dtype} for {name!r}, but {where} has {tensor.dtype}."
            )
        if len(wanted.shape) != len(tensor.shape):
            raise BadInput(
                f"The card gives {name!r} {len(wanted.shape)} axes, "
                f"but {where} has {len(tensor.shape)}."
            )
        shape = tuple(
            _merge_axis(_renamed(mine, names), theirs, f"axis {index} of {name!r}", where, notes)
            for index, (mine, theirs) in enumerate(zip(tensor.shape, wanted.shape, strict=True))
        )
        merged[name] = msgspec.structs.replace(wanted, shape=shape)
    return merged, notes


def _card_names(
    own: Mapping[str, TensorCard], card: Mapping[str, TensorCard | None]
) -> dict[str, str]:
    """The graph's names of axes to the card's, as far as the card names the same places."""
    names: dict[str, str] = {}
    pairs = [
        (axis_label(mine), axis_label(theirs))
        for name, tensor in own.items()
        for mine, theirs in zip(tensor.shape, getattr(card.get(name), "shape", ()), strict=False)
    ]
    # What stands alone is named first; then the one name of an expression, "32 * s0" as "32 * h".
    for derived in (False, True):
        for mine, theirs in pairs:
            if not (isinstance(mine, str) and isinstance(theirs, str)):
                continue
            one, other = axis_names(mine), axis_names(theirs)
            if is_derived(mine) == is_derived(theirs) == derived and len(one) == len(other) == 1:
                names.setdefault(one[0], other[0])
    return names


def _renamed(axis: int | str | Axis, names: Mapping[str, str]) -> int | str | Axis:
    """An axis that follows from others, under the card's names of those."""
    label = axis_label(axis)
    if isinstance(label, int) or not is_derived(label):
        return axis
    label = renamed_label(label, names)
    return msgspec.structs.replace(axis, name=label) if isinstance(axis, Axis) else label


def _merge_axis(
    own: int | str | Axis, card: int | str | Axis, place: str, where: str, notes: list[str]
) -> int | str | Axis:
    if isinstance(own, int):
        if isinstance(card, int):
            if own != card:
                raise BadInput(
                    f"The card says {card} for {place}, but {where} is fixed at {own} there.",
                    hint="Correct the card, or export the model at that size.",
                )
            return own
        label = card if isinstance(card, str) else card.name
        if isinstance(card, Axis) and not card.min <= own <= (card.max or own):
            raise BadInput(
                f"The card's range for {place} leaves out {own}, at which {where} is fixed."
            )
        notes.append(f"{place} is {label!r} in the card, but {where} is fixed at {own} there.")
        return own
    range_ = own if isinstance(own, Axis) else Axis(own)
    if isinstance(card, int):
        if card < range_.min or (range_.max is not None and card > range_.max):
            raise _outside(place, str(card), range_, where)
        notes.append(f"{place} is fixed at {card} in the card; {where} keeps it dynamic.")
        return msgspec.structs.replace(range_, typical=card)
    label = card if isinstance(card, str) else card.name
    if is_derived(range_.name) and not same_size(range_.name, label):
        if is_derived(label):
            raise BadInput(
                f"The card says {label!r} for {place}, but {where} has {range_.name!r} there.",
                hint="Correct the card.",
            )
        notes.append(f"{place} is {label!r} in the card; in {where} it is {range_.name!r}.")
        label = range_.name
    if isinstance(card, str):
        # Nothing but a name: the graph's own range stands.
        return msgspec.structs.replace(range_, name=label)
    beyond = range_.max is not None and card.max is not None and card.max > range_.max
    if card.min < range_.min or beyond:
        raise _outside(place, f"{card.min} to {card.max or 'any size'}", range_, where)
    return msgspec.structs.replace(card, name=label, max=card.max or range_.max)


def _outside(place: str, wanted: str, range_: Axis, where: str) -> BadInput:
    top = "any size" if range_.max is None else range_.max
    return BadInput(
        f"The card asks for {wanted} on {place}, but {where} was exported for "
        f"{range_.min} to {top}.",
        hint="Narrow the range in the card, or export the program again.",
    )
