"""Figures of one cell as an entry of the document, and its raw samples as a file."""

from __future__ import annotations

import msgspec
import numpy as np

from edgekit.core.documents import BenchEntry
from edgekit.core.errors import EdgekitError
from edgekit.core.manifest import entry_name
from edgekit.jobs.measuring.cells import Cell
from edgekit.jobs.measuring.prepare import PreparedCell
from edgekit.jobs.process.worker import EntryFigures
from edgekit.jobs.results.raw import RawSamples

__all__ = ["bench_entry", "failed_entry", "raw_samples", "samples_name"]


def bench_entry(prepared: PreparedCell, measured: EntryFigures) -> BenchEntry:
    """Lay the figures of one cell into the document."""
    cell, stream = prepared.cell, measured.stream

    def inputs(inferences: float | None) -> float | None:
        return None if inferences is None else inferences * cell.batch

    return BenchEntry(
        target=cell.target,
        variant=prepared.variant,
        compute=cell.compute,
        executed_precision=prepared.executed_precision,
        scenario=stream.scenario,
        # Boundary, n and percentiles have the same names in both.
        **msgspec.structs.asdict(stream.latency),
        valid=stream.valid and not prepared.fell_back,
        reasons=(*([prepared.fell_back] if prepared.fell_back else []), *stream.reasons),
        throughput_per_s=inputs(stream.throughput_per_s),
        throughput_low_per_s=inputs(stream.throughput_low_per_s),
        throughput_high_per_s=inputs(stream.throughput_high_per_s),
        load_ms=measured.load_ns / 1e6,
        first_ms=measured.first_ns / 1e6,
        compile_ms=prepared.compile_ns / 1e6,
        warmup_ms=stream.warmup_ns / 1e6,
        rss_peak_bytes=measured.rss_peak_bytes,
        rss_base_bytes=measured.rss_base_bytes,
        device_peak_bytes=measured.device_bytes,
        warmup=stream.warmup,
        steady=stream.steady,
        stopped_by=stream.stopped_by,
        missing=stream.missing,
        batch=cell.batch,
        threads=cell.threads,
        streams=cell.streams,
        concurrency=measured.concurrency,
        rate=cell.rate,
        dropped=stream.dropped,
        stages=stream.stages,
        outliers=stream.outliers,
        half_width=stream.half_width,
        effective_n=stream.effective_n,
        unstable=stream.unstable,
        overhead_ns=stream.overhead_ns,
        resolution_ns=stream.resolution_ns,
        observed=stream.observed,
        model_sha256=prepared.model_sha256,
    )


def failed_entry(
    cell: Cell, error: EdgekitError, prepared: PreparedCell | None = None
) -> BenchEntry:
    """Say that a cell brought no figures, and why."""
    return BenchEntry(
        target=cell.target,
        variant=prepared.variant if prepared else "",
        compute=cell.compute,
        executed_precision=prepared.executed_precision if prepared else "",
        scenario=cell.scenario,
        boundary=cell.measures,
        valid=False,
        reasons=(str(error),),
        n=0,
        batch=cell.batch,
        threads=cell.threads,
        streams=cell.streams,
        concurrency=cell.concurrency if cell.scenario == "offline" else 1,
        rate=cell.rate,
        model_sha256=prepared.model_sha256 if prepared else "",
    )


def samples_name(prepared: PreparedCell) -> str:
    """The name of a cell's file of raw samples, unique among the cells of a measurement."""
    cell = prepared.cell
    words = cell.conditions.replace(", ", "-").replace(" ", "")
    name = entry_name(cell.target, prepared.variant, cell.compute)
    return f"{name}-{words}" if words else name


def raw_samples(measured: EntryFigures) -> RawSamples:
    """The raw samples of a measurement as they are stored."""
    stream = measured.stream

    def column(values: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array(values, np.int64)

    return RawSamples(
        samples_ns=column(stream.samples_ns),
        blocks=column(stream.blocks),
        block_starts_ns=column(stream.block_starts_ns),
        counts=column(stream.counts),
        stages_ns={name: column(stage) for name, stage in stream.stages_ns.items()},
    )
