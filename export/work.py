"""What each node of a graph costs: the operations that it does and the bytes that it moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.core import flops
from edgekit.core.documents import NodeWork
from edgekit.core.onnx_bytes import bodies
from edgekit.export.module_paths import module_paths
from edgekit.export.shapes import Tensor, element_bytes

__all__ = ["constant_tensors", "graph_work", "node_bytes", "node_flops", "node_name"]

# Position of the weight among a convolution's inputs.
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "DeformConv": 1, "FusedConv": 1, "QLinearConv": 3}
# Only Gemm may transpose its left side.
_MATMULS = {
    "DynamicQuantizeMatMul", "FusedMatMul", "MatMul", "MatMulInteger", "MatMulIntegerToFloat",
    "QLinearMatMul",
}  # fmt: skip
_GEMMS = {"Gemm", "QGemm"}
_RECURRENT = {"GRU", "LSTM", "RNN"}
_INTEGER = {
    "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "QGemm", "QLinearConv", "QLinearMatMul",
}  # fmt: skip
_BETWEEN_PAIRS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_KNOWN_FOREIGN = {*_CONVOLUTIONS, *_MATMULS, *_GEMMS}

# They change what a tensor is called, not what is in memory.
_VIEWS = {"Constant", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"}
# They read as many elements of their first input as they write.
_PICKING = {"Gather", "GatherElements", "GatherND", "Slice"}

_FLOATS = {
    1: "fp32",
    10: "fp16",
    11: "fp64",
    16: "bf16",
    17: "fp8",
    18: "fp8",
    19: "fp8",
    20: "fp8",
}
_INT8 = {2, 3}


def graph_work(
    model: Any, tensors: Mapping[str, Tensor], stored: Mapping[str, int]
) -> tuple[NodeWork, ...]:
    """Count every node of the main graph, in its order.

    A node whose result constants alone decide counts nothing: engines compute it once, before the
    first run.

    Args:
        model: onnx.ModelProto.
        tensors: dtype and shape by name, see `graph_tensors`.
        stored: What constants alone decide, see `constant_tensors`.
    """
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    modules = module_paths(model)
    functions = {(entry.domain, entry.name) for entry in model.functions}
    work = []
    for index, node in enumerate(model.graph.node):
        output = tensors.get(node.output[0]) if node.output else None
        folded = bool(node.output) and all(name in stored for name in node.output if name)
        opaque = (node.domain, node.op_type) in functions
        work.append(
            NodeWork(
                name=node_name(node, index),
                op=node.op_type,
                flops=0 if folded else None if opaque else node_flops(node, tensors),
                bytes=0 if folded else None if opaque else node_bytes(node, tensors, stored),
                precision=_precision(node, tensors, made_by),
                shape=output.shape if output is not None else None,
                module=modules.get(node.output[0], "") if node.output else "",
            )
        )
    return tuple(work)


def node_name(node: Any, index: int) -> str:
    """Return a node's name; one without is called after its first output, else its place."""
    return str(node.name or (node.output[0] if node.output else "") or f"{node.op_type}_{index}")


def node_flops(node: Any, tensors: Mapping[str, Tensor]) -> int | None:
    """Count the operations of one node by the rule of `edgekit.core.flops`.

    Convolutions, matrix products, recurrent layers, attention and Einsum count; all other standard
    operators count 0.

    Args:
        node: onnx.NodeProto.
        tensors: dtype and shape by name.

    Returns:
        Number of operations, a multiply and an add as two; None where a shape that decides is not
        known, and for an operator whose work is not known: one that holds graphs, or another
        domain's.
    """
    operator = node.op_type
    if _holds_graphs(node):
        return None
    if node.domain not in ("", "ai.onnx", "ai.onnx.ml") and operator not in _KNOWN_FOREIGN:
        return None
    inputs = [_shape(tensors, name) for name in node.input]
    output = _shape(tensors, node.output[0]) if node.output else None
    if operator in _CONVOLUTIONS:
        weight = inputs[_CONVOLUTIONS[operator]]
        return flops.convolution(output, weight) if output is not None and weight else None
    if operator == "ConvTranspose":
        data, weight = inputs[:2]
        return flops.transposed_convolution(data, weight) if data is not None and weight else None
    if operator in _MATMULS or operator in _GEMMS:
        left = inputs[0]
        if left is None or output is None:
            return None
        return flops.matmul(left if operator in _GEMMS else left[-1:], output)
    if operator in _RECURRENT:
        data, weight, recurrence = inputs[:3]
        known = data is not None and weight is not None and recurrence is not None
        return flops.recurrent(data, weight, recurrence) if known else None  # type: ignore[arg-type]
    if operator == "Attention":
        return _attention(inputs)
    if operator == "Einsum":
        return _einsum(node, inputs)
    return 0


