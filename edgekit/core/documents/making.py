"""`export`, `quantize` and `compile`: graphs and engines made."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Verdict
from edgekit.core.documents.document import Document, OutputParity

__all__ = ["CompileDocument", "ExportDocument", "QuantizeDocument"]


class ExportDocument(Document, frozen=True, kw_only=True):
    """A graph written and checked against the reference.

    Attributes:
        exporter: "torch.export", "torchscript" (the fallback) or "onnx" (it was one already).
        opset: Read back from the written file.
        parity: The worst case of every output over all shapes tried.
        shapes: Input shapes the written file was run at, by role.
        bake: What was put into the graph: "preprocess", "nms".
        size_bytes: Size of all graphs together.
    """

    schema: Literal["edgekit.export/1"] = "edgekit.export/1"
    source: str
    graphs: dict[str, str]
    exporter: str
    opset: int
    verdict: Verdict
    parity: tuple[OutputParity, ...]
    shapes: dict[str, tuple[dict[str, tuple[int, ...]], ...]]
    size_bytes: int
    bake: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class QuantizeDocument(Document, frozen=True, kw_only=True):
    """A quantized or cast variant.

    Attributes:
        decisions: Path of quantization.json; None for fp16.
        quantized_share: Share of FLOPs whose node is quantized, 0 to 1; None for fp16.
        quantized_by_graph: Likewise of each graph, by role; empty for fp16.
        images: Calibration images used.
    """

    schema: Literal["edgekit.quantize/1"] = "edgekit.quantize/1"
    model: str
    variant: str
    graphs: dict[str, str]
    decisions: dict[str, str]
    verdict: Verdict
    parity: tuple[OutputParity, ...]
    size_bytes: int
    size_bytes_before: int
    quantized_share: float | None
    images: int
    notes: tuple[str, ...] = ()
    quantized_by_graph: dict[str, float] = msgspec.field(default_factory=dict)


class CompileDocument(Document, frozen=True, kw_only=True):
    """Engines compiled for one target.

    Attributes:
        sm: GPU architectures that they were built for without that GPU, 89 for SM 8.9; empty where
            they are for this machine.
        engines: Role to the engine's folder: in the cache, or where -o put it.
        cached: Whether all of them were in the cache already.
        executed_precision: What most of the arithmetic runs in, by the engine itself; None where
            it cannot be opened here.
        placement: Share of the work by precision; where the engine cannot be opened here, share of
            the products (convolutions, matrix products) by the precision planned for them.
        memory: "weights_bytes", "activations_bytes", "scratch_bytes" on the device, with the
            largest shapes; as far as the build told.
        notes: What the build told, and what was not proven, each a sentence.
        devices: Share of the arithmetic by the device or provider that runs it.
    """

    schema: Literal["edgekit.compile/1"] = "edgekit.compile/1"
    model: str
    target: str
    compute: str
    sm: tuple[int, ...] = ()
    engines: dict[str, str]
    cached: bool
    compile_ms: float
    size_bytes: int
    executed_precision: str | None
    placement: dict[str, float]
    memory: dict[str, int] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    devices: dict[str, float] = msgspec.field(default_factory=dict)
