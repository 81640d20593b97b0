"""Which outputs of a graph hold rows that a top-k or a suppression has chosen."""

from __future__ import annotations

from typing import Any

from edgekit.core.onnx_bytes import all_nodes, whole
from edgekit.export.graph import constant_value

__all__ = ["chosen_rows"]

# What a plug-in suppresses with has these in its name too: EfficientNMS_TRT, BatchedNMS_TRT.
_SUPPRESSIONS = ("NonMaxSuppression", "NMS")


def chosen_rows(model: Any) -> tuple[str, ...]:
    """Return the outputs that a TopK or a non-maximum suppression leads to and that have its rows.

    An axis is one of rows where it is as long as a TopK takes elements, or where the graph leaves
    its length open and no input has it. The first two axes may be one: (R, …) and (batch, R, …).

    Args:
        model: onnx.ModelProto, its nodes in order.
    """
    from onnx import numpy_helper

    graph = model.graph
    nodes = list(graph.node)
    if not any(_selects(node) for node in all_nodes(graph)):
        return ()
    numbers = {one.name: numpy_helper.to_array(one) for one in graph.initializer if _is_one(one)}
    for node in nodes:
        value = constant_value(node)
        if value is not None:
            numbers[node.output[0]] = value
    led: set[str] = set()
    counts: set[int] = set()
    for node in nodes:
        inside = list(whole(node))
        if any(_selects(one) for one in inside) or led & {
            name for one in inside for name in one.input
        }:
            led.update(node.output)
        taken = numbers.get(node.input[1]) if node.op_type == "TopK" and node.input[1:] else None
        if taken is not None and taken.size == 1 and taken.dtype.kind == "i":
            counts.add(int(taken.reshape(())))
    given = {size.dim_param for one in graph.input for size in one.type.tensor_type.shape.dim}
    return tuple(
        one.name
        for one in graph.output
        if one.name in led
        and any(
            size.dim_value in counts if size.dim_value else size.dim_param not in given - {""}
            for size in list(one.type.tensor_type.shape.dim)[:2]
        )
    )


def _selects(node: Any) -> bool:
    return node.op_type == "TopK" or any(word in node.op_type for word in _SUPPRESSIONS)


def _is_one(tensor: Any) -> bool:
    return all(size == 1 for size in tensor.dims)