def node_bytes(node: Any, tensors: Mapping[str, Tensor], stored: Mapping[str, int]) -> int | None:
    """Count the bytes that one node reads and writes, once each: inputs, weights, outputs.

    It is the traffic of the graph as it is written, by an engine that fuses nothing and caches
    nothing, and so an upper bound; FLOPs over these bytes is the operational intensity of the
    roofline model (Williams, Waterman and Patterson, CACM 52(4), 2009). Three things differ from a
    plain sum: what only renames a tensor (Reshape, Squeeze, …) moves nothing; Gather and Slice read
    as much as they write; a weight behind a DequantizeLinear is read in the size it is stored in.

    Args:
        node: onnx.NodeProto.
        tensors: dtype and shape by name.
        stored: Bytes of constants by name, see `constant_tensors`.

    Returns:
        Bytes; None where a tensor's size is not known or the node holds graphs.
    """
    if node.op_type in _VIEWS:
        return 0
    if _holds_graphs(node):
        return None
    outputs = [tensors.get(name) for name in node.output if name]
    sizes = [tensor.size_bytes if tensor is not None else None for tensor in outputs]
    for place, name in enumerate(node.input):
        if not name:
            continue
        tensor = tensors.get(name)
        if place == 0 and node.op_type in _PICKING:
            sizes.append(_as_many(tensor, outputs[0] if outputs else None))
        elif name in stored:
            sizes.append(stored[name])
        else:
            sizes.append(tensor.size_bytes if tensor is not None else None)
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def constant_tensors(model: Any, tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the bytes in the file of every tensor that constants alone decide.

    A weight that is stored as int8 and dequantized in the graph keeps the size it is stored in.
    """
    stored = {
        tensor.name: Tensor(tensor.data_type, tuple(tensor.dims)).size_bytes or 0
        for tensor in model.graph.initializer
    }
    for node in model.graph.node:
        names = [name for name in node.input if name]
        if _holds_graphs(node) or node.op_type.startswith("Random"):
            continue
        if any(name not in stored for name in names) or (not names and node.op_type != "Constant"):
            continue
        for place, name in enumerate(node.output):
            own = tensors.get(name)
            size = (own.size_bytes if own is not None else None) or 0
            dequantized = place == 0 and node.op_type == "DequantizeLinear"
            stored[name] = stored[names[0]] if dequantized else size
    return stored


def _holds_graphs(node: Any) -> bool:
    """Whether a node has bodies (If, Loop, Scan), which may read any tensor of the graph."""
    return any(True for _ in bodies(node))


def _as_many(source: Tensor | None, like: Tensor | None) -> int | None:
    each = element_bytes(source.kind) if source is not None else None
    if each is None or like is None or like.shape is None:
        return None
    return math.ceil(math.prod(like.shape) * each)


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    tensor = tensors.get(name)
    return tensor.shape if tensor is not None else None


def _attention(inputs: Sequence[tuple[int, ...] | None]) -> int | None:
    """Attention of opset 23: query, key, value, mask, past key, past value."""
    query, key = inputs[:2]
    past = inputs[4] if len(inputs) > 4 else ()
    if query is None or key is None or past is None:
        return None
    before = past[-2] if past else 0
    return flops.attention(query, (*key[:-2], key[-2] + before, key[-1]))


def _einsum(node: Any, inputs: Sequence[tuple[int, ...] | None]) -> int | None:
    """Two operands that share a summed index: 2 times the product of all indices; else none."""
    equation = next(entry.s.decode() for entry in node.attribute if entry.name == "equation")
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) == 1:
        return 0
    if len(terms) > 2 or "." in left or "->" not in equation:
        return None
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, inputs, strict=True):
        if shape is None or len(shape) != len(term):
            return None
        sizes.update(zip(term, shape, strict=True))
    return 2 * math.prod(sizes.values()) if set(sizes) - set(right) else 0


def _precision(node: Any, tensors: Mapping[str, Tensor], made_by: Mapping[str, str]) -> str:
    """What a node is written to compute in: int8 between Q/DQ pairs, else its tensors' type."""
    if node.op_type in _INTEGER:
        return "int8"
    if node.op_type in _BETWEEN_PAIRS and all(
        made_by.get(name) == "DequantizeLinear" for name in node.input[:2]
    ):
        return "int8"
    kinds = [tensors[name].kind for name in [*node.output, *node.input] if name in tensors]
    floats = [_FLOATS[kind] for kind in kinds if kind in _FLOATS]
    if node.op_type != "DequantizeLinear" and kinds and kinds[0] in _INT8:
        return "int8"
    return floats[0] if floats else "int"
