"""What can be read off an ONNX file: operators, parameters, FLOPs, bytes, precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from edgekit.core.card import Axis, GraphCard, ModelCard, TensorCard
from edgekit.core.documents import AxisFacts, GraphFacts, NodeWork, OperatorWork
from edgekit.core.files import sha256_file
from edgekit.core.inputs import batch_axis, dynamic_axes, resolve_shape
from edgekit.export.metadata import card_of, graph_card
from edgekit.export.onnx_file import read_onnx
from edgekit.export.round_trips import round_trips
from edgekit.export.shapes import element_bytes, graph_tensors
from edgekit.export.to_onnx import opset_of
from edgekit.export.work import constant_tensors, graph_work
from edgekit.tasks.preprocess import picture_axes

__all__ = ["facts_of", "graph_facts", "quantized_shares"]

# ONNX element types of weights; int64 tensors are shapes and indices.
_WEIGHT_TYPES = {1, 2, 3, 6, 10, 11, 16, 17, 18, 19, 20, 21, 22}
_HALF = (10, 16)


def graph_facts(path: Path, role: str = "main") -> GraphFacts:
    """Read the facts of one ONNX file.

    FLOPs and bytes are counted at the smallest batch and the typical size of other axes; see
    `edgekit.export.work.node_flops` and `node_bytes` for the rules.

    Args:
        path: The ONNX file.
        role: The graph's role in its model.

    Raises:
        BadInput: Damaged, or no valid ONNX file.
    """
    return facts_of(read_onnx(path), path, role)


def quantized_shares(graphs: Mapping[str, str]) -> tuple[float | None, dict[str, float]]:
    """Return the share of the FLOPs that is quantized: of all graphs together, and of each.

    Args:
        graphs: Role to the ONNX file.

    Returns:
        0 to 1; None for the whole where nothing can be counted.
    """
    facts = {role: graph_facts(Path(path), role) for role, path in graphs.items()}
    flops = sum(fact.flops for fact in facts.values())
    quantized = sum(fact.quantized_share * fact.flops for fact in facts.values())
    own = {role: fact.quantized_share for role, fact in facts.items()}
    return quantized / flops if flops else None, own


def facts_of(
    model: Any, path: Path, role: str = "main", *, card: ModelCard | None = None
) -> GraphFacts:
    """Read the facts of a model that is loaded already.

    Args:
        model: onnx.ModelProto, checked.
        path: Where it lies, for its size and checksum.
        role: The graph's role in its model.
        card: What is known of its axes and of the images it takes; None takes the card inside the
            file.

    Raises:
        BadInput: An embedded card that is malformed.
    """
    # The graph knows only the names of its axes; their ranges are the card's.
    own = graph_card(model, str(path))
    if card is None:
        # Facts need no head, which values may have to tell.
        card = card_of(model, str(path), decode="yolov8") or ModelCard()
    axes = _axes(own, card.graph(role))
    batch = batch_axis(own.inputs)
    pictures = picture_axes(own.inputs, card)
    usual = {name: axis.typical or pictures.get(name) for name, axis in axes.items()}
    counted = {
        name: axis.min if name == batch else usual[name] or axis.min for name, axis in axes.items()
    }
    sizes = {name: resolve_shape(tensor, counted, name) for name, tensor in own.inputs.items()}
    tensors = graph_tensors(model, sizes)
    stored = constant_tensors(model, tensors)
    work = graph_work(model, tensors, stored)
    trips, in_int8 = round_trips(model, tensors, stored, work)
    flops = sum(node.flops or 0 for node in work)
    moved = sum(node.bytes or 0 for node in work)
    by_precision = _shares(work, flops)
    weights = [tensor for tensor in _weights(model.graph) if tensor.data_type in _WEIGHT_TYPES]
    sized = [(tensor, _bytes(tensor)) for tensor in weights]
    half = sum(size for tensor, size in sized if tensor.data_type in _HALF)
    weight_bytes = sum(size for _, size in sized)
    share = by_precision.get("int8", 0.0)
    converted = {name for trip in trips for name in trip.conversions}
    return GraphFacts(
        role=role,
        file=path.name,
        size_bytes=path.stat().st_size,
        sha256=sha256_file(path),
        opset=opset_of(model),
        ir_version=int(model.ir_version),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        inputs={name: _described(tensor) for name, tensor in own.inputs.items()},
        outputs={name: _described(tensor) for name, tensor in own.outputs.items()},
        nodes=len(work),
        operators=dict(Counter(node.op for node in work).most_common()),
        parameters=sum(prod(tensor.dims) for tensor in weights),
        parameter_bytes=int(weight_bytes),
        flops=flops,
        quantized_share=share,
        precision="int8" if share > 0 else "fp16" if half * 2 > weight_bytes else "fp32",
        axes={
            name: AxisFacts(
                min=axis.min,
                typical=axis.typical,
                max=axis.max,
                counted=counted[name],
                stated=name == batch or usual[name] is not None or axis.min > 1,
            )
            for name, axis in axes.items()
        },
        domains={
            entry.domain: int(entry.version)
            for entry in model.opset_import
            if entry.domain not in ("", "ai.onnx")
        },
        parameters_by_dtype=_by_dtype(weights),
        bytes=moved,
        intensity=flops / moved if moved else None,
        by_operator=_by_operator(work),
        by_node=work,
        unknown_nodes=tuple(node.name for node in work if node.flops is None or node.bytes is None),
        precision_shares=by_precision,
        int8_on_onnxruntime=sum(work[place].flops or 0 for place in in_int8) / (flops or 1),
        round_trips=trips,
        round_trip_bytes=sum(node.bytes or 0 for node in work if node.name in converted),
    )


def _axes(own: GraphCard, card: GraphCard) -> dict[str, Axis]:
    """The graph's dynamic axes under the graph's names, with the ranges that the card knows."""
    axes = dynamic_axes(own.inputs)
    ranges = dynamic_axes(card.inputs)
    axes.update({name: axis for name, axis in ranges.items() if name in axes})
    for name, tensor in own.inputs.items():
        written = card.inputs.get(name)
        if written is None or len(written.shape) != len(tensor.shape):
            continue
        for label, known in zip(tensor.shape, written.shape, strict=True):
            called = known.name if isinstance(known, Axis) else known
            if isinstance(label, str) and called in ranges:
                axes[label] = ranges[called]
    return axes


def _shares(work: Sequence[NodeWork], total: int) -> dict[str, float]:
    """Share of the FLOPs by precision, largest first; empty where there are none."""
    counts: Counter[str] = Counter()
    for node in work:
        if node.flops:
            counts[node.precision] += node.flops
    return {name: count / total for name, count in counts.most_common()}


def _by_operator(work: Sequence[NodeWork]) -> dict[str, OperatorWork]:
    groups: dict[str, list[NodeWork]] = {}
    for node in work:
        groups.setdefault(node.op, []).append(node)
    counted = {
        operator: OperatorWork(
            nodes=len(group),
            flops=sum(node.flops or 0 for node in group),
            bytes=sum(node.bytes or 0 for node in group),
        )
        for operator, group in groups.items()
    }
    return dict(sorted(counted.items(), key=lambda item: (-item[1].flops, -item[1].bytes)))


def _weights(graph: Any) -> list[Any]:
    """Initializers and the tensors of Constant nodes."""
    constants = [
        attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    return [*graph.initializer, *constants]


def _bytes(tensor: Any) -> float:
    return float(prod(tensor.dims) * (element_bytes(tensor.data_type) or 0.0))


def _by_dtype(weights: Sequence[Any]) -> dict[str, int]:
    import onnx

    counts: Counter[str] = Counter()
    for tensor in weights:
        name = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        counts[name] += prod(tensor.dims)
    return dict(counts.most_common())


def _described(tensor: TensorCard) -> tuple[str, tuple[int | str, ...]]:
    return tensor.dtype, tuple(
        size.name if isinstance(size, Axis) else size for size in tensor.shape
    )
