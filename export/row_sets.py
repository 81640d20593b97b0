"""Which outputs of a graph hold rows that a top-k or a suppression has chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    graph = model.graph
    nodes = list(graph.node)
    if not any(_selects(node) for one in nodes for node in _whole(one)):
        return ()
    constants = {one.name: one for one in graph.initializer}
    constants |= {
        node.output[0]: node.attribute[0].t
        for node in nodes
        if node.op_type == "Constant" and node.attribute[0].HasField("t")
    }
    led: set[str] = set()
    counts: set[int] = set()
    for node in nodes:
        inside = list(_whole(node))
        if any(_selects(one) for one in inside) or led & {
            name for one in inside for name in one.input
        }:
            led.update(node.output)
        if node.op_type == "TopK" and node.input[1] in constants:
            counts.add(_number(constants[node.input[1]]))
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


def _whole(node: Any) -> Iterator[Any]:
    """Yield a node and those in its bodies."""
    yield node
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for one in body.node:
                yield from _whole(one)


def _number(tensor: Any) -> int:
    from onnx import numpy_helper

    return int(numpy_helper.to_array(tensor).reshape(-1)[0])
