"""Casts a graph to fp16 where that is safe; inputs and outputs stay fp32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.requires import requires
from edgekit.export.graph import attribute, constants, in_order, load, reads, with_initializers

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["write_fp16"]

_FLOAT, _FLOAT16 = 1, 10  # of onnx.TensorProto
LARGEST = 65504.0  # largest finite fp16
SMALLEST_NORMAL = 2.0**-14  # below it fp16 loses digits
# Beyond the fp16 range these constants mean "no limit", and the largest fp16 says the same.
BOUNDS = frozenset(("Clip", "Where", "Max", "Min"))


def write_fp16(model: Path, output: Path) -> tuple[str, ...]:
    """Write the model with fp16 weights and computation, and fp32 inputs and outputs.

    The cast is onnxruntime's (`onnxruntime.transformers.float16`), which knows the operators that
    have no fp16 form and the inputs that must stay fp32 (the scales of Resize). Nodes with a
    constant outside the fp16 range, or with a scalar so small that fp16 would lose it (an epsilon
    under 6.1e-5), stay in fp32. Metadata, opset and IR version are the model's own. The file is
    written atomically, and the same model gives the same bytes.

    Args:
        model: The fp32 ONNX file.
        output: Where to write.

    Returns:
        One sentence for each node kept in fp32 and for each weight that loses small values.

    Raises:
        BadInput: The model has nothing to cast, or the cast is not possible.
        MissingLibrary: onnx or onnxruntime is not installed.
    """
    with requires("onnxruntime", extra="onnx", why="to cast to fp16"):
        from onnxruntime.transformers.float16 import (
            DEFAULT_OP_BLOCK_LIST,
            convert_float_to_float16,
        )
    import onnx

    prepared = with_initializers(load(model))
    values = {n: v for n, v in constants(prepared).items() if v.dtype == np.float32}
    if not values:
        raise BadInput(f"{model} has no fp32 weights to cast.", hint="Start from the fp32 model.")
    names = [node.name for node in prepared.graph.node]
    for index, node in enumerate(prepared.graph.node):  # the cast finds nodes by unique names
        node.name = f"{index}:{node.op_type}"
    kept, notes = _outside(prepared, values)
    original_names = {
        f"{i}:{n.op_type}": name
        for i, (n, name) in enumerate(zip(prepared.graph.node, names, strict=True))
    }
    try:
        cast: onnx.ModelProto = convert_float_to_float16(
            prepared,
            keep_io_types=True,
            op_block_list=sorted(DEFAULT_OP_BLOCK_LIST),
            node_block_list=kept,
        )
        for node in cast.graph.node:
            node.name = original_names.get(node.name, node.name)
        _straighten(cast)
        in_order(cast)
        onnx.checker.check_model(cast, full_check=True)
    except Exception as error:  # the cast asserts, the checker has its own errors
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadInput(
            f"{model} cannot be cast to fp16: {first}.", hint="Use fp32 for this model."
        ) from error
    write_bytes(output, cast.SerializeToString(deterministic=True))
    return tuple(notes)


def _straighten(model: onnx.ModelProto) -> None:
    """Let a Cast to fp32 behind a Cast to fp16 read what that one reads.

    A size that goes to fp32 on its way into a Range would be rounded to fp16 in between: wrong
    above 2048, and TensorRT for RTX does not build such a Range.
    """
    casts = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "Cast" and attribute(node, "to", 0) == _FLOAT16
    }
    for node in model.graph.node:
        if node.op_type == "Cast" and attribute(node, "to", 0) == _FLOAT and node.input[0] in casts:
            node.input[0] = casts[node.input[0]].input[0]
    read = {name for node in model.graph.node for name in reads(node)}
    read.update(value.name for value in model.graph.output)
    for name, node in casts.items():
        if name not in read:
            model.graph.node.remove(node)


def _outside(
    model: onnx.ModelProto, values: dict[str, NDArray[np.generic]]
) -> tuple[list[str], list[str]]:
    """Return the names of nodes that must stay in fp32, and sentences on what fp16 changes."""
    kept, notes = [], []
    small_weights: list[str] = []
    for node in model.graph.node:
        for name in node.input:
            if name not in values or node.op_type in BOUNDS:
                continue
            magnitude = np.abs(values[name].astype(np.float64))
            largest = float(magnitude.max(initial=0.0))
            small = (magnitude > 0) & (magnitude < SMALLEST_NORMAL)
            label = node.output[0]
            if largest > LARGEST:
                kept.append(node.name)
                notes.append(f"{label} stays fp32: {name} holds {largest:.3g}, more than fp16 can.")
            elif magnitude.size == 1 and small.any():
                kept.append(node.name)
                notes.append(f"{label} stays fp32: {name} is {largest:.3g}, which fp16 would lose.")
            elif 2 * small.sum() > magnitude.size and name not in small_weights:
                small_weights.append(name)
    if small_weights:
        count = len(small_weights)
        which = small_weights[0] if count == 1 else f"{small_weights[0]} and {count - 1} more"
        notes.append(f"More than half of {which} is under 6.1e-5 and loses digits in fp16.")
    return list(dict.fromkeys(kept)), notes
