"""Small questions about an ONNX graph that calibration and the writers share."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.onnx_bytes import bodies, first_line

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = [
    "at_least_opset",
    "attribute",
    "constant_value",
    "constants",
    "consumers",
    "graph_reads",
    "head_nodes",
    "in_order",
    "is_weighted",
    "opset_of",
    "producers",
    "reads",
    "take",
    "weight_axis",
    "with_initializers",
]

# Operators with a weight that engines compute in int8.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the default operator set."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def at_least_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return the model with its default operator set at `opset` or above.

    A model that is new enough comes back as it is; metadata survives a conversion.

    Raises:
        BadInput: ONNX's converter has no rule for one of the operators.
    """
    if opset_of(model) >= opset:
        return model
    import onnx.version_converter

    try:
        raised = onnx.version_converter.convert_version(model, opset)
    except Exception as error:  # the converter raises bare RuntimeError from C++
        raise BadInput(
            f"The model has opset {opset_of(model)} and cannot be raised to {opset}: "
            f"{first_line(error)}.",
            hint=f"Export it again with --opset {opset} or above.",
        ) from error
    # Per-axis quantization needs IR 3 at least; the converter keeps the old one, and initializers
    # need not be inputs from IR 4 on.
    raised.ir_version = max(model.ir_version, raised.ir_version)
    if not raised.metadata_props:
        raised.metadata_props.extend(model.metadata_props)
    return raised


def with_initializers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose Constant nodes are initializers, so that a weight has one form only.

    Constants of texts and sparse ones stay nodes.
    """
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    values = {
        place: value
        for place, node in enumerate(copy.graph.node)
        if (value := constant_value(node)) is not None
    }
    if values:
        nodes = take(copy.graph.node)
        for place, value in values.items():
            tensor = numpy_helper.from_array(value, nodes[place].output[0])
            copy.graph.initializer.append(tensor)
        copy.graph.node.extend(node for place, node in enumerate(nodes) if place not in values)
    return copy


def constant_value(node: onnx.NodeProto) -> NDArray[np.generic] | None:
    """Return what a Constant node holds, in each of the forms of numbers that it may have."""
    from onnx import numpy_helper

    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    for entry in node.attribute:
        if entry.name == "value":
            value: NDArray[np.generic] = numpy_helper.to_array(entry.t)
            return value
        if entry.name in ("value_float", "value_floats"):
            return np.array(entry.f if entry.name == "value_float" else entry.floats, np.float32)
        if entry.name in ("value_int", "value_ints"):
            return np.array(entry.i if entry.name == "value_int" else entry.ints, np.int64)
    return None


def attribute(node: onnx.NodeProto, name: str, default: object) -> object:
    """Return the value of a node's attribute, or `default`."""
    from onnx import helper

    for entry in node.attribute:
        if entry.name == name:
            value: object = helper.get_attribute_value(entry)
            return value
    return default


def constants(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """Return the initializers by name."""
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Return the node that makes each tensor."""
    return {output: node for node in model.graph.node for output in node.output if output}


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each tensor, themselves or in their bodies."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in reads(node):
            readers.setdefault(name, []).append(node)
    return readers


def weight_axis(node: onnx.NodeProto, rank: int) -> int | None:
    """Return the axis of a node's weight along which every output channel has its own scale.

    None where output channels are spread over two axes (a grouped ConvTranspose), or where the
    weight is a vector.
    """
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if attribute(node, "group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return rank - 1 if rank >= 2 else None


def head_nodes(model: onnx.ModelProto) -> tuple[set[str], list[str]]:
    """Return the nodes after the last weighted ones, and those last ones, by first output.

    Walks back from every output until a convolution or matrix product with a constant weight.
    What lies between is decoding: boxes in pixels and scores between 0 and 1 meet there, and no
    scale fits both.
    """
    makers = producers(model)
    known = {tensor.name for tensor in model.graph.initializer}
    head: set[str] = set()
    last: set[str] = set()
    open_tensors: list[str] = [output.name for output in model.graph.output]
    while open_tensors:
        node = makers.get(open_tensors.pop())
        if node is None or node.output[0] in head:
            continue
        if is_weighted(node, known):
            last.add(node.output[0])
            continue
        head.add(node.output[0])
        open_tensors.extend(reads(node))
    return head, [node.output[0] for node in model.graph.node if node.output[0] in last]


def is_weighted(node: onnx.NodeProto, initializers: Iterable[str]) -> bool:
    """Tell whether a node is a convolution or matrix product with a constant weight."""
    return node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in initializers


def in_order(model: onnx.ModelProto) -> None:
    """Sort the main graph's nodes in place so that each comes after what it reads.

    The order of independent nodes stays; nodes that read an outer tensor from a subgraph count.

    Raises:
        ValueError: The graph has a cycle; names a tensor of it.
    """
    nodes = list(model.graph.node)
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    needs = [{makers[name] for name in reads(node) if name in makers} for node in nodes]
    if all(max(needed, default=-1) < place for place, needed in enumerate(needs)):
        return
    waiting = [len(needed) for needed in needs]
    readers: list[list[int]] = [[] for _ in nodes]
    for place, needed in enumerate(needs):
        for maker in needed:
            readers[maker].append(place)
    ready = [place for place, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        place = heapq.heappop(ready)
        order.append(place)
        for reader in readers[place]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        stuck = nodes[next(place for place, count in enumerate(waiting) if count)]
        raise ValueError(f"its nodes form a cycle at {stuck.output[0]!r}")
    copies = take(model.graph.node)
    model.graph.node.extend(copies[place] for place in order)


def take(repeated: Any) -> list[Any]:
    """Empty a repeated field and return copies of what it held."""
    # Deleting from a repeated field invalidates its elements, so they are copied first.
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in repeated]
    del repeated[:]
    return copies


def reads(node: onnx.NodeProto) -> set[str]:
    """Return what a node and its bodies read, of tensors inside and outside of them.

    In a plain graph (see edgekit.export.plain) no tensor of a body has the name of one outside.
    """
    return set(filter(None, node.input)).union(*map(graph_reads, bodies(node)))


def graph_reads(graph: onnx.GraphProto) -> set[str]:
    """Return what the nodes of a graph read, and what it gives away.

    A graph inside may give away a tensor of the graph around it as it is.
    """
    names = {value.name for value in graph.output}
    return names.union(*map(reads, graph.node))
