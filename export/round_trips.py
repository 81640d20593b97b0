"""Where an int8 graph leaves int8 and comes back: the Q/DQ round trips, and what they cost.

QuantizeLinear and DequantizeLinear cut a graph into regions that are connected in float. A region
is free where an engine has one int8 kernel for all of it; any other one that int8 enters and int8
leaves is a round trip: its values are converted to float, worked on, and converted back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.core.documents import NodeWork, RoundTrip
from edgekit.export.shapes import Tensor

__all__ = ["FUSED_BY_ONNXRUNTIME", "round_trips"]

# Operators that ONNX Runtime's CPU provider runs in int8 where they stand alone between
# DequantizeLinear and QuantizeLinear (asked of 1.32.0: the optimized graph keeps no pair; a test
# asks the installed one). OpenVINO and TensorRT know most of them too.
FUSED_BY_ONNXRUNTIME = frozenset({
    "Add", "AveragePool", "Concat", "Conv", "DepthToSpace", "Expand", "Flatten", "Gather", "Gemm",
    "GlobalAveragePool", "LeakyRelu", "MatMul", "MaxPool", "Mul", "ReduceMax", "Reshape", "Resize",
    "Sigmoid", "Slice", "Softmax", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
# The range of the QuantizeLinear that follows already does what these do.
_CLAMPS = frozenset({"Clip", "Relu"})
# Their int8 kernels may answer in float, so that no QuantizeLinear has to follow.
_FLOAT_RESULT = frozenset({"Gemm", "MatMul"})
_PAIR = ("QuantizeLinear", "DequantizeLinear")


@dataclass
class _Region:
    """Nodes connected in float, the pairs around them, by place in the graph."""

    nodes: list[int] = field(default_factory=list)
    entries: set[int] = field(default_factory=set)
    exits: set[int] = field(default_factory=set)
    # Whether float comes in from an input of the graph, or goes out to another place than a Q.
    open: bool = False


def round_trips(
    model: Any,
    tensors: Mapping[str, Tensor],
    stored: Mapping[str, int],
    work: Sequence[NodeWork],
) -> tuple[tuple[RoundTrip, ...], frozenset[int]]:
    """List the round trips of a graph, and what stays in int8.

    Kinds: "island", several operators in float between int8 on both sides; "unfused", one operator
    that has no int8 kernel; "requantize", a DequantizeLinear straight into a QuantizeLinear of
    another scale; "redundant", the same with the same scale.

    Args:
        model: onnx.ModelProto.
        tensors: dtype and shape by name.
        stored: What constants alone decide, see `constant_tensors`.
        work: What each node costs, in the graph's order.

    Returns:
        The round trips, the most expensive first, and the places of the int8 nodes that ONNX
        Runtime has an int8 kernel for. Its convolution needs int8 on both sides: where a float
        operator stands between it and the next QuantizeLinear it computes in float. A matrix
        product may answer in float.
    """
    nodes = model.graph.node
    if not any(node.op_type == "QuantizeLinear" for node in nodes):
        return (), frozenset()
    regions, straight = _regions(model, tensors, stored)
    constants = _values(model)
    trips: list[RoundTrip] = []
    in_int8: list[int] = []
    for region in regions:
        computing = [place for place in region.nodes if work[place].precision == "int8"]
        in_int8 += [place for place in computing if nodes[place].op_type in _FLOAT_RESULT]
        if not region.entries or not region.exits:
            continue
        kind = _kind(region, nodes, constants)
        if kind:
            trips.append(_trip(kind, region.nodes, region.entries, region.exits, work))
        elif not region.open:
            in_int8 += computing
    for entry, leave in straight:
        same = all(
            _bytes(constants, one) == _bytes(constants, other)
            for one, other in zip(nodes[entry].input[1:3], nodes[leave].input[1:3], strict=False)
        )
        # Tensors of one dtype and shape are equal as records.
        alike = tensors.get(nodes[entry].input[0]) == tensors.get(nodes[leave].output[0])
        kind = "redundant" if same and alike else "requantize"
        trips.append(_trip(kind, [], {entry}, {leave}, work))
    return tuple(sorted(trips, key=lambda trip: -(trip.bytes or 0))), frozenset(in_int8)


def _kind(region: _Region, nodes: Sequence[Any], constants: Mapping[str, NDArray[Any]]) -> str:
    """What keeps a region from being one int8 kernel; empty where it is one."""
    operators = [nodes[place].op_type for place in region.nodes]
    if len(operators) > 1 and _clamped(region, nodes, constants):
        operators = [operator for operator in operators if operator not in _CLAMPS]
    if len(operators) > 1:
        return "island"
    return "" if set(operators) <= FUSED_BY_ONNXRUNTIME | _CLAMPS else "unfused"


def _clamped(region: _Region, nodes: Sequence[Any], constants: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the range that follows begins at 0, so that it does what a Relu does."""
    for place in region.exits:
        names = nodes[place].input
        # Without a zero point it is that of uint8, 0.
        if len(names) < 3 or not names[2]:
            continue
        point = constants.get(names[2])
        if point is None or point.dtype.kind not in "iu":
            return False
        if (point != np.iinfo(point.dtype).min).any():
            return False
    return True


