"""A finished ONNX graph at another height and width: sizes that it carries inside written anew.

A network of convolutions takes any size, but its file may not: exporters bake the sizes of the maps
into Reshape, Resize, Slice and Expand. Those are recognised by comparing what every tensor measures
at the old size and at the new one, and written for the new one. What depends on the size in its
values (a grid of anchors, a position embedding, a layer over the whole picture) is refused: no
other number would be right there.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import generate_feeds
from edgekit.core.runtime import Array, Feeds
from edgekit.export.cleanup import GraphRunner
from edgekit.export.graph import head_nodes, in_order
from edgekit.export.metadata import graph_card, put_card
from edgekit.export.onnx_file import read_onnx, write_onnx
from edgekit.export.shapes import Tensor, graph_values
from edgekit.export.ultralytics_card import is_ultralytics
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.stream_shape import DEFAULT_STRIDE, card_at, shape_text

__all__ = ["graph_stride", "reshape_input", "resize_graph"]

Sizes = dict[str, tuple[int, ...]]

_END = np.iinfo(np.int64).max
_AGAIN = "Export the model again at that size, or with dynamic height and width."
# They broadcast: a constant beside a map has a value for each of its cells.
_ELEMENTWISE = {
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min",
    "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
}  # fmt: skip
_QDQ = {"QuantizeLinear", "DequantizeLinear"}
# Only rounding may differ where a size is computed instead of read.
_TOLERANCE = 1e-6


def graph_stride(graph: Path) -> int:
    """Return the stride that the metadata of an ONNX file says; else the usual 32 pixels.

    Raises:
        BadInput: Missing, damaged, or no ONNX file.
    """
    for entry in read_onnx(graph).metadata_props:
        if entry.key == "stride":
            digits = "".join(letter if letter.isdigit() else " " for letter in entry.value).split()
            return max((int(word) for word in digits), default=0) or DEFAULT_STRIDE
    return DEFAULT_STRIDE


def resize_graph(
    graph: Path, output: Path, card: ModelCard, size: tuple[int, int], runner: GraphRunner
) -> ModelCard:
    """Write an ONNX file whose image input has a fixed height and width, and a batch of one.

    The written graph must answer as the given one does: at the new size where that one takes any
    size, else at its own. At the new size it must run and give what its declared shapes say.

    Args:
        graph: fp32, fp16 or int8.
        output: Where to write; may be `graph`.
        card: Of the graph, with its inputs filled in.
        size: (height, width), pixels.
        runner: Runs a file.

    Returns:
        The card at that size, as it stands in the file's metadata.

    Raises:
        BadInput: The card letterboxes nothing, or the graph cannot have another size; says why and
            what to do.
    """
    fixed = card_at(card, size)
    model = read_onnx(graph)
    name, tensor = _image(card, model, str(graph))
    place = tensor.layout or "NCHW"
    before = [tensor.shape[place.index(letter)] for letter in "HW"]
    # A graph that takes any size is compared at the new one, another at its own.
    old = _or_size(before[0], size[0]), _or_size(before[1], size[1])
    made = reshape_input(model, name, place, size, str(graph))
    same = made if old == size else reshape_input(model, name, place, old, str(graph))
    _refuse_other_answers(model, _at_old_size(made, same), name, str(graph), runner)
    _refuse_failing(made, str(graph), runner)
    own = graph_card(made, str(graph))
    inputs = {key: _filled(fixed.inputs.get(key), value) for key, value in own.inputs.items()}
    was = "x".join(str(side) for side in before)
    origin = f"{shape_text(size)}, set by edgekit in a graph of {was}"
    fixed = msgspec.structs.replace(
        fixed,
        inputs=inputs,
        outputs=own.outputs,
        provenance={**fixed.provenance, "input_shape": origin},
    )
    _put_imgsz(made, size)
    put_card(made, fixed)
    write_onnx(made, output)
    return fixed


def reshape_input(model: Any, name: str, layout: str, size: tuple[int, int], where: str) -> Any:
    """Return the model with its image input at a height and width, and a batch of one.

    Args:
        model: onnx.ModelProto; left as it is.
        name: Of the image input.
        layout: "NCHW" or "NHWC".
        size: (height, width), pixels.
        where: The file, for messages.

    Raises:
        BadInput: See the module.
    """
    import onnx

    _refuse_branches(model, where)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    entry = next(value for value in changed.graph.input if value.name == name)
    old, new = list[int](), list[int]()
    for letter, axis in zip(layout, entry.type.tensor_type.shape.dim, strict=True):
        wanted = {"N": 1, "H": size[0], "W": size[1]}.get(letter, axis.dim_value)
        old.append(axis.dim_value if axis.dim_value > 0 else wanted)
        new.append(wanted)
    for axis, wanted in zip(entry.type.tensor_type.shape.dim, new, strict=True):
        axis.ClearField("dim_param")
        axis.dim_value = wanted
    others = {
        value.name: tuple(max(1, axis.dim_value) for axis in value.type.tensor_type.shape.dim)
        for value in changed.graph.input
        if value.name != name
    }
    del changed.graph.value_info[:]
    sizes = ({**others, name: tuple(old)}, {**others, name: tuple(new)})
    if old != new:
        _rewrite(changed, model, sizes, where)
    _fold(changed, sizes[1])
    _declare(changed, sizes[1])
    return changed


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


def _rewrite(changed: Any, model: Any, sizes: tuple[Sizes, Sizes], where: str) -> None:
    """Write every baked size for the new one, in the order of the nodes."""
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
        if pairs is None or all(before == after for before, after in pairs):
            continue
        operands = _operands(_Place(node, pairs, maps, old_known, known, where))
        if operands:
            for index, value in operands.items():
                fresh = f"{node.output[0]}_{index}_at_size"
                changed.graph.initializer.append(_tensor(value, fresh))
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
        raise at.refused("its result has no known shape")
    before, now = at.before(1), at.now(1)
    if before is None or now is None or not np.array_equal(before, now):
        # The graph computes it from the size itself.
        return {}
    wanted = _regrouped(at.pairs, target, at.maps.known)
    if wanted is None:
        raise at.refused(f"it makes {list(target)} of {[old for old, _ in at.pairs]}")
    if _resolved(now, [new for _, new in at.pairs]) == wanted:
        return {}
    varying = [place for place, size in enumerate(target) if size != wanted[place]]
    written = list(wanted)
    if len(varying) == 1:
        written[varying[0]] = -1
    return {1: np.array(written, np.int64)}


def _regrouped(
    pairs: list[tuple[int, int]],
    target: tuple[int, ...],
    maps: Mapping[tuple[int, int], tuple[int, int]],
) -> list[int] | None:
    """Sizes of a reshaped tensor at the new size; None where they do not follow.

    Both shapes are cut into the shortest runs of axes that hold equally many values; a run keeps
    its order, so its sizes at the new size follow.
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
    if all(old == new for old, new in group):
        return sizes
    real = [pair for pair in group if pair[0] != 1]
    places = [place for place, size in enumerate(sizes) if size != 1]
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


