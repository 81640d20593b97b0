"""From a data set's own classes to the card's labels."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.errors import BadInput
from edgekit.core.names import closest

__all__ = ["match_classes"]


def match_classes(
    names: Sequence[str], labels: Sequence[str], where: str
) -> tuple[tuple[int, ...], str]:
    """Find the label of each of a data set's classes: by name, else by order.

    Args:
        names: The data set's classes in its own order.
        labels: The card's labels; empty means that the data set's order is the order of classes.
        where: What names the classes, for the message.

    Returns:
        The label's index for each name, and a sentence worth telling (empty where by name).

    Raises:
        BadInput: The names are not among the labels, and their numbers differ too.
    """
    if not labels:
        return tuple(range(len(names))), ""
    unique = len(set(labels)) == len(labels) and len(set(names)) == len(names)
    if unique and set(names) <= set(labels):
        return tuple(labels.index(name) for name in names), ""
    if len(names) == len(labels):
        return tuple(range(len(names))), (
            f"The classes of {where} were taken as the card's labels in order, since the names "
            "differ."
        )
    stranger = next((name for name in names if name not in labels), names[0])
    raise BadInput(
        f"{where} has {len(names)} classes and the card names {len(labels)} labels, and "
        f"{stranger!r} is not among these.",
        hint=closest(stranger, labels) if len(labels) <= 100 else "Name the classes as the labels.",
    )