def _bytes(constants: Mapping[str, NDArray[Any]], name: str) -> bytes | str:
    """What a scale holds, so that two under other names compare equal; else its name."""
    return constants[name].tobytes() if name in constants else name


def _trip(
    kind: str,
    inside: Sequence[int],
    entries: Iterable[int],
    exits: Iterable[int],
    work: Sequence[NodeWork],
) -> RoundTrip:
    pairs = sorted({*entries, *exits})
    sizes = [work[place].bytes for place in pairs]
    return RoundTrip(
        kind=kind,  # type: ignore[arg-type]
        operators=tuple(work[place].op for place in inside),
        nodes=tuple(work[place].name for place in inside),
        conversions=tuple(work[place].name for place in pairs),
        bytes=sum(size for size in sizes if size is not None) if None not in sizes else None,
        flops=sum(work[place].flops or 0 for place in inside),
    )


def _regions(
    model: Any, tensors: Mapping[str, Tensor], constant: Mapping[str, int]
) -> tuple[list[_Region], list[tuple[int, int]]]:
    """The regions of a graph, and the places of every DequantizeLinear, QuantizeLinear in a row."""
    nodes = model.graph.node
    made_by = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    owner = list(range(len(nodes)))

    def find(place: int) -> int:
        while owner[place] != place:
            owner[place] = owner[owner[place]]
            place = owner[place]
        return place

    inside = [
        node.op_type not in _PAIR
        and not (node.output and all(name in constant for name in node.output if name))
        for node in nodes
    ]
    for place, node in enumerate(nodes):
        for name in node.input if inside[place] else ():
            source = made_by.get(name)
            if source is not None and inside[source] and name not in constant:
                owner[find(place)] = find(source)
    regions: dict[int, _Region] = {}
    straight = []
    for place, node in enumerate(nodes):
        if inside[place]:
            region = regions.setdefault(find(place), _Region())
            region.nodes.append(place)
            for name in node.input:
                source = made_by.get(name)
                if not name or name in constant or _is_index(tensors.get(name)):
                    continue
                if source is None:
                    region.open = True
                elif nodes[source].op_type == "DequantizeLinear":
                    region.entries.add(source)
        elif node.op_type == "QuantizeLinear" and node.input[0] not in constant:
            source = made_by.get(node.input[0])
            if source is not None and inside[source]:
                regions.setdefault(find(source), _Region()).exits.add(place)
            elif source is not None and nodes[source].op_type == "DequantizeLinear":
                straight.append((source, place))
    results = {value.name for value in model.graph.output}
    for region in regions.values():
        made = {name for place in region.nodes for name in nodes[place].output}
        region.open |= bool(made & results)
    return list(regions.values()), straight


def _is_index(tensor: Tensor | None) -> bool:
    """int32, int64 and bool carry shapes and indices, not values of the network."""
    return tensor is not None and tensor.kind in (6, 7, 9)


def _values(model: Any) -> dict[str, NDArray[Any]]:
    """Scales and zero points by name."""
    import onnx

    names = {name for node in model.graph.node if node.op_type in _PAIR for name in node.input[1:3]}
    return {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.name in names
    }
