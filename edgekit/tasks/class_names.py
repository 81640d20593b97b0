"""From a data set's own classes to the card's labels."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.texts import number, shown

__all__ = ["class_list", "classes_of", "match_classes"]

# More than any data set has; a larger index is a mistake, and would make a list as long.
_MOST_CLASSES = 100_000


def classes_of(names: object, where: str) -> dict[int, str]:
    """Read class names: a list in class order, or a mapping by index, which may have gaps.

    Args:
        names: Plain data; JSON writes the indices of a mapping as text.
        where: The key and its file, for messages.

    Returns:
        Class index to name, in the order of the indices.

    Raises:
        BadInput: It is neither, it is empty, or a key is no index, or is there twice.
    """
    if isinstance(names, list | tuple) and names:
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise BadInput(
            f"{where} is {shown(names)}, which names no classes.",
            hint="Write a list of class names in class order, or a mapping of index to name.",
        )
    found: dict[int, str] = {}
    for key, name in names.items():
        index = number(key.strip()) if isinstance(key, str) else key
        if type(index) is not int or not 0 <= index < _MOST_CLASSES:
            raise BadInput(
                f"{where} has the key {shown(key)}, which is no class index "
                f"from 0 to {_MOST_CLASSES - 1}."
            )
        if index in found:
            raise BadInput(f"{where} names the class {index} twice.")
        found[index] = str(name)
    return dict(sorted(found.items()))


def class_list(named: dict[int, str]) -> tuple[str, ...]:
    """Return one name for each class up to the last; a class without a name is called its index."""
    return tuple(named.get(index, str(index)) for index in range(max(named) + 1))


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
