"""Sizes that an exporter baked into a graph, written for another size of its input.

Every tensor is measured at the old size and at the new one; where both differ, the targets of
Reshape, Resize, Slice and Expand are written for the new one, in the order of the nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import BadInput
from edgekit.export.graph import head_nodes
from edgekit.export.regrouping import regrouped, resolved
from edgekit.export.shapes import Tensor, graph_values

__all__ = ["AGAIN", "Sizes", "rewrite_sizes", "small_tensor"]

Sizes = dict[str, tuple[int, ...]]

# What to do where a graph cannot have another size.
AGAIN = "Export the model again at that size, or with dynamic height and width."
_END = np.iinfo(np.int64).max
# They broadcast: a constant beside a map has a value for each of its cells.
_ELEMENTWISE = {
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min",
    "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
}  # fmt: skip


class _Maps:
    """What every tensor measures at the old size and at the new one."""

    def __init__(self, old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> None:
        self._old, self._new = old, new
        # Sizes of maps by their old sizes: what a product of two sides is made of.
        self.known: dict[tuple[int, int], tuple[int, int]] = {}
        for name, tensor in old.items():
            pairs = self.pairs(name)
            if tensor.shape is not None and len(tensor.shape) == 4 and pairs is not None:
                for first in (1, 2):
                    (a, b), (c, d) = pairs[first : first + 2]
                    if (a, c) != (b, d):
                        self.known.setdefault((a, c), (b, d))

    def pairs(self, name: str) -> list[tuple[int, int]] | None:
        """Old and new size of every axis; None where one of them is not known."""
        old, new = self._old.get(name), self._new.get(name)
        if old is None or new is None or old.shape is None or new.shape is None:
            return None
        if len(old.shape) != len(new.shape):
            return None
        return list(zip(old.shape, new.shape, strict=True))

    def old(self, name: str) -> tuple[int, ...] | None:
        """Shape at the old size."""
        tensor = self._old.get(name)
        return None if tensor is None else tensor.shape


def rewrite_sizes(changed: Any, model: Any, sizes: tuple[Sizes, Sizes], where: str) -> None:
    """Write every baked size for the new one, in the order of the nodes.

    Args:
        changed: onnx.ModelProto with its inputs at the new size; changed in place.
        model: The same at the old size.
        sizes: Shapes of the inputs by name, at the old size and at the new one.
        where: The file, for messages.

    Raises:
        BadInput: A value, a weight or a window is for the old size only.
    """
    old_tensors, old_values = graph_values(model, sizes[0])
    old_known = {**_constants(model), **old_values}
    tensors, values = graph_values(changed, sizes[1])
    constant = _constant_names(model)
    head, _ = head_nodes(model)
    for node in list(changed.graph.node):
        maps = _Maps(old_tensors, tensors)
        _refuse_tied(node, maps, constant, where)
        if node.output and node.output[0] in head:
            _refuse_sizes_as_values(node, old_known, sizes, where)
        known = {**_constants(changed), **values}
        pairs = maps.pairs(node.input[0]) if node.input else None
        if pairs is None:
            continue
        if node.op_type != "Reshape" and all(before == after for before, after in pairs):
            continue
        operands = _operands(_Place(node, pairs, maps, old_known, known, where))
        if operands:
            for index, value in operands.items():
                # A graph that is rewritten twice has that name already.
                taken = {tensor.name for tensor in changed.graph.initializer}
                fresh = f"{node.output[0]}_{index}_at_size"
                while fresh in taken:
                    fresh = f"{fresh}_at_size"
                changed.graph.initializer.append(small_tensor(value, fresh))
                while len(node.input) <= index:
                    node.input.append("")
                node.input[index] = fresh
            tensors, values = graph_values(changed, sizes[1])


@dataclass(frozen=True)
class _Place:
    """A node whose first input changes its size.

    Attributes:
        pairs: Old and new size of every axis of that input.
        maps: All tensors.
        old_known: Small known values at the old size, by name.
        known: The same at the new size.
        where: The file, for messages.
    """

    node: Any
    pairs: list[tuple[int, int]]
    maps: _Maps
    old_known: Mapping[str, NDArray[Any]]
    known: Mapping[str, NDArray[Any]]
    where: str

    @property
    def result(self) -> tuple[int, ...] | None:
        """Shape of what the node makes at the old size."""
        return self.maps.old(self.node.output[0])

    def before(self, place: int) -> NDArray[Any] | None:
        """Value of an input at the old size; None where it is left out or not known."""
        return self.old_known.get(self._name(place))

    def now(self, place: int) -> NDArray[Any] | None:
        """Value of an input at the new size, as the graph has it."""
        return self.known.get(self._name(place))

    def baked(self, place: int) -> NDArray[Any] | None:
        """Value of an input that is the same at both sizes, so that nothing computes it."""
        before, now = self.before(place), self.now(place)
        if before is None or now is None or not np.array_equal(before, now):
            return None
        return before

    def refused(self, why: str) -> BadInput:
        """Why the node cannot be written for the new size."""
        return _refused(self.node, self.where, why)

    def _name(self, place: int) -> str:
        return self.node.input[place] if place < len(self.node.input) else ""


def _operands(at: _Place) -> dict[int, NDArray[Any]]:
    """Inputs of a node, by place, that must be other numbers at the new size."""
    rule = _RULES.get(at.node.op_type)
    return {} if rule is None else rule(at)


def _reshape(at: _Place) -> dict[int, NDArray[Any]]:
    target = at.result
    if any(old == 1 for old, new in at.pairs if old != new):
        raise at.refused("at which the whole picture has become one cell")
    if target is None:
        if all(old == new for old, new in at.pairs):
            return {}
        raise at.refused("its result has no known shape")
    before, now = at.before(1), at.now(1)
    if before is None or now is None or not np.array_equal(before, now):
        # The graph computes it from the size itself.
        return {}
    wanted = regrouped(at.pairs, target, at.maps.known)
    if wanted is None:
        raise at.refused(f"it makes {list(target)} of {[old for old, _ in at.pairs]}")
    if resolved(now, [new for _, new in at.pairs]) == wanted:
        return {}
    varying = [place for place, size in enumerate(target) if size != wanted[place]]
    written = list(wanted)
    if len(varying) == 1:
        written[varying[0]] = -1
    return {1: np.array(written, np.int64)}


def _resize(at: _Place) -> dict[int, NDArray[Any]]:
    before, target = at.baked(3), at.result
    if before is None or target is None:
        return {}
    if len(before) != len(at.pairs):
        raise at.refused("it names some of its axes only")
    wanted = []
    for (old, new), size in zip(at.pairs, target, strict=True):
        if new * size % old:
            raise at.refused(f"it makes {size} of {old}, which is no whole factor")
        wanted.append(new * size // old)
    return {3: np.array(wanted, np.int64)}


def _slice(at: _Place) -> dict[int, NDArray[Any]]:
    starts, ends, axes, steps = (at.before(place) for place in range(1, 5))
    if starts is None or ends is None or at.baked(2) is None:
        return {}
    places = np.arange(len(starts)) if axes is None else axes.ravel()
    strides = np.ones(len(starts), np.int64) if steps is None else steps.ravel()
    written, differs = ends.ravel().astype(np.int64), False
    for place, axis in enumerate(places.tolist()):
        old, new = at.pairs[axis]
        if old == new:
            continue
        start, end, step = (int(values.ravel()[place]) for values in (starts, ends, strides))
        if step < 1 or not 0 <= start < step or 0 <= end < old:
            raise at.refused(f"it cuts {start} to {end} out of {old}")
        if old <= end < _END:
            written[place], differs = _END, True
    return {2: written} if differs else {}


def _expand(at: _Place) -> dict[int, NDArray[Any]]:
    before = at.baked(1)
    if before is None:
        return {}
    written = before.astype(np.int64)
    for back in range(1, min(len(at.pairs), len(written)) + 1):
        old, new = at.pairs[-back]
        if old != new and written[-back] == old:
            written[-back] = new
    return {} if np.array_equal(written, before) else {1: written}


_RULES: dict[str, Callable[[_Place], dict[int, NDArray[Any]]]] = {
    "Expand": _expand,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
}


def _refuse_tied(node: Any, maps: _Maps, constant: set[str], where: str) -> None:
    """Refuse what has a value, a weight or a window for every cell of a map."""
    first = maps.pairs(node.input[0]) if node.input else None
    if node.op_type in _ELEMENTWISE:
        moving = [name for name in node.input if name and name not in constant]
        fixed = [name for name in node.input if name in constant]
        for one in moving:
            pairs = maps.pairs(one)
            for other in fixed:
                shape = maps.old(other)
                if pairs is None or shape is None:
                    continue
                for (old, new), size in zip(pairs[::-1], shape[::-1], strict=False):
                    if old != new and size > 1:
                        raise BadInput(
                            f"{where} holds a constant for each of {size} places of the picture at "
                            f"its own size ({other!r}: a grid of anchors or positions), so it "
                            "cannot take another size.",
                            hint="Export the model again at that size, or with dynamic height and "
                            "width (Ultralytics: imgsz=HEIGHT,WIDTH or dynamic=True).",
                        )
    elif node.op_type in ("MatMul", "Gemm") and first is not None:
        weight = maps.old(node.input[1])
        if node.input[1] in constant and weight is not None and first[-1][0] != first[-1][1]:
            raise BadInput(
                f"{where} ends in a layer over the whole picture "
                f"({node.name or node.output[0]!r}), whose weights fit one size only.",
                hint="A network that ends so cannot take another size.",
            )
    elif node.op_type in ("AveragePool", "MaxPool") and first is not None:
        after = maps.old(node.output[0])
        if after is not None and any(
            old != new and old > 1 and size == 1
            for (old, new), size in zip(first[2:], after[2:], strict=True)
        ):
            raise _refused(node, where, "its window is the whole picture at the old size")


def _refuse_sizes_as_values(
    node: Any,
    known: Mapping[str, NDArray[Any]],
    sizes: tuple[Sizes, Sizes],
    where: str,
) -> None:
    """Refuse a decoder that calculates with the height or width itself: scaled or clipped boxes."""
    lost = {
        old
        for name, shape in sizes[0].items()
        for old, new in zip(shape, sizes[1][name], strict=True)
        if old != new
    }
    for name in node.input:
        value = known.get(name)
        if value is None or value.dtype.kind != "f" or value.size > 4:
            continue
        for number in value.ravel().tolist():
            if any(number in (side, side - 1) or abs(number * side - 1) < 1e-6 for side in lost):
                raise BadInput(
                    f"{where} calculates with its own size ({number:g} in "
                    f"{node.name or node.output[0]!r}), so it cannot take another one.",
                    hint=AGAIN,
                )


def _refused(node: Any, where: str, why: str) -> BadInput:
    return BadInput(
        f"{where} cannot take another size: {node.op_type} {node.name or node.output[0]!r} is "
        f"written for its own, {why}.",
        hint=AGAIN,
    )


def _constants(model: Any) -> dict[str, NDArray[Any]]:
    """Small constants by name: shapes, ends, scales."""
    from onnx import numpy_helper

    found = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if math.prod(tensor.dims) <= 64
    }
    for node in model.graph.node:
        for entry in node.attribute if node.op_type == "Constant" else ():
            if entry.name == "value" and math.prod(entry.t.dims) <= 64:
                found[node.output[0]] = numpy_helper.to_array(entry.t)
    return found


def _constant_names(model: Any) -> set[str]:
    """Tensors that no input decides, not even its size."""
    names = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if all(name in names for name in node.input if name):
            names.update(node.output)
    return names


def small_tensor(value: NDArray[Any], name: str) -> Any:
    """Return onnx.TensorProto of an array."""
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
