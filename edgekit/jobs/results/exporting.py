"""Results in other forms: CSV, Markdown, and the JSON of Google Benchmark."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from typing import Any

import msgspec

from edgekit.core.destination import CSV, JSON, MARKDOWN
from edgekit.core.documents import BenchDocument, BenchEntry
from edgekit.core.files import pretty_json

__all__ = ["FORMATS", "export_text"]

FORMATS = {"csv": CSV, "markdown": MARKDOWN, "google-benchmark": JSON, "json": JSON}

# Columns of the CSV, the conditions first.
_COLUMNS = (
    "model", "target", "variant", "compute", "executed_precision", "scenario", "boundary", "batch",
    "threads", "streams", "concurrency", "rate", "valid", "n", "dropped", "p50_ms", "p50_low_ms",
    "p50_high_ms",
    "p90_ms", "p95_ms", "p99_ms", "p999_ms", "throughput_per_s", "throughput_low_per_s",
    "throughput_high_per_s", "load_ms", "first_ms", "compile_ms", "warmup_ms", "rss_peak_bytes",
    "tool", "created", "environment", "reasons",
)  # fmt: skip


def export_text(documents: Sequence[BenchDocument], form: str) -> str:
    """Return results as one text.

    Args:
        documents: One or several; their entries follow each other.
        form: One of FORMATS.
    """
    if form == "csv":
        return _csv(documents)
    if form == "markdown":
        return _markdown(documents)
    if form == "google-benchmark":
        return _google_benchmark(documents)
    content: Any = documents[0] if len(documents) == 1 else list(documents)
    return pretty_json(content).decode()


def _csv(documents: Sequence[BenchDocument]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for document in documents:
        about = {
            "model": document.model,
            "created": document.created,
            "environment": document.environment.sha256,
        }
        for entry in document.entries:
            values = {**msgspec.structs.asdict(entry), **about}
            values["reasons"] = " ".join(entry.reasons)
            values["valid"] = str(entry.valid).lower()
            writer.writerow(["" if values[name] is None else values[name] for name in _COLUMNS])
    return text.getvalue()


def _markdown(documents: Sequence[BenchDocument]) -> str:
    head = (
        "model", "target", "variant", "compute", "scenario", "boundary", "batch", "n",
        "p50 ms (95 % interval)", "p90 ms", "p99 ms", "per s", "valid",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for document in documents:
        for entry in document.entries:
            cells = (
                document.model,
                entry.target,
                entry.variant,
                entry.compute,
                _scenario(entry),
                entry.boundary,
                str(entry.batch),
                str(entry.n),
                _interval(entry),
                _figure(entry.p90_ms),
                _figure(entry.p99_ms),
                _figure(entry.throughput_per_s),
                "yes" if entry.valid else f"no: {' '.join(entry.reasons)}",
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _scenario(entry: BenchEntry) -> str:
    return entry.scenario if entry.rate is None else f"{entry.scenario} at {entry.rate} a second"


def _interval(entry: BenchEntry) -> str:
    if entry.p50_low_ms is None or entry.p50_high_ms is None:
        return _figure(entry.p50_ms)
    ends = f"{_figure(entry.p50_low_ms)}–{_figure(entry.p50_high_ms)}"
    return f"{_figure(entry.p50_ms)} ({ends})"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _google_benchmark(documents: Sequence[BenchDocument]) -> str:
    """Lay out what `google-benchmark --benchmark_format=json` writes.

    Real and CPU time are the median latency: what the engine's threads used beside it is not
    known. Offline has no latency; its time is that of one input at the throughput.
    """
    first = documents[0]
    identity, observed = first.environment.identity, first.environment.observed
    clocks = observed.get("clock_mhz") or [0]
    context = {
        "date": first.created,
        "host_name": os.environ.get("HOSTNAME", ""),
        "executable": "edgekit",
        "num_cpus": identity.get("cores_logical") or 0,
        "mhz_per_cpu": round(clocks[0]),
        "cpu_scaling_enabled": identity.get("governor") not in (None, "performance"),
        "caches": [],
        "load_avg": observed.get("load_average") or [],
        "library_build_type": "release",
    }
    benchmarks = []
    for document in documents:
        for place, entry in enumerate(document.entries):
            milliseconds = entry.p50_ms
            if milliseconds is None and entry.throughput_per_s:
                milliseconds = 1000 / entry.throughput_per_s
            name = "/".join(
                (
                    document.model, entry.target, entry.variant, entry.compute, _scenario(entry),
                    entry.boundary, f"batch:{entry.batch}", f"threads:{entry.threads or 0}",
                )
            )  # fmt: skip
            one: dict[str, Any] = {
                "name": name,
                "family_index": 0,
                "per_family_instance_index": place,
                "run_name": name,
                "run_type": "iteration",
                "repetitions": 1,
                "repetition_index": 0,
                "threads": 1,
                "iterations": entry.n,
                "real_time": milliseconds or 0.0,
                "cpu_time": milliseconds or 0.0,
                "time_unit": "ms",
            }
            if entry.throughput_per_s is not None:
                one["items_per_second"] = entry.throughput_per_s
            if entry.n == 0:
                one |= {"error_occurred": True, "error_message": " ".join(entry.reasons)}
            benchmarks.append(one)
    content = {"context": context, "benchmarks": benchmarks}
    return pretty_json(content).decode()
