"""Casts a graph to fp16 where that is safe; inputs and outputs stay fp32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.onnx_bytes import bodies
from edgekit.core.requires import requires
from edgekit.core.runtime import Feeds
from edgekit.export.fp16_fit import Runner, find_unfit
from edgekit.export.fp16_simulation import LARGEST, MOVING, FloatTypes, has_body, is_known
from edgekit.export.graph import (
    attribute,
    constants,
    consumers,
    graph_reads,
    in_order,
    reads,
    take,
    with_initializers,
)
from edgekit.export.graph_writer import rename
from edgekit.export.onnx_file import read_onnx

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["write_fp16"]

_FLOAT, _FLOAT16 = 1, 10  # of onnx.TensorProto
SMALLEST_NORMAL = 2.0**-14  # below it fp16 loses digits
# Beyond the fp16 range these constants mean "no limit", and the largest fp16 says the same.
BOUNDS = frozenset(("Clip", "Where", "Max", "Min"))
# Operators at zero of which something breaks, and those that keep their result from it.
_SINGULAR = frozenset(("Div", "Log", "Pow", "Reciprocal"))
_FLOORED = frozenset(("Add", "Clip", "Max", "Sqrt", "Where")) | MOVING


def write_fp16(
    model: Path, output: Path, feeds: Sequence[Feeds] = (), run: Runner | None = None
) -> tuple[str, ...]:
    """Write the model with fp16 weights and computation, and fp32 inputs and outputs.

    The cast is onnxruntime's (`onnxruntime.transformers.float16`), which knows the operators that
    have no fp16 form and the inputs that must stay fp32 (the scales of Resize). These stay fp32:
    nodes with a constant outside the fp16 range, or with a scalar so small that fp16 would lose it
    (an epsilon or a lower bound under 6.1e-5), and what divides by their result; nodes that come
    out wrong in fp16 on `feeds`, see edgekit.export.fp16_fit; operators that the simulation does
    not know. Metadata, opset and IR version are the model's own. The file is written atomically,
    and the same model and feeds give the same bytes.

    Args:
        model: The fp32 ONNX file.
        output: Where to write.
        feeds: Inputs to try the nodes on.
        run: Runs a graph on them as it is written; None tries nothing.

    Returns:
        Sentences on what stays fp32 and why, by first output, and on weights that lose small
        values.

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

    prepared = with_initializers(read_onnx(model))
    values = {n: v for n, v in constants(prepared).items() if v.dtype == np.float32}
    if not values:
        raise BadInput(f"{model} has no fp32 weights to cast.", hint="Start from the fp32 model.")
    given = [node.name for node in prepared.graph.node]
    types = FloatTypes.of(prepared)
    for index, node in enumerate(prepared.graph.node):  # the cast finds nodes by unique names
        node.name = f"{index}:{node.op_type}"
    blocked = frozenset(DEFAULT_OP_BLOCK_LIST)
    kept, notes = _outside(prepared, values)
    try:
        unfit = _unfit(prepared, feeds, run)
    except BadInput as error:  # inputs that were generated need not be what the graph takes
        unfit = _unfit(prepared, (), None)
        notes.append(f"Its nodes were tried on no inputs: {error}")
    for reason, names in unfit.items():
        new = [node for node in names if node.name not in kept]
        kept += [node.name for node in new]
        told = [node for node in new if node.op_type not in blocked | MOVING]
        if told:
            notes.append(f"{_stay(told)}: {reason}.")
    kept += [node.name for node in prepared.graph.node if has_body(node)]
    original_names = {
        f"{i}:{n.op_type}": name
        for i, (n, name) in enumerate(zip(prepared.graph.node, given, strict=True))
    }
    inner = _with_inner_inputs(prepared)
    outputs = take(prepared.graph.output)
    own = {value.name for value in prepared.graph.input}
    # The cast would put a node between an input and itself.
    prepared.graph.output.extend(one for one in outputs if one.name not in own)
    _declare(prepared, types)
    try:
        cast: onnx.ModelProto = convert_float_to_float16(
            prepared,
            keep_io_types=True,
            disable_shape_infer=True,
            op_block_list=sorted(blocked),
            node_block_list=kept,
        )
        _without_inner_inputs(cast, inner)
        del cast.graph.output[:]
        cast.graph.output.extend(outputs)
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


def _with_inner_inputs(model: onnx.ModelProto) -> dict[str, list[str]]:
    """Let every node with bodies have what those read outside of them among its own inputs.

    The cast sees then where a tensor enters a body, and puts a cast before it.

    Returns:
        Node name to the inputs that it was given, the last ones of the node.
    """
    outside = {value.name for value in (*model.graph.input, *model.graph.initializer)}
    outside |= {name for node in model.graph.node for name in node.output}
    added = {}
    for node in model.graph.node:
        if has_body(node):
            inner = {name for body in bodies(node) for name in graph_reads(body)}
            added[node.name] = sorted(inner & outside)
            node.input.extend(added[node.name])
    return added


