"""The JSON documents that commands print and other tools may rely on.

Every document begins with `schema`. The JSON Schemas in edgekit/benchmarks/schemas are made from
these records (`make schemas`), and a test holds the two together. Keys may be added, never removed.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgekit.core.certificate import Check, Metric, Verdict
from edgekit.core.measurement import Latency

__all__ = [
    "DOCUMENTS",
    "BenchDocument",
    "BenchEntry",
    "CompileDocument",
    "DataDocument",
    "DeployDocument",
    "DeployEntry",
    "DoctorDocument",
    "DoctorTarget",
    "Environment",
    "ErrorDocument",
    "EvalDocument",
    "ExportDocument",
    "GraphFacts",
    "InspectDocument",
    "OutputParity",
    "QuantizeDocument",
    "Recommendation",
    "VerifyDocument",
    "VerifyEntry",
]


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the documents."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The machine behind a figure.

    Attributes:
        identity: What makes two figures comparable: CPU or GPU model, instruction set, threads,
            power mode, governor, versions.
        observed: What only warns: load, clocks, temperature, free memory, container limits.
    """

    identity: dict[str, Any]
    observed: dict[str, Any]


class ErrorDocument(_Document, frozen=True, kw_only=True):
    """What went wrong, for a program that asked for --json."""

    schema: Literal["edgekit.error/1"] = "edgekit.error/1"
    kind: str
    message: str
    hint: str
    exit_status: int


class DoctorTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One target, usable or not."""

    target: str
    usable: bool
    reason: str
    fix: str
    version: str = ""
    device: str = ""
    precisions: tuple[str, ...] = ()
    computes: tuple[str, ...] = ()


class DoctorDocument(_Document, frozen=True, kw_only=True):
    """What works here, what does not, why, and the fix."""

    schema: Literal["edgekit.doctor/1"] = "edgekit.doctor/1"
    targets: tuple[DoctorTarget, ...]
    problems: tuple[str, ...]
    environment: Environment


class DataDocument(_Document, frozen=True, kw_only=True):
    """A built-in data set written to disk."""

    schema: Literal["edgekit.data/1"] = "edgekit.data/1"
    name: str
    folder: str
    images: int
    roles: dict[str, int]


class OutputParity(msgspec.Struct, frozen=True, kw_only=True):
    """One output of one graph against the reference; None where a difference is infinite."""

    role: str
    output: str
    shape: tuple[int, ...]
    max_abs: float | None
    max_rel: float | None
    cosine: float
    sqnr_db: float


class ExportDocument(_Document, frozen=True, kw_only=True):
    """A graph written and checked against the reference.

    Attributes:
        exporter: "torch.export", "torchscript" (the fallback) or "onnx" (it was one already).
        opset: Read back from the written file.
        parity: The worst case of every output over all shapes tried.
        shapes: Input shapes the written file was run at, by role.
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
    notes: tuple[str, ...] = ()


class QuantizeDocument(_Document, frozen=True, kw_only=True):
    """A quantized or cast variant.

    Attributes:
        decisions: Path of quantization.json; None for fp16.
        quantized_share: Share of FLOPs whose node is quantized, 0 to 1; None for fp16.
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


class CompileDocument(_Document, frozen=True, kw_only=True):
    """Engines compiled for one target.

    Attributes:
        engines: Role to the engine's folder in the cache.
        cached: Whether all of them were in the cache already.
    """

    schema: Literal["edgekit.compile/1"] = "edgekit.compile/1"
    model: str
    target: str
    compute: str
    engines: dict[str, str]
    cached: bool
    compile_ms: float
    size_bytes: int
    executed_precision: str
    placement: dict[str, float]


class EvalDocument(_Document, frozen=True, kw_only=True):
    """The task metric of one entry.

    Attributes:
        split: How the images that score were chosen: "all", "role", "folder", or the seeded draw.
    """

    schema: Literal["edgekit.eval/1"] = "edgekit.eval/1"
    model: str
    target: str
    variant: str
    compute: str
    metric: Metric
    n: int
    split: str = "all"
    skipped: tuple[str, ...] = ()


class BenchEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One measured entry; see core.measurement for the meaning of each figure."""

    target: str
    variant: str
    compute: str
    executed_precision: str
    scenario: str
    boundary: str
    valid: bool
    reasons: tuple[str, ...]
    n: int
    p50_ms: float | None = None
    p50_low_ms: float | None = None
    p50_high_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    throughput_per_s: float | None = None
    load_ms: float | None = None
    first_ms: float | None = None
    compile_ms: float | None = None
    rss_peak_bytes: int | None = None
    rss_base_bytes: int | None = None
    energy_j: float | None = None
    samples: str | None = None
    warmup: int = 0
    steady: bool = False
    stopped_by: str = ""
    missing: dict[str, int] = {}


