"""A graph made plain, once, when it is read: what all else may rely on.

After it every tensor and every node has a name that nothing else in the model has, in bodies too;
nodes stand in order and each makes something; weights are no inputs; a size without a name has
none; there are no local functions. Nothing that is computed changes, and a plain graph stays as it
is, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgekit.core.axes import axis_names, is_derived
from edgekit.core.errors import BadInput
from edgekit.core.onnx_bytes import all_nodes, bodies, first_line
from edgekit.export.graph import in_order, take
from edgekit.export.graph_writer import graph_names, rename
from edgekit.export.shapes import inferred_values

__all__ = ["make_plain"]

# Nodes of a graph whose local functions are written out; the largest real graphs have 20,000.
_MOST_NODES = 1_000_000
# Before it, initializers had to be inputs too.
_IR_OF_OWN_WEIGHTS = 4
# What exporters write for a size that they do not know.
_UNKNOWN = frozenset({"", "?", "-1", "none", "null", "unknown", "dynamic", "any", "*"})
# Letters, digits and what stands between them in names: "batch size", "DynamicDimension.0".
_NAME = re.compile(r"[^\W\d][\w .:-]*")


def make_plain(model: Any, path: Path) -> list[str]:
    """Make a model plain, in place, and check it.

    Args:
        model: onnx.ModelProto with its weights.
        path: The file, for messages.

    Returns:
        A sentence for each change that a user should know of.

    Raises:
        BadInput: It is no valid graph.
    """
    notes = _trimmed(model)
    _refuse_large_functions(model, path)
    # Bodies may have names of tensors that come later outside, which is no cycle.
    _name_values(model.graph)
    notes += _ordered(model, path)
    _shape_outputs(model)
    _check(model, path)
    if model.functions:
        _inline(model, path)
        _name_values(model.graph)
        notes.append("The local functions of the file were written out as nodes.")
    _compute_outputs(model.graph)
    _drop_false_notes(model)
    notes += _name_nodes(model.graph)
    _name_axes(model.graph)
    return notes


def _check(model: Any, path: Path) -> None:
    import onnx

    try:
        onnx.checker.check_model(model)
    except Exception as error:  # the checker raises what its parts raise
        raise BadInput(
            f"{path} is not a valid ONNX graph: {first_line(error)}.",
            hint="Export the model again; onnx.checker.check_model gives the details.",
        ) from error


def _trimmed(model: Any) -> list[str]:
    """Drop what no run of the graph uses."""
    notes = []
    graph = model.graph
    if model.training_info:
        del model.training_info[:]
        notes.append("What the file says on training was left out.")
    weights = {tensor.name for tensor in graph.initializer}
    weights |= {tensor.values.name for tensor in graph.sparse_initializer}
    defaults = [value.name for value in graph.input if value.name in weights]
    if defaults:
        _keep(graph.input, [value.name not in weights for value in graph.input])
        if model.ir_version >= _IR_OF_OWN_WEIGHTS:
            notes.append(
                f"{_counted(len(defaults), 'input')} with a value in the file "
                f"({defaults[0]!r}) keep that value."
            )
    if weights and 3 <= model.ir_version < _IR_OF_OWN_WEIGHTS:
        model.ir_version = _IR_OF_OWN_WEIGHTS
    twice = {value.name: place for place, value in reversed(list(enumerate(graph.output)))}
    if len(twice) < len(graph.output):
        kept = [twice[value.name] == place for place, value in enumerate(graph.output)]
        _keep(graph.output, kept)
        notes.append("Outputs that the file names twice are there once.")
    idle = [not any(node.output) for node in graph.node]
    if any(idle):
        _keep(graph.node, [not one for one in idle])
        notes.append(f"{_counted(sum(idle), 'node')} without a result were left out.")
    # The last value of a key holds, as in every reader that makes a dictionary of them.
    last = {entry.key: place for place, entry in enumerate(model.metadata_props)}
    _keep(
        model.metadata_props,
        [last[entry.key] == place for place, entry in enumerate(model.metadata_props)],
    )
    return notes


def _shape_outputs(model: Any) -> None:
    """Give outputs whose shape the file leaves out the one that follows from the graph."""
    if all(value.type.tensor_type.HasField("shape") for value in model.graph.output):
        return
    import onnx

    try:
        found = onnx.shape_inference.infer_shapes(model).graph.output
    except Exception:  # without a shape the checker says which output has none
        return
    for value, inferred in zip(model.graph.output, found, strict=True):
        if value.type.WhichOneof("value") in (None, "tensor_type"):
            value.type.CopyFrom(inferred.type)


def _compute_outputs(graph: Any) -> None:
    """Let a node make each output that the file gives away as the weight that it is."""
    from onnx import helper

    weights = {tensor.name for tensor in graph.initializer}
    for value in [value for value in graph.output if value.name in weights]:
        name = value.name
        own = _Names(graph_names(graph)).own(name)
        rename(graph, {name: own})
        value.name = name
        graph.node.append(helper.make_node("Identity", [own], [name]))


def _drop_false_notes(model: Any) -> None:
    """Drop what the file notes of tensors in between that are not there or are otherwise.

    Engines refuse such a file; they find out by themselves what follows.
    """
    noted = model.graph.value_info
    if not noted:
        return
    made = set(_made(model.graph))
    found = inferred_values(model)
    _keep(
        noted,
        [
            value.name in made and (value.name not in found or _agree(value, found[value.name]))
            for value in noted
        ],
    )


def _agree(noted: Any, found: Any) -> bool:
    if noted.type.WhichOneof("value") != found.type.WhichOneof("value"):
        return noted.type.WhichOneof("value") is None or found.type.WhichOneof("value") is None
    one, other = noted.type.tensor_type, found.type.tensor_type
    if one.elem_type != other.elem_type:
        return not (one.elem_type and other.elem_type)
    if not (one.HasField("shape") and other.HasField("shape")):
        return True
    pairs = list(zip(one.shape.dim, other.shape.dim, strict=False))
    return len(one.shape.dim) == len(other.shape.dim) and all(
        size.dim_value == own.dim_value
        for size, own in pairs
        if size.HasField("dim_value") and own.HasField("dim_value")
    )


def _ordered(model: Any, path: Path) -> list[str]:
    before = [list(node.output) for node in model.graph.node]
    try:
        in_order(model)
    except ValueError as error:
        raise BadInput(
            f"{path} is not a valid ONNX graph: {error}.", hint="Export the model again."
        ) from error
    if before == [list(node.output) for node in model.graph.node]:
        return []
    return ["The nodes of the file were not in order, and were sorted."]


# --- functions -------------------------------------------------------------------------------


def _refuse_large_functions(model: Any, path: Path) -> None:
    """Refuse functions that call themselves or that multiply; native code would not end."""
    functions = {(one.domain, one.name, one.overload): one for one in model.functions}
    sizes: dict[Any, int] = {}
    open_calls: list[Any] = []

    def size(holder: Any) -> int:
        total = 0
        for node in all_nodes(holder):
            key = node.domain, node.op_type, node.overload
            total += of_function(key) if key in functions else 1
        return total

    def of_function(key: Any) -> int:
        if key in open_calls or len(open_calls) > len(functions):
            raise BadInput(
                f"{path} is not a valid ONNX graph: its function {key[1]!r} calls itself.",
                hint="Export the model again.",
            )
        if key not in sizes:
            open_calls.append(key)
            sizes[key] = size(functions[key])
            open_calls.pop()
        return sizes[key]

    try:
        total = size(model.graph) if functions else 0
        for key in functions:
            total = max(total, of_function(key))
    except RecursionError:
        total = _MOST_NODES + 1
    if total > _MOST_NODES:
        raise BadInput(
            f"{path} has local functions that stand for more than {_MOST_NODES:,} nodes.",
            hint="Export the model again without local functions.",
        )


def _inline(model: Any, path: Path) -> None:
    import onnx.inliner

    try:
        model.CopyFrom(onnx.inliner.inline_local_functions(model))
    except Exception as error:  # the inliner raises bare RuntimeError from C++
        raise BadInput(
            f"The local functions of {path} cannot be written out: {first_line(error)}.",
            hint="Export the model again without local functions.",
        ) from error
    del model.functions[:]


# --- names -----------------------------------------------------------------------------------


class _Names:
    """Names that are taken, and free ones like them."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._counts: dict[str, int] = {}

    def own(self, name: str) -> str:
        """Return the name where it is free, else one like it; it is taken then."""
        if name not in self._taken:
            self._taken.add(name)
            return name
        count = self._counts.get(name, 1)
        while (made := f"{name}_{(count := count + 1)}") in self._taken:
            pass
        self._counts[name] = count
        self._taken.add(made)
        return made