def _without_inner_inputs(model: onnx.ModelProto, added: Mapping[str, Sequence[str]]) -> None:
    """Let bodies read what stands in the place of what they read before the cast."""
    for node in model.graph.node:
        old = added.get(node.name)
        if not old:
            continue
        names = dict(zip(old, node.input[-len(old) :], strict=True))
        del node.input[-len(old) :]
        for body in bodies(node):
            rename(body, names)


def _declare(model: onnx.ModelProto, types: FloatTypes) -> None:
    """Write down the type of every tensor that is float32, for the cast goes by it."""
    import onnx

    declared = {value.name for value in (*model.graph.input, *model.graph.output)}
    del model.graph.value_info[:]
    for node in model.graph.node:
        for name in node.output:
            if name and name not in declared and types.kinds.get(name) == _FLOAT:
                info = onnx.helper.make_tensor_value_info(name, _FLOAT, None)
                model.graph.value_info.append(info)


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


def _unfit(
    model: onnx.ModelProto, feeds: Sequence[Feeds], run: Runner | None
) -> dict[str, list[onnx.NodeProto]]:
    """Nodes that fp16 does not do well, by reason."""
    kinds = FloatTypes.of(model).kinds
    nodes = {node.name: node for node in model.graph.node}
    reasons = {
        "what fp16 makes of the operator is not known": [
            node
            for node in nodes.values()
            if not is_known(node)
            and not has_body(node)
            and any(kinds.get(name) == _FLOAT for name in node.output)
        ]
    }
    if run is not None:
        unfit = find_unfit(model, feeds, run)
        reasons |= {
            "fp16 does not hold the range or the digits of the values tried": [
                nodes[name] for name in unfit.range
            ],
            "adding up in fp16 spoils the result of the values tried": [
                nodes[name] for name in unfit.accumulation
            ],
        }
    return reasons


def _outside(
    model: onnx.ModelProto, values: dict[str, NDArray[np.generic]]
) -> tuple[list[str], list[str]]:
    """Return the names of nodes that must stay in fp32, and sentences on what fp16 changes."""
    kept, notes = [], []
    small_weights: list[str] = []
    readers = consumers(model)
    for node in model.graph.node:
        for name in node.input:
            if name not in values:
                continue
            magnitude = np.abs(values[name].astype(np.float64))
            # An infinite constant is infinite in fp16 too.
            largest = float(magnitude.max(initial=0.0, where=np.isfinite(magnitude)))
            small = (magnitude > 0) & (magnitude < SMALLEST_NORMAL)
            label = node.output[0]
            if largest > LARGEST:
                if node.op_type not in BOUNDS:
                    kept.append(node.name)
                    notes.append(
                        f"{label} stays fp32: {name} holds {largest:.3g}, more than fp16 can."
                    )
            elif magnitude.size == 1 and small.any():
                together = [node, *_divided_by(node, largest, readers)]
                kept += [one.name for one in together]
                notes.append(f"{_stay(together)}: {name} is {largest:.3g}, which fp16 would lose.")
            elif 2 * small.sum() > magnitude.size and name not in small_weights:
                small_weights.append(name)
    if small_weights:
        count = len(small_weights)
        which = small_weights[0] if count == 1 else f"{small_weights[0]} and {count - 1} more"
        notes.append(f"More than half of {which} is under 6.1e-5 and loses digits in fp16.")
    return list(dict.fromkeys(kept)), notes


def _divided_by(
    node: onnx.NodeProto, smallest: float, readers: Mapping[str, Sequence[onnx.NodeProto]]
) -> list[onnx.NodeProto]:
    """The nodes to which a result that a small scalar bounds must come in fp32.

    Args:
        node: Its result may be as small as the scalar.
        smallest: That scalar.
        readers: Of every tensor.
    """
    if node.op_type not in _FLOORED or smallest >= SMALLEST_NORMAL:
        return []
    found: list[onnx.NodeProto] = []
    for reader in readers.get(node.output[0], ()):
        if reader.op_type in MOVING:
            onwards = _divided_by(reader, smallest, readers)
            found += [reader, *onwards] if onwards else []
        elif reader.op_type == "Sqrt":
            found += [reader, *_divided_by(reader, smallest**0.5, readers)]
        elif reader.op_type in _SINGULAR:
            found.append(reader)
    return found


def _stay(nodes: Sequence[onnx.NodeProto]) -> str:
    names = list(dict.fromkeys(node.output[0] for node in nodes))
    return f"{', '.join(names)} {'stays' if len(names) == 1 else 'stay'} fp32"
