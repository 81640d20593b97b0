"""Where a variant leaves the fp32 graph."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import facts, grid, line, sentence, verdict
from edgekit.core.certificate import Verdict
from edgekit.core.documents import DebugParityDocument, ParityNode

__all__ = ["show_debug_parity"]

# What stands for "bitwise equal" in core.parity.
_EXACT_DB = 300.0


def show_debug_parity(document: DebugParityDocument, console: Console) -> None:
    """Print outputs, the node that was found and its values."""
    outputs: list[list[str | Text]] = [
        [one.role, one.output, _decibels(one.sqnr_db), verdict(_verdict(document, one.sqnr_db))]
        for one in document.outputs
    ]
    console.print(
        grid(["graph", "output", "SQNR dB", "verdict"], outputs, left=(0, 1, 3), whole=(3,))
    )
    if document.node is not None:
        _show_node("First node out of the limit", document.node, console)
    if document.largest_loss is not None:
        _show_node("Node of the largest loss", document.largest_loss, console)
    line(console)
    for note in document.notes:
        sentence(console, note, "yellow", indent=2)
    name = f"{document.variant} on {document.target} in {document.compute}"
    limit = f"limit {document.limit_db:g} dB, {document.rounds} rounds, {document.runs} runs"
    text = Text.assemble(verdict(document.verdict), f"  {name}  ({limit})")
    sentence(console, text, indent=6)


def _show_node(title: str, node: ParityNode, console: Console) -> None:
    line(console)
    line(console, title, "bold")
    facts(
        console,
        [
            ("node", f"{node.name} ({node.op})"),
            ("module", _module(node.module)),
            ("graph", node.role),
            ("output", node.tensor),
            ("SQNR", f"{_decibels(node.sqnr_db)} dB"),
            ("before it", f"{_decibels(node.before_db)} dB"),
            ("alone", f"{_decibels(node.own_sqnr_db)} dB"),
        ],
    )
    if node.values:
        rows = [
            [str(one.case), "×".join(map(str, one.index)), _number(one.expected), _number(one.got)]
            for one in node.values
        ]
        console.print(grid(["input", "element", "expected", "got"], rows, left=(1,)))


def _verdict(document: DebugParityDocument, sqnr_db: float) -> Verdict:
    return "PASS" if sqnr_db >= document.limit_db else "FAIL"


def _module(path: str | None) -> str:
    if path is None:
        return "not known: the graph does not say"
    return path or "the model itself"


def _decibels(value: float | None) -> str:
    if value is None:
        return "–"
    if abs(value) >= _EXACT_DB:
        return "exact" if value > 0 else "nothing in common"
    return f"{value:.1f}"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