def _made(graph: Any) -> list[str]:
    """Names of the tensors that a graph itself defines, in order."""
    names = [value.name for value in graph.input]
    names += [tensor.name for tensor in graph.initializer]
    names += [tensor.values.name for tensor in graph.sparse_initializer]
    names += [name for node in graph.node for name in node.output]
    return list(filter(None, dict.fromkeys(names)))


def _name_values(graph: Any) -> None:
    """Give every tensor in bodies a name of its own, and every node's first result a name."""
    names = _Names(_made(graph))
    _name_first(graph, names)
    for node in graph.node:
        for body in bodies(node):
            _name_body(body, names, {})


def _name_first(graph: Any, names: _Names) -> None:
    for node in graph.node:
        if node.output and not node.output[0]:
            node.output[0] = names.own(f"{node.op_type}_unused")


def _name_body(body: Any, names: _Names, outer: Mapping[str, str]) -> None:
    """Rename what a body defines and what it reads of the graphs around it.

    Args:
        body: The graph inside.
        names: Taken names.
        outer: Old to new name of what was renamed in the graphs around it.
    """
    scope = {**outer, **{name: names.own(name) for name in _made(body)}}
    for value in (*body.input, *body.output, *body.value_info, *body.initializer):
        value.name = scope.get(value.name, value.name)
    for tensor in body.sparse_initializer:
        tensor.values.name = scope.get(tensor.values.name, tensor.values.name)
    for node in body.node:
        for own in (node.input, node.output):
            for place, name in enumerate(own):
                if name in scope:
                    own[place] = scope[name]
    _name_first(body, names)
    for node in body.node:
        for inner in bodies(node):
            _name_body(inner, names, scope)