def _resolved(value: NDArray[Any], own: list[int]) -> list[int] | None:
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
                    hint=_AGAIN,
                )


def _refuse_branches(model: Any, where: str) -> None:
    for node in model.graph.node:
        if any(entry.HasField("g") or len(entry.graphs) for entry in node.attribute):
            raise BadInput(
                f"{where} branches or loops ({node.op_type}), so its size cannot be changed.",
                hint=_AGAIN,
            )


def _refused(node: Any, where: str, why: str) -> BadInput:
    return BadInput(
        f"{where} cannot take another size: {node.op_type} {node.name or node.output[0]!r} is "
        f"written for its own, {why}.",
        hint=_AGAIN,
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


def _fold(model: Any, sizes: Sizes) -> None:
    """Put the shapes that are known now into the graph, and drop what computed them."""
    _, values = graph_values(model, sizes)
    makers = {output: node for node in model.graph.node for output in node.output if output}
    outputs = {value.name for value in model.graph.output}
    present = {tensor.name for tensor in model.graph.initializer}
    scales = {node.input[2] for node in model.graph.node if _has_scales(node)}
    put = []
    for name, value in values.items():
        maker = makers.get(name)
        if maker is None or maker.op_type in {*_QDQ, "Constant"} or name in present | outputs:
            continue
        if value.dtype.kind in "iub" or name in scales:
            put.append((name, value))
    replaced = {name for name, _ in put}
    kept = [node for node in model.graph.node if not set(filter(None, node.output)) <= replaced]
    for name, value in put:
        if all(name not in node.output for node in kept):
            model.graph.initializer.append(_tensor(value, name))
    _keep(model, kept, outputs)


def _has_scales(node: Any) -> bool:
    return node.op_type == "Resize" and len(node.input) > 2


def _keep(model: Any, nodes: list[Any], outputs: set[str]) -> None:
    """Keep of these nodes and of the initializers what an output needs."""
    needed = set(outputs)
    used = []
    for node in reversed(nodes):
        if needed & set(node.output):
            used.append(type(node)())
            used[-1].CopyFrom(node)
            needed.update(node.input)
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    copies = []
    for tensor in tensors:
        copies.append(type(tensor)())
        copies[-1].CopyFrom(tensor)
    del model.graph.node[:]
    model.graph.node.extend(reversed(used))
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
    in_order(model)


def _declare(model: Any, sizes: Sizes) -> None:
    """Write the outputs' shapes, which must follow from the input's."""
    tensors, _ = graph_values(model, sizes)
    for value in model.graph.output:
        found = tensors.get(value.name)
        dims = value.type.tensor_type.shape.dim
        if found is None or found.shape is None:
            # What depends on the data stays open.
            for axis in dims:
                if axis.HasField("dim_value"):
                    axis.dim_param = f"{value.name}_open"
            continue
        del dims[:]
        for size in found.shape:
            dims.add().dim_value = size


def _image(card: ModelCard, model: Any, where: str) -> tuple[str, TensorCard]:
    """Name of the image input, and its tensor as the graph has it with the card's layout."""
    own = graph_card(model, where).inputs
    found = image_input(card) if card.inputs else None
    if found is None:
        found = image_input(ModelCard(inputs=own))
    assert found is not None, "a graph has inputs"
    name, tensor = found
    if name not in own:
        raise BadInput(f"{where} has no input {name!r}.", hint=f"It has: {', '.join(own)}.")
    shape = tuple(axis.name if isinstance(axis, Axis) else axis for axis in own[name].shape)
    return name, TensorCard(shape=shape, dtype=own[name].dtype, layout=tensor.layout)


def _or_size(side: int | str | Axis, size: int) -> int:
    return side if isinstance(side, int) else size


def _filled(known: TensorCard | None, own: TensorCard) -> TensorCard:
    if known is None:
        return own
    return TensorCard(own.shape, own.dtype, known.layout, known.range)


def _at_old_size(made: Any, same: Any) -> Any:
    """Return the graph as rewritten for the new size, where that holds at the old size too.

    A Reshape whose operand says -1 is one text for both sizes; what is not is taken from the graph
    that was rewritten for the old size.
    """
    generic = {tensor.name: tensor for tensor in made.graph.initializer}
    mixed = type(same)()
    mixed.CopyFrom(same)
    swaps = {
        node.output[0]: node.input[1]
        for node in made.graph.node
        if node.op_type == "Reshape" and node.input[1].endswith("_at_size")
    }
    from onnx import numpy_helper

    for node in mixed.graph.node:
        name = swaps.get(node.output[0]) if node.op_type == "Reshape" else None
        if name is not None and -1 in numpy_helper.to_array(generic[name]):
            mixed.graph.initializer.add().CopyFrom(generic[name])
            node.input[1] = name
    return mixed


def _refuse_other_answers(
    model: Any, same: Any, name: str, where: str, runner: GraphRunner
) -> None:
    """Run the graph as it was and as it is written, at the size that it had."""
    feeds = _feeds(same)
    given = next(value for value in model.graph.input if value.name == name)
    batch = given.type.tensor_type.shape.dim[0].dim_value
    before = _run_model(model, _repeated(feeds, name, batch), runner)
    after = _run_model(same, feeds, runner)
    for key, reference in before.items():
        one = reference[:1] if batch > 1 else reference
        if one.shape != after[key].shape or not np.allclose(
            one, after[key], rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
        ):
            raise BadInput(
                f"{where} cannot take another size: written anew, it gives another {key!r} at its "
                "own size already.",
                hint=_AGAIN,
            )


def _repeated(feeds: Feeds, name: str, batch: int) -> dict[str, Array]:
    return {
        key: np.repeat(array, batch, axis=0) if key == name and batch > 1 else array
        for key, array in feeds.items()
    }


def _refuse_failing(made: Any, where: str, runner: GraphRunner) -> None:
    """Run the graph at the new size; its outputs must have the shapes that it declares."""
    feeds = _feeds(made)
    try:
        outputs = _run_model(made, feeds, runner)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BadInput(
            f"{where} cannot take another size: it does not run there ({first.rstrip('.')}).",
            hint=_AGAIN,
        ) from error
    for key, tensor in graph_card(made, where).outputs.items():
        declared = [size for size in tensor.shape if isinstance(size, int)]
        if len(declared) == len(tensor.shape) and tuple(declared) != outputs[key].shape:
            raise BadInput(
                f"{where} cannot take another size: its output {key!r} is {outputs[key].shape} "
                f"there, and {tuple(declared)} follows from its layers.",
                hint=_AGAIN,
            )


def _feeds(model: Any) -> dict[str, Array]:
    tensors = {
        name: TensorCard(tensor.shape, tensor.dtype, range=(0, 1))
        for name, tensor in graph_card(model).inputs.items()
    }
    return generate_feeds(tensors, dict.fromkeys(_open(tensors), 1), 0)


def _open(tensors: Mapping[str, TensorCard]) -> Iterator[str]:
    for tensor in tensors.values():
        for size in tensor.shape:
            if not isinstance(size, int):
                yield size.name if isinstance(size, Axis) else size


def _run_model(model: Any, feeds: Feeds, runner: GraphRunner) -> Mapping[str, Array]:
    with tempfile.TemporaryDirectory(prefix="edgekit-shape-") as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(model.SerializeToString())
        return runner(path, feeds)


def _put_imgsz(model: Any, size: tuple[int, int]) -> None:
    """Let Ultralytics' own metadata say the new size too."""
    if not is_ultralytics({entry.key: entry.value for entry in model.metadata_props}):
        return
    for entry in model.metadata_props:
        if entry.key == "imgsz":
            entry.value = str(list(size))
        elif entry.key == "batch":
            entry.value = "1"
        elif entry.key == "dynamic":
            entry.value = "False"


def _tensor(value: NDArray[Any], name: str) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
