"""Small questions about an ONNX graph that calibration and the writers share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.requires import requires

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = [
    "at_least_opset",
    "attribute",
    "constants",
    "consumers",
    "head_nodes",
    "in_order",
    "is_weighted",
    "load",
    "opset_of",
    "producers",
    "reads",
    "weight_axis",
    "with_initializers",
]

# Operators with a weight that engines compute in int8.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def load(path: Path) -> onnx.ModelProto:
    """Read an ONNX file with its external data.

    Raises:
        BadInput: The file is missing or no ONNX model.
        MissingLibrary: onnx is not installed.
    """
    with requires("onnx", extra="onnx", why="to read and write ONNX files"):
        import onnx
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}.",
            hint="Name an existing ONNX file.",
        ) from error
    except Exception as error:  # protobuf's DecodeError has no stable import path
        raise BadInput(f"{path} is no ONNX model: {error}.", hint="Export it again.") from error
    if not model.graph.node:
        raise BadInput(f"{path} holds no ONNX graph.", hint="Export it again.")
    return model


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
            f"The model has opset {opset_of(model)} and cannot be raised to {opset}: {error}.",
            hint=f"Export it again with --opset {opset} or above.",
        ) from error
    # Per-axis quantization needs IR 3 at least; the converter keeps the old one, and initializers
    # need not be inputs from IR 4 on.
    raised.ir_version = max(model.ir_version, raised.ir_version)
    if not raised.metadata_props:
        raised.metadata_props.extend(model.metadata_props)
    return raised


def with_initializers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose Constant nodes are initializers, so that a weight has one form only."""
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = []
    for node in copy.graph.node:
        value = attribute(node, "value", None) if node.op_type == "Constant" else None
        if isinstance(value, onnx.TensorProto):
            tensor = numpy_helper.from_array(numpy_helper.to_array(value), node.output[0])
            copy.graph.initializer.append(tensor)
        else:
            nodes.append(node)
    if len(nodes) != len(copy.graph.node):
        kept = [_copied(node) for node in nodes]
        del copy.graph.node[:]
        copy.graph.node.extend(kept)
    return copy


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    # Deleting from a repeated field invalidates its elements, so they are copied first.
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def attribute(node: onnx.NodeProto, name: str, default: object) -> object:
    """Return the value of a node's attribute, or `default`."""
    from onnx import helper

    for entry in node.attribute:
        if entry.name == name:
            value: object = helper.get_attribute_value(entry)
            return value
    return default


def constants(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """Return the initializers by name; one that is also an input counts, as its default value."""
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Return the node that makes each tensor."""
    return {output: node for node in model.graph.node for output in node.output if output}


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each tensor."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            if name:
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
        open_tensors.extend(node.input)
    return head, [node.output[0] for node in model.graph.node if node.output[0] in last]


def is_weighted(node: onnx.NodeProto, initializers: Iterable[str]) -> bool:
    """Tell whether a node is a convolution or matrix product with a constant weight."""
    return node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in initializers


def in_order(model: onnx.ModelProto) -> None:
    """Sort the main graph's nodes in place so that each comes after what it reads.

    The order of independent nodes stays; nodes that read an outer tensor from a subgraph count.

    Raises:
        ValueError: The graph has a cycle.
    """
    waiting = [_copied(node) for node in model.graph.node]
    made = {name for node in waiting for name in node.output}
    done: set[str] = set()
    ordered: list[onnx.NodeProto] = []
    while waiting:
        later = []
        for node in waiting:
            if (reads(node) & made) <= done:
                ordered.append(node)
                done.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ValueError("the graph has a cycle")
        waiting = later
    del model.graph.node[:]
    model.graph.node.extend(ordered)


def reads(node: onnx.NodeProto) -> set[str]:
    """Return what a node and its subgraphs read."""
    names = set(node.input)
    for entry in node.attribute:
        for graph in (entry.g, *entry.graphs):
            # A graph inside may give away a tensor of the graph around it as it is.
            names.update(value.name for value in graph.output)
            for inner in graph.node:
                names |= reads(inner)
    return names