def _name_nodes(graph: Any) -> list[str]:
    """Give every node whose name stands twice a name of its own; empty names stay empty."""
    nodes = list(all_nodes(graph))
    given = [node.name for node in nodes if node.name]
    if len(given) == len(set(given)):
        return []
    names, seen, renamed = _Names(given), set[str](), 0
    for node in nodes:
        if node.name in seen:
            node.name = names.own(node.name)
            renamed += 1
        elif node.name:
            seen.add(node.name)
    return [f"{_counted(renamed, 'node')} had the name of another, and got one of their own."]


def _name_axes(graph: Any) -> None:
    """Take away names of sizes that are none: "?", "-1", expressions of what has no name.

    The same expression in several places is one size, so it gets one name.
    """
    plain = {
        size.dim_param
        for value in graph.input
        for size in value.type.tensor_type.shape.dim
        if _is_name(size.dim_param)
    }
    called: dict[str, str] = {}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for place, size in enumerate(value.type.tensor_type.shape.dim):
            text = size.dim_param
            if size.HasField("dim_value"):
                if size.dim_value < 0:
                    size.Clear()
                continue
            if not text or _is_name(text) or (is_derived(text) and {*axis_names(text)} <= plain):
                continue
            if text.strip().lower() in _UNKNOWN:
                size.Clear()
                continue
            name = called.setdefault(text, "batch" if place == 0 else f"{value.name}_{place}")
            size.dim_param = name


def _is_name(text: str) -> bool:
    return bool(
        text.strip().lower() not in _UNKNOWN and _NAME.fullmatch(text) and not is_derived(text)
    )


def _keep(repeated: Any, kept: list[bool]) -> None:
    """Keep some entries of a repeated field."""
    if not all(kept):
        entries = take(repeated)
        repeated.extend(entry for entry, keep in zip(entries, kept, strict=True) if keep)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
