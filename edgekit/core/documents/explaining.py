"""`inspect`: what a graph is, does and costs."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgekit.core.documents.document import Document
from edgekit.core.documents.engines import EngineFacts

__all__ = [
    "AxisFacts",
    "GraphFacts",
    "InspectDocument",
    "NodeWork",
    "OperatorWork",
    "RoundTrip",
    "RuntimeLimit",
]


class AxisFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A dynamic axis of a graph.

    Attributes:
        min: Smallest size.
        typical: The size that engines optimise for; None means `min`.
        max: Largest size; None means not bounded.
        counted: The size that FLOPs and bytes are counted at: the smallest batch, the typical size
            of any other axis, or that of the card's images.
        stated: Whether something says that size; without it `counted` is the smallest there is, and
            the figures are those of no real input.
    """

    min: int
    typical: int | None = None
    max: int | None = None
    counted: int = 1
    stated: bool = True


class NodeWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one node does and moves, at the sizes of its axes that count.

    Attributes:
        flops: A multiply and an add counted as two; None where a shape is not known.
        bytes: Inputs, weights and outputs, once each; None where a size is not known.
        precision: What it is written to compute in: "int8", "fp32", "fp16", …, "int".
        shape: Of the first output; None where it is not known.
        module: Path of the PyTorch module that it came from, where the graph tells; else empty.
    """

    name: str
    op: str
    flops: int | None
    bytes: int | None
    precision: str
    shape: tuple[int, ...] | None = None
    module: str = ""


class OperatorWork(msgspec.Struct, frozen=True, kw_only=True):
    """What all nodes of one operator do and move together."""

    nodes: int
    flops: int
    bytes: int


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True):
    """A place where an int8 graph leaves int8 and comes back.

    Attributes:
        kind: "island" (several operators in float between int8 on both sides), "unfused" (one
            operator without an int8 kernel), "requantize" (a DequantizeLinear straight into a
            QuantizeLinear of another scale) or "redundant" (the same, of the same scale).
        operators: Operators inside, in the graph's order.
        nodes: Their names.
        conversions: Names of the DequantizeLinear and QuantizeLinear nodes around them.
        bytes: What the conversions read and write; None where a size is not known.
        flops: FLOPs of the nodes inside.
    """

    kind: Literal["island", "unfused", "requantize", "redundant"]
    operators: tuple[str, ...]
    nodes: tuple[str, ...]
    conversions: tuple[str, ...]
    bytes: int | None
    flops: int


class RuntimeLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one runtime reads a graph of this opset and IR version.

    Attributes:
        version: Of the installed library, or the release that the figures are about.
        installed: Whether that library is here.
        verdict: "ok", "too new", "too old", or "unknown" where nothing tells.
        opset_min: Smallest operator set that it promises to read; None where not known.
        opset_max: Largest one.
        ir_max: Largest IR version; None where it is not known, or not checked.
        source: Where the figures are from.
        reason: Why the verdict is what it is, one sentence; empty for "ok".
    """

    runtime: str
    version: str
    installed: bool
    verdict: Literal["ok", "too new", "too old", "unknown"]
    opset_min: int | None
    opset_max: int | None
    ir_max: int | None
    source: str
    reason: str = ""


class GraphFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What can be read off one ONNX graph.

    Attributes:
        flops: At the sizes of `axes` that count, a multiply and an add counted as two.
        quantized_share: Share of FLOPs between Q/DQ pairs with int8 weights.
        precision: The variant precision the graph holds: "fp32", "fp16" or "int8".
        variant: In a bundle, the variant that the graph belongs to.
        axes: Dynamic axes by name, with the card's ranges.
        domains: Further operator sets that it imports, by domain.
        parameters_by_dtype: Number of parameters by numpy dtype.
        bytes: Read and written by all nodes, at those sizes, as the graph is written.
        intensity: FLOPs for each byte; None where nothing moves.
        by_operator: What the nodes of each operator do and move together, most FLOPs first.
        by_node: What each node does and moves, in the graph's order.
        unknown_nodes: Nodes that are not counted in full because a size is not known.
        precision_shares: Share of FLOPs by the precision that nodes are written to compute in.
        int8_on_onnxruntime: Share of FLOPs that ONNX Runtime's CPU kernels compute in int8, by the
            graph's structure: matrix products between Q/DQ pairs, and convolutions whose result is
            quantized again at once.
        round_trips: Where int8 is left and entered again, the most expensive first.
        round_trip_bytes: What all their conversions move, each counted once.
        limits: Whether runtimes read this opset and IR version.
    """

    role: str
    file: str
    size_bytes: int
    sha256: str
    opset: int
    ir_version: int
    producer: str
    inputs: dict[str, tuple[str, tuple[int | str, ...]]]
    outputs: dict[str, tuple[str, tuple[int | str, ...]]]
    nodes: int
    operators: dict[str, int]
    parameters: int
    parameter_bytes: int
    flops: int
    quantized_share: float
    precision: str
    variant: str = ""
    axes: dict[str, AxisFacts] = {}
    domains: dict[str, int] = {}
    parameters_by_dtype: dict[str, int] = {}
    bytes: int = 0
    intensity: float | None = None
    by_operator: dict[str, OperatorWork] = {}
    by_node: tuple[NodeWork, ...] = ()
    unknown_nodes: tuple[str, ...] = ()
    precision_shares: dict[str, float] = {}
    int8_on_onnxruntime: float = 0.0
    round_trips: tuple[RoundTrip, ...] = ()
    round_trip_bytes: int = 0
    limits: tuple[RuntimeLimit, ...] = ()


class InspectDocument(Document, frozen=True, kw_only=True):
    """Card and graph facts of a model or a bundle, or what is known of compiled engines.

    Attributes:
        top: How many nodes and round trips a printed table lists; the document holds all.
        engines: Of a folder of engines or of a plan file, which hold no graphs.
    """

    schema: Literal["edgekit.inspect/1"] = "edgekit.inspect/1"
    model: str
    card: dict[str, Any]
    graphs: tuple[GraphFacts, ...]
    bundle: dict[str, Any] | None = None
    top: int = 5
    engines: tuple[EngineFacts, ...] = ()
