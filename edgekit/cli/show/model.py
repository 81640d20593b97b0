"""One model: exported, quantized, compiled, scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import (
    facts,
    grid,
    line,
    milliseconds,
    path,
    points,
    sentence,
    shares,
    size,
    verdict,
)
from edgekit.core.documents import (
    CompileDocument,
    EvalDocument,
    ExportDocument,
    OutputParity,
    QuantizeDocument,
)

# What an engine takes on its device as long as it is open; scratch is a part of the activations.
_RESIDENT = ("weights_bytes", "activations_bytes")

__all__ = ["show_compile", "show_eval", "show_export", "show_quantize"]


def show_export(document: ExportDocument, console: Console) -> None:
    """Print an export and its parity."""
    _show_parity(document.parity, console)
    facts(
        console,
        [
            ("verdict", verdict(document.verdict)),
            ("exporter", f"{document.exporter}, opset {document.opset}"),
            ("size", size(document.size_bytes)),
            *_files(document.graphs),
        ],
    )
    _show_notes(document.notes, console)


def show_quantize(document: QuantizeDocument, console: Console) -> None:
    """Print a quantized or cast variant and its parity."""
    _show_parity(document.parity, console)
    ratio = document.size_bytes / max(document.size_bytes_before, 1)
    rows: list[tuple[str, str | Text]] = [
        ("verdict", verdict(document.verdict)),
        ("variant", document.variant),
        ("size", f"{size(document.size_bytes)}, {ratio:.2f} of {size(document.size_bytes_before)}"),
    ]
    if document.quantized_share is not None:
        share = f"{100 * document.quantized_share:.0f} % of FLOPs"
        if len(document.quantized_by_graph) > 1:
            each = document.quantized_by_graph.items()
            parts = [
                f"{role} {100 * part:.0f} %" if part else f"{role} float" for role, part in each
            ]
            share += f" ({', '.join(parts)})"
        rows.append(("quantized", f"{share}, calibrated on {document.images} images"))
    rows += [
        *_files(document.graphs),
        *((f"{role} ranges", path(file)) for role, file in document.decisions.items()),
    ]
    facts(console, rows)
    _show_notes(document.notes, console)


def show_compile(document: CompileDocument, console: Console) -> None:
    """Print where the engines are and what they run in."""
    state = "already cached" if document.cached else f"in {milliseconds(document.compile_ms)} ms"
    runs = (
        ("runs in", f"{document.executed_precision}: {shares(document.placement)}")
        if document.executed_precision
        else ("planned in", shares(document.placement))
    )
    built_for = ", ".join(f"SM {sm // 10}.{sm % 10}" for sm in document.sm)
    needed = sum(document.memory.get(name, 0) for name in _RESIDENT)
    facts(
        console,
        [
            ("target", f"{document.target} in {document.compute}"),
            *([("built for", built_for)] if built_for else []),
            ("compiled", state),
            runs,
            *([("runs on", shares(document.devices))] if document.devices else []),
            ("size", size(document.size_bytes)),
            *([("on the GPU", f"{size(needed)} with the largest shapes")] if needed else []),
            *((role, path(folder)) for role, folder in document.engines.items()),
        ],
    )
    _show_notes(document.notes, console)


def show_eval(document: EvalDocument, console: Console) -> None:
    """Print the metric with its interval."""
    metric = document.metric
    rows: list[tuple[str, str | Text]] = [
        ("target", f"{document.target}, {document.variant} in {document.compute}"),
        (metric.name, f"{metric.value:.4f} ({metric.low:.4f}–{metric.high:.4f}, 95 % interval)"),
        *((name, f"{value:.4f}") for name, value in metric.others.items()),
        ("images", str(document.n)),
    ]
    if metric.drop is not None:
        rows.insert(2, ("drop", f"{points(metric.drop)} points"))
    facts(console, rows)
    for one in document.skipped:
        sentence(console, f"skipped: {one}", "yellow", indent=2)


def _show_parity(parity: Sequence[OutputParity], console: Console) -> None:
    rows = [
        [
            output.role,
            output.output,
            "×".join(str(length) for length in output.shape),
            f"{output.sqnr_db:.1f}",
            _figure(output.max_abs),
            _figure(output.max_rel),
            f"{output.cosine:.6f}",
        ]
        for output in parity
    ]
    if rows:
        headers = ["graph", "output", "shape", "SQNR dB", "max abs", "max rel", "cosine"]
        console.print(grid(headers, rows, left=(0, 1, 2)))
        line(console)


def _figure(value: float | None) -> str:
    """A difference; a document has no number for an infinite one."""
    return "∞" if value is None else f"{value:.2g}"


def _show_notes(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        sentence(console, note, "dim", indent=2)


def _files(graphs: Mapping[str, str]) -> list[tuple[str, str | Text]]:
    return [(role, path(file)) for role, file in graphs.items()]
