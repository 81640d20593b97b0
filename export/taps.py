"""Tensors inside a graph that can be looked at: which, in what order, and how to get them out.

Two graphs of one model, the fp32 one and another variant of it, name their tensors alike. What a
writer put between two tensors (a cast, a QuantizeLinear and its DequantizeLinear) changes how a
value is kept and not what it means, so its ends stand for the same tensor of the fp32 graph.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.export.graph import producers, reads
from edgekit.export.module_paths import module_paths

if TYPE_CHECKING:
    import onnx

__all__ = ["TapGraph", "Tappable", "cut_out", "tap_graph", "with_outputs"]

# TensorProto's FLOAT, FLOAT16 and DOUBLE: what has an SQNR and numpy can hold.
_FLOATS = (1, 10, 11)


@dataclass(frozen=True)
class Tappable:
    """A floating-point tensor of the suspect graph that the reference graph has too.

    Attributes:
        tensor: Its name in the suspect graph.
        reference: The name of what it is compared with in the reference graph.
        node: Name of the node that makes it; its first output where it has no name.
        op: That node's operator.
        module: Its module in the user's PyTorch model, "" for the model itself, None where that
            is not known.
        inner: Whether a QuantizeLinear reads it, so that engines fuse it away: looking at it makes
            them compute differently. The dequantized tensor behind it can be looked at without.
        output: Whether it is an output of the graph.
    """

    tensor: str
    reference: str
    node: str
    op: str
    module: str | None
    inner: bool
    output: bool


@dataclass(frozen=True)
class TapGraph:
    """What can be looked at in a graph.

    Attributes:
        tensors: In topological order.
        before: One a tensor: bit i is set where it is tensor i itself, or depends on it.
        parents: One a tensor: bit i is set where it depends on tensor i with none of these tensors
            between.
    """

    tensors: tuple[Tappable, ...]
    before: tuple[int, ...]
    parents: tuple[int, ...]


def tap_graph(suspect: onnx.ModelProto, reference: onnx.ModelProto) -> TapGraph:
    """Find the tensors that two graphs of one model have in common.

    Only floating-point tensors of the main graph that depend on an input are found: the bodies of
    If, Loop and Scan count as one node.

    Args:
        suspect: Nodes in topological order, as ONNX asks for.
        reference: The fp32 graph.
    """
    types, reference_types = _types(suspect), _types(reference)
    known = {name for name, kind in reference_types.items() if kind in _FLOATS}
    partners = _partners(suspect, known)
    own, theirs = module_paths(suspect), module_paths(reference)
    outputs = {entry.name for entry in suspect.graph.output}
    weights = {tensor.name for tensor in suspect.graph.initializer}
    # Tensor to the sets `before` and `parents`; what depends on no input is not there.
    depends: dict[str, tuple[int, int]] = {
        entry.name: (0, 0) for entry in suspect.graph.input if entry.name not in weights
    }
    quantized = {node.input[0] for node in suspect.graph.node if node.op_type == "QuantizeLinear"}
    tensors: list[Tappable] = []
    before: list[int] = []
    parents: list[int] = []
    for node in suspect.graph.node:
        found = [depends[name] for name in reads(node) if name in depends]
        if not found:
            continue
        upstream = functools.reduce(operator.or_, (one for one, _ in found))
        direct = functools.reduce(operator.or_, (one for _, one in found))
        for name in filter(None, node.output):
            depends[name] = upstream, direct
            if name not in partners or types.get(name) not in _FLOATS:
                continue
            bit = 1 << len(tensors)
            depends[name] = upstream | bit, bit
            before.append(upstream | bit)
            parents.append(direct)
            tensors.append(
                Tappable(
                    tensor=name,
                    reference=partners[name],
                    node=node.name or node.output[0],
                    op=node.op_type,
                    module=own.get(name, theirs.get(partners[name])),
                    inner=name in quantized,
                    output=name in outputs,
                )
            )
    return TapGraph(tuple(tensors), tuple(before), tuple(parents))


def with_outputs(model: onnx.ModelProto, tensors: Iterable[str]) -> onnx.ModelProto:
    """Return a copy of a model that gives some of its inner tensors as outputs too."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {entry.name for entry in copy.graph.output}
    types = {entry.name: entry for entry in _inferred(model)}
    for name in dict.fromkeys(tensors):
        if name not in present:
            copy.graph.output.append(types[name])
    return copy


def cut_out(
    model: onnx.ModelProto, tensor: str, known: Mapping[str, str]
) -> tuple[onnx.ModelProto, dict[str, str]] | None:
    """Return the piece of a model that makes one tensor out of the nearest tensors that are known.

    Args:
        model: The whole model.
        tensor: What the piece gives.
        known: Tensors whose values can be fed, with the reference's name for each; every input of
            the model is among them.

    Returns:
        The piece, and what to feed: its inputs with the reference's name for each. None where it
        reads constants only, or something whose shape is not known.
    """
    import onnx

    makers = producers(model)
    types = {entry.name: entry for entry in _inferred(model)}
    weights = {entry.name for entry in model.graph.initializer}
    fed: dict[str, str] = {}
    needed: set[str] = set()
    waiting = [tensor]
    while waiting:
        name = waiting.pop()
        if name in weights:
            needed.add(name)
        elif name != tensor and name in known:
            fed[name] = known[name]
        elif name in makers and name not in needed:
            needed.update(makers[name].output)
            waiting.extend(filter(None, reads(makers[name])))
    # A node may give both what is known and what is not.
    fed = {name: partner for name, partner in fed.items() if name not in needed}
    if not fed or not all(_has_shape(types.get(name)) for name in (*fed, tensor)):
        return None
    piece = onnx.ModelProto()
    piece.CopyFrom(model)
    for field in ("node", "input", "output", "initializer", "value_info"):
        piece.graph.ClearField(field)
    piece.graph.node.extend(
        node for node in model.graph.node if any(name in needed for name in node.output)
    )
    piece.graph.input.extend(types[name] for name in fed)
    piece.graph.output.append(types[tensor])
    piece.graph.initializer.extend(
        entry for entry in model.graph.initializer if entry.name in needed
    )
    return piece, fed


def _partners(suspect: onnx.ModelProto, known: set[str]) -> dict[str, str]:
    """Tensor of the suspect graph to the tensor of the reference graph that it stands for."""
    passing = [
        (node.input[0], node.output[0])
        for node in suspect.graph.node
        if node.op_type in ("Cast", "QuantizeLinear", "DequantizeLinear")
    ]
    names = {entry.name for entry in suspect.graph.input}
    names |= {name for node in suspect.graph.node for name in node.output}
    partners = {name: name for name in names if name in known}
    for source, made in passing:
        if made not in partners and source in partners:
            partners[made] = partners[source]
    for source, made in reversed(passing):
        if source not in partners and made in partners:
            partners[source] = partners[made]
    return partners


def _types(model: onnx.ModelProto) -> dict[str, int]:
    return {entry.name: entry.type.tensor_type.elem_type for entry in _inferred(model)}


def _inferred(model: onnx.ModelProto) -> Sequence[Any]:
    import onnx

    graph = model.graph
    with suppress(Exception):  # the engines have inference of their own
        graph = onnx.shape_inference.infer_shapes(model).graph
    return [*graph.value_info, *graph.input, *graph.output]


def _has_shape(entry: Any) -> bool:
    return entry is not None and entry.type.tensor_type.HasField("shape")
