"""Which nodes of an fp32 graph fp16 does not do well, found by running it on real inputs.

Beside each node the same node runs on inputs that are rounded to fp16, as the simulation of an fp16
graph runs it, reductions in both ways of adding up. Each is compared with the fp32 result where it
stands: an error is counted at the node that makes it, and not at those behind it. The comparison is
part of the graph, so that a run gives a few numbers a node and no activations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.runtime import Array, Feeds
from edgekit.core.temporary import scratch
from edgekit.export.fp16_simulation import (
    LARGEST,
    MOVING,
    NARROW,
    FloatTypes,
    is_known,
    narrowed,
    rounded,
)
from edgekit.export.graph import constants, opset_of, producers
from edgekit.export.graph_writer import GraphWriter

if TYPE_CHECKING:
    import onnx

__all__ = ["HEADROOM", "LEAST_DB", "Runner", "Unfit", "find_unfit"]

# Runs an ONNX file on each of some inputs, as it is written.
Runner = Callable[[Path, Sequence[Feeds]], Iterable[Mapping[str, Array]]]

# Other inputs than those tried may be larger by this factor.
HEADROOM = 2.0
# A node below it takes a tenth of the error power that an fp16 graph may have (30 dB).
LEAST_DB = 40.0

_FLOAT, _DOUBLE = 1, 11  # of onnx.TensorProto
_LOST = 2.0**-25  # fp16 rounds it and what is below to zero
_PROBE = "fp16:probe"
# Their other inputs stay fp32 in a cast graph.
_FIRST_INPUT_ONLY = frozenset({"Resize", "Upsample"})


@dataclass(frozen=True)
class Unfit:
    """Nodes that are to stay in fp32, by name.

    Attributes:
        range: What they give or read leaves the range of fp16, or comes out wrong in it.
        accumulation: They are right where an engine adds up in fp32, and wrong where it adds up in
            fp16.
    """

    range: tuple[str, ...]
    accumulation: tuple[str, ...]


@dataclass(frozen=True)
class _Figures:
    """One comparison, over all elements of all inputs.

    Attributes:
        lost: Elements that are finite in fp32 alone.
        large: Elements over the range.
        small: Elements that fp16 rounds to zero.
        error: Sum of the squared differences.
        signal: Sum of the squares.
    """

    lost: float
    large: float
    small: float
    error: float
    signal: float

    @property
    def wrong(self) -> bool:
        """Whether fp16 does not do."""
        if self.lost or self.large:
            return True
        return self.error > self.signal / 10 ** (LEAST_DB / 10)

    @property
    def loses_more_than_digits(self) -> bool:
        """Whether values become infinite or zero in fp16."""
        return bool(self.large or self.small)


def find_unfit(model: onnx.ModelProto, feeds: Sequence[Feeds], run: Runner) -> Unfit:
    """Run an fp32 graph on inputs and find the nodes that fp16 does not do well.

    Args:
        model: Every node has a name of its own; Constant nodes are initializers.
        feeds: Inputs, float32.
        run: Runs the probe.
    """
    probe, probed = _probe(model)
    if not probed or not feeds:
        return Unfit((), ())
    totals = np.zeros((len(probed), len(fields(_Figures))))
    with scratch("fp16") as folder:
        path = folder / "probe.onnx"
        path.write_bytes(probe.SerializeToString())
        for outputs in run(path, feeds):
            totals += outputs[_PROBE].reshape(totals.shape)
    wide: dict[str, _Figures] = {}
    narrow: list[str] = []
    for (node, is_narrow), row in zip(probed, totals, strict=True):
        figures = _Figures(*row)
        if not is_narrow:
            # Of a node with several results, one that is wrong counts.
            wide[node] = figures if figures.wrong else wide.get(node, figures)
        elif figures.wrong:
            narrow.append(node)
    named = {node.name: node for node in model.graph.node}
    makers = producers(model)
    kept: dict[str, None] = {}
    for name, figures in wide.items():
        if figures.wrong:
            kept[name] = None
            # What is too large is so whatever the node reads; else what it reads was rounded badly.
            if not figures.large:
                kept |= dict.fromkeys(_to_blame(named[name], makers, wide))
    return Unfit(tuple(kept), tuple(name for name in narrow if name not in kept))


def _to_blame(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], figures: Mapping[str, _Figures]
) -> list[str]:
    """Names of the nodes whose results must reach a node in fp32, and of what moves them there.

    Those of which fp16 loses something; where it is none, the digits of all are what is missing.
    """
    lossy: list[str] = []
    everything: list[str] = []
    for tensor in node.input:
        moving, making = _way(tensor, makers)
        everything += [*moving, *making]
        if any(name in figures and figures[name].loses_more_than_digits for name in making):
            lossy += [*moving, *making]
    return lossy or everything


def _way(tensor: str, makers: Mapping[str, onnx.NodeProto]) -> tuple[list[str], list[str]]:
    """Names of the nodes that move values to where they are read, and of those that make them."""
    found: dict[str, onnx.NodeProto] = {}
    waiting = [tensor]
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is not None and maker.name not in found:
            found[maker.name] = maker
            waiting += maker.input if maker.op_type in MOVING else ()
    moving = [name for name, maker in found.items() if maker.op_type in MOVING]
    return moving, [name for name in found if name not in moving]


def _probe(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[tuple[str, bool]]]:
    """Return the graph with a comparison beside each node.

    Returns:
        The graph, whose output `_PROBE` has the fields of _Figures one after the other; and what
        is compared: a node's name, and whether it is the narrow reduction.
    """
    import onnx

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    types = FloatTypes.of(model)
    writer = GraphWriter(probe, "fp16:")
    values, opset = constants(model), opset_of(model)
    nodes: list[onnx.NodeProto] = []
    probed: list[tuple[str, bool]] = []
    rows: list[str] = []
    halves: dict[str, str] = {}

    def half(tensor: str) -> str:
        return rounded(writer, tensor, headroom=HEADROOM)

    for node in model.graph.node:
        nodes.append(_copied(node))
        floats = [name for name in node.output if types.kinds.get(name) == _FLOAT]
        if not floats or node.op_type in MOVING or not is_known(node):
            continue
        copy = _copied(node)
        inputs = node.input[:1] if node.op_type in _FIRST_INPUT_ONLY else node.input
        for index, name in enumerate(inputs):
            if types.kinds.get(name) == _FLOAT:
                if name not in halves:
                    halves[name] = half(name)
                copy.input[index] = halves[name]
        copy.name = writer.name(f"fp16:{node.name}")
        for index, name in enumerate(node.output):
            copy.output[index] = writer.name(f"fp16:{name}") if name else ""
        nodes += [*writer.take(), copy]
        for reference, name in zip(node.output, copy.output, strict=True):
            if reference in floats:
                rows.append(_compared(writer, reference, half(name)))
                probed.append((node.name, False))
        if node.op_type in NARROW:
            rank = types.ranks.get(node.input[0])
            made = narrowed(writer, copy, rank, opset, values, half)
            if made:
                rows.append(_compared(writer, node.output[0], half(made)))
                probed.append((node.name, True))
        nodes += writer.take()
    if rows:
        writer.add("Concat", *rows, output=_PROBE, axis=0)
    del probe.graph.node[:]
    probe.graph.node.extend([*nodes, *writer.take()])
    del probe.graph.output[:]
    probe.graph.output.append(onnx.helper.make_tensor_value_info(_PROBE, _DOUBLE, None))
    del probe.graph.value_info[:]
    return probe, probed


def _compared(writer: GraphWriter, reference: str, got: str) -> str:
    """Write the comparison of two tensors; float64 numbers, one a field of _Figures."""

    def within(tensor: str, limit: float) -> str:
        return writer.add("Less", tensor, writer.number(limit))

    size, zero = writer.add("Abs", reference), writer.number(0.0)
    finite = within(size, math.inf)
    both = writer.add("And", finite, within(writer.add("Abs", got), math.inf))
    masks = (
        writer.add("And", finite, writer.add("Not", both)),
        writer.add("And", finite, writer.add("Greater", size, writer.number(LARGEST / HEADROOM))),
        writer.add("And", within(size, _LOST), writer.add("Greater", size, zero)),
    )
    powers = (
        writer.add("Where", both, writer.add("Sub", reference, got), zero),
        writer.add("Where", finite, reference, zero),
    )
    numbers = [
        *(writer.add("ReduceSum", _double(writer, each), keepdims=0) for each in masks),
        *(writer.add("ReduceSumSquare", _double(writer, each), keepdims=0) for each in powers),
    ]
    one = writer.constant([1])
    return writer.add("Concat", *(writer.add("Reshape", each, one) for each in numbers), axis=0)


def _double(writer: GraphWriter, tensor: str) -> str:
    return writer.add("Cast", tensor, to=_DOUBLE)


def _copied(node: onnx.NodeProto) -> Any:
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
