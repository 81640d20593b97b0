"""Which tensors are rounded so that TensorRT fuses what stands around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgekit.export.calibrate import ACTIVATIONS
from edgekit.export.decisions import Activation, QuantizedNode
from edgekit.export.graph import consumers

if TYPE_CHECKING:
    import onnx

__all__ = ["fused_activations"]

_RESIDUAL = ("Add", "Sub", "Sum")
# Fused into what stands before them.
_POINTWISE = ACTIVATIONS - {"MaxPool", "Identity"}


def fused_activations(
    model: onnx.ModelProto,
    activations: Sequence[Activation],
    nodes: Sequence[QuantizedNode],
) -> tuple[Activation, ...]:
    """Leave out the Q/DQ pairs that would keep TensorRT from fusing.

    TensorRT fuses a convolution with the bias, the activation and the residual addition behind it
    as long as nothing is rounded in between, and rounds what the whole group gives away. So a
    tensor is rounded where a node with a quantized weight, an integer product, or a node that only
    moves rounded data reads it; of a residual addition's operands the one that comes from
    elsewhere, which the fused convolution takes in as int8; and of a concatenation the output,
    whose Q/DQ TensorRT itself draws before it, with one scale for all inputs.

    Source: NVIDIA TensorRT documentation, "Working with Quantized Types", the sections on
    processing of Q/DQ networks and on placement of Q/DQ.

    Args:
        model: The float model that was calibrated.
        activations: What may be rounded, in graph order.
        nodes: Nodes with quantized weights.

    Returns:
        Those of `activations` that stay, in the same order.
    """
    rounded = {entry.tensor for entry in activations}
    weighted = {entry.output for entry in nodes}
    readers = consumers(model)
    place = {name: at for at, node in enumerate(model.graph.node) for name in node.output}
    grouped = _grouped(model, weighted)

    def needed(tensor: str, reader: onnx.NodeProto) -> bool:
        if reader.output[0] in weighted:
            return bool(reader.input[0] == tensor)
        if reader.op_type == "MatMul":
            return True
        if reader.op_type in _RESIDUAL:
            return tensor == _residual(reader, grouped, place)
        if reader.op_type == "Concat" or reader.op_type in _POINTWISE:
            return False
        # What moves, pools or resizes data does it in int8 where it is rounded on both sides.
        return any(name in rounded for name in reader.output)

    return tuple(
        entry
        for entry in activations
        if any(needed(entry.tensor, reader) for reader in readers.get(entry.tensor, ()))
    )


def _grouped(model: onnx.ModelProto, weighted: set[str]) -> set[str]:
    """What weighted nodes make, and the activations behind them."""
    grouped: set[str] = set()
    for node in model.graph.node:
        follows = node.op_type in _POINTWISE and any(name in grouped for name in node.input)
        if follows or node.output[0] in weighted:
            grouped.add(node.output[0])
    return grouped


def _residual(addition: onnx.NodeProto, grouped: set[str], place: Mapping[str, int]) -> str | None:
    """The operand that the convolution fused with the addition takes in; None where there is none.

    Of two convolutions the later one takes in what the earlier one made.
    """
    fused = [name for name in addition.input if name in grouped]
    if not fused or len(set(addition.input)) != 2:
        return None
    last = max(fused, key=lambda name: place[name])
    return next(str(name) for name in addition.input if name != last)