class BenchDocument(_Document, frozen=True, kw_only=True):
    """Latency and throughput of one or several entries, measured in turns."""

    schema: Literal["edgekit.bench/1"] = "edgekit.bench/1"
    model: str
    environment: Environment
    entries: tuple[BenchEntry, ...]


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The entry to ship on one target, or the reason why there is none."""

    target: str
    variant: str | None
    compute: str | None
    reason: str


class DeployEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One (target, variant, compute) with its certificate and its measurement."""

    target: str
    variant: str
    compute: str
    verdict: Verdict
    executed_precision: str
    checks: dict[str, Check]
    metric: Metric | None
    latency: Latency | None
    throughput_per_s: float | None
    size_bytes: int
    load_ms: float | None
    first_ms: float | None
    rss_peak_bytes: int | None
    energy_j: float | None
    valid: bool = True
    reasons: tuple[str, ...] = ()
    error: str = ""


class DeployDocument(_Document, frozen=True, kw_only=True):
    """A bundle made."""

    schema: Literal["edgekit.deploy/1"] = "edgekit.deploy/1"
    bundle: str
    source: str
    recommended: tuple[Recommendation, ...]
    best: Recommendation | None
    verdict: Verdict
    entries: tuple[DeployEntry, ...]
    reference: str
    reference_metric: Metric | None
    environment: Environment
    notes: tuple[str, ...] = ()


class VerifyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry repeated on arrival."""

    target: str
    variant: str
    compute: str
    verdict: Verdict
    checks: dict[str, Check]


class VerifyDocument(_Document, frozen=True, kw_only=True):
    """A bundle checked on arrival.

    Attributes:
        files: Number of files whose sha256 was checked.
        damaged: What is missing, changed or extra, each a sentence.
        differences: Keys of the environment that differ from the certificate's.
        skipped: Entries that could not be repeated here, each a sentence.
    """

    schema: Literal["edgekit.verify/1"] = "edgekit.verify/1"
    bundle: str
    verdict: Verdict
    files: int
    damaged: tuple[str, ...]
    entries: tuple[VerifyEntry, ...]
    differences: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class GraphFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What can be read off one ONNX graph.

    Attributes:
        flops: At the smallest batch, a multiply and an add counted as two.
        quantized_share: Share of FLOPs between Q/DQ pairs with int8 weights.
        precision: The variant precision the graph holds: "fp32", "fp16" or "int8".
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


class InspectDocument(_Document, frozen=True, kw_only=True):
    """Card and graph facts of a model or a bundle."""

    schema: Literal["edgekit.inspect/1"] = "edgekit.inspect/1"
    model: str
    card: dict[str, Any]
    graphs: tuple[GraphFacts, ...]
    bundle: dict[str, Any] | None = None


# Kind to record: what `make schemas` writes and `--json` prints.
DOCUMENTS: dict[str, type[_Document]] = {
    "bench": BenchDocument,
    "compile": CompileDocument,
    "data": DataDocument,
    "deploy": DeployDocument,
    "doctor": DoctorDocument,
    "error": ErrorDocument,
    "eval": EvalDocument,
    "export": ExportDocument,
    "inspect": InspectDocument,
    "quantize": QuantizeDocument,
    "verify": VerifyDocument,
}
