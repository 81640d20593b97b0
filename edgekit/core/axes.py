"""Sizes of axes that follow from others: "past + 1", "32 * h", "n // 2".

The grammar is names, positive integers, parentheses and + - * //; a text outside of it is the name
of an axis of its own, as exporters write many ("unk__7"). Nothing is evaluated by Python: texts
come from files of anyone.
"""

from __future__ import annotations

import ast
import itertools
import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from functools import lru_cache

from edgekit.core.card import Axis

__all__ = [
    "UNBOUNDED",
    "axis_label",
    "axis_names",
    "axis_size",
    "is_derived",
    "label_range",
    "normal_label",
    "renamed_label",
    "same_size",
    "solve_axis",
    "takes_size",
]

# No axis is larger; what has no largest size is looked at up to here.
UNBOUNDED = 2**31 - 1
_LONGEST = 200
# Each name doubles the ends that the range of an expression may have.
_MOST_NAMES = 8
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}
# "batch-size" is a name; a difference of two names has blanks around its sign.
_HYPHEN = re.compile(r"\w-[A-Za-z_]")


def axis_label(axis: int | str | Axis) -> int | str:
    """The size of a fixed axis, the name or expression of a dynamic one."""
    return axis.name if isinstance(axis, Axis) else axis


def is_derived(label: str) -> bool:
    """Whether an axis follows from others, so that it is none of its own."""
    return _tree(label) is not None


def axis_names(label: str) -> tuple[str, ...]:
    """The axes that a label is made of, in order; itself where it is a name."""
    tree = _tree(label)
    if tree is None:
        return (label,)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return tuple(dict.fromkeys(node.id for node in names))


def axis_size(label: str, sizes: Mapping[str, int]) -> int:
    """Compute the size of an axis; 0 where it would be divided by nothing.

    Args:
        label: Its name or expression.
        sizes: Of every name in it.

    Raises:
        KeyError: `sizes` lacks a name.
    """
    tree = _tree(label)
    if tree is None:
        return sizes[label]
    try:
        return _value(tree, sizes)
    except ZeroDivisionError:
        return 0


def normal_label(label: str) -> str:
    """Write an expression in one way: "(s0//2)" as "s0 // 2"."""
    tree = _tree(label)
    return label if tree is None else ast.unparse(tree)


def renamed_label(label: str, names: Mapping[str, str]) -> str:
    """Put other names, or expressions, in the place of those in a label."""
    tree = _tree(label)
    if tree is None:
        return names.get(label, label)
    pieces = {name: f"({names.get(name, name)})" for name in axis_names(label)}
    text = re.sub(r"[A-Za-z_]\w*", lambda match: pieces[match.group()], ast.unparse(tree))
    return normal_label(text)


def same_size(one: str, other: str) -> bool:
    """Whether two labels are one size, whatever the sizes of their axes are."""
    names = axis_names(one)
    if set(names) != set(axis_names(other)):
        return False
    # Polynomials of a low degree that agree at so many unrelated places are one.
    trials = (
        {name: 3 + seed * (7 + 2 * place) + place for place, name in enumerate(sorted(names))}
        for seed in range(9)
    )
    return all(axis_size(one, sizes) == axis_size(other, sizes) for sizes in trials)


def solve_axis(
    label: str, name: str, sizes: Mapping[str, int], axis: Axis, low: int, high: float
) -> range:
    """Find the sizes of one axis at which a label lies within limits.

    Args:
        label: An expression that grows or falls with `name`.
        name: The axis to find sizes of.
        sizes: Of every other name in the label.
        axis: The range of `name`.
        low: Smallest size of the label.
        high: Largest.

    Returns:
        Empty where there is none.
    """
    values = range(axis.min, (axis.max or UNBOUNDED) + 1)

    def at(size: int) -> int:
        return axis_size(label, {**sizes, name: size})

    if at(values[-1]) >= at(values[0]):
        return values[bisect_left(values, low, key=at) : bisect_right(values, high, key=at)]
    return values[
        bisect_left(values, -high, key=lambda size: -at(size)) : bisect_right(
            values, -low, key=lambda size: -at(size)
        )
    ]


def takes_size(axis: int | str | Axis, size: int) -> bool:
    """Whether a place in a shape may be of a size, whatever the other places are."""
    label = axis_label(axis)
    if isinstance(label, int):
        return label == size
    if isinstance(axis, Axis) and not axis.min <= size <= (axis.max or size):
        return False
    first, *others = axis_names(label)
    return bool(others or solve_axis(label, first, {}, Axis(first), size, size))


def label_range(label: str, axes: Mapping[str, Axis]) -> Axis:
    """The range of what follows from axes with ranges of their own.

    Args:
        label: An expression that grows or falls with each of its axes.
        axes: Its axes by name.
    """
    names = axis_names(label)
    if len(names) > _MOST_NAMES:
        return Axis(label)
    ends = []
    for largest in itertools.product((False, True), repeat=len(names)):
        sizes = {
            name: (axes[name].max or UNBOUNDED) if end else axes[name].min
            for name, end in zip(names, largest, strict=True)
        }
        ends.append(axis_size(label, sizes))
    low, high = max(1, min(ends)), max(ends)
    usual = axis_size(label, {name: axes[name].typical or axes[name].min for name in names})
    bounded = high < UNBOUNDED // _LONGEST
    return Axis(label, min=low, typical=max(low, usual), max=high if bounded else None)


@lru_cache(maxsize=1024)
def _tree(label: str) -> ast.expr | None:
    """The expression that a text is; None for a name and for what is outside of the grammar."""
    if len(label) > _LONGEST or _HYPHEN.search(label):
        return None
    try:
        tree = ast.parse(label.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return tree if names and not isinstance(tree, ast.Name) and _fits(tree) else None


def _fits(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return type(node.op) in _OPERATORS and _fits(node.left) and _fits(node.right)
    if isinstance(node, ast.Constant):
        return type(node.value) is int and 0 < node.value <= UNBOUNDED
    return isinstance(node, ast.Name)


def _value(node: ast.expr, sizes: Mapping[str, int]) -> int:
    if isinstance(node, ast.BinOp):
        compute = _OPERATORS[type(node.op)]
        return int(compute(_value(node.left, sizes), _value(node.right, sizes)))
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int), "checked when it was parsed"
        return node.value
    assert isinstance(node, ast.Name), "checked when it was parsed"
    return sizes[node.id]
