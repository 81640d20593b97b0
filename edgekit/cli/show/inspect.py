"""One model read: its card, its graphs, their work, what reads them, what int8 costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.engines import show_engine
from edgekit.cli.show.text import facts, grid, line, path, sentence, shares, size
from edgekit.core.documents import (
    AxisFacts,
    GraphFacts,
    InspectDocument,
    NodeWork,
    RoundTrip,
    RuntimeLimit,
)

__all__ = ["show_inspect"]

_OPERATORS = 8


def show_inspect(document: InspectDocument, console: Console) -> None:
    """Print card and graph facts."""
    card = document.card
    labels = card.get("labels") or ()
    rows: list[tuple[str, str | Text]] = [("model", path(document.model))]
    if card:
        count = f", {len(labels)} labels" if labels else ""
        rows.append(("task", f"{card.get('task', 'raw')}{count}"))
    for name in ("preprocess", "postprocess"):
        steps = card.get(name)
        if isinstance(steps, Mapping):
            rows.append(
                (name, ", ".join(_step(*item) for item in steps.items() if item[1] is not None))
            )
    if document.bundle:
        rows += [
            (str(key), str(value))
            for key, value in document.bundle.items()
            if isinstance(value, str | int | float)
        ]
    facts(console, rows)
    if len(document.graphs) > 1:
        line(console)
        console.print(_graphs(document.graphs))
    for engine in document.engines:
        line(console)
        show_engine(engine, document.top, console)
    shown: set[tuple[int, int]] = set()
    for graph in document.graphs:
        line(console)
        _show_graph(graph, console)
        _show_work(graph, document.top, console)
        _show_trips(graph, document.top, console)
        # Graphs of one opset and IR version have one table in common.
        if graph.limits and (graph.opset, graph.ir_version) not in shown:
            line(console)
            _show_limits(graph, console)
        shown.add((graph.opset, graph.ir_version))


def _graphs(graphs: Sequence[GraphFacts]) -> object:
    """Work by variant and role."""
    headers = ["variant", "graph", "precision", "MFLOP", "moved", "FLOP/byte", "parameters", "size"]
    rows = [
        [
            graph.variant or "–",
            graph.role,
            graph.precision,
            _mega(graph.flops),
            size(graph.bytes),
            _ratio(graph.intensity),
            f"{graph.parameters:,}",
            size(graph.size_bytes),
        ]
        for graph in graphs
    ]
    return grid(headers, rows, left=(0, 1, 2))


def _show_graph(graph: GraphFacts, console: Console) -> None:
    dtypes = ", ".join(f"{count:,} {name}" for name, count in graph.parameters_by_dtype.items())
    precision = graph.precision
    if len(graph.precision_shares) > 1 or graph.quantized_share:
        written = graph.precision_shares or {"int8": graph.quantized_share}
        precision += f": {shares(written)} of FLOPs"
    named = "".join(f", {domain} {version}" for domain, version in graph.domains.items())
    title = " ".join(filter(None, (graph.variant, graph.role)))
    line(console, Text.assemble((title, "bold"), "  ", path(graph.file)))
    facts(
        console,
        [
            *(("input", f"{name} {_tensor(*tensor)}") for name, tensor in graph.inputs.items()),
            *(("output", f"{name} {_tensor(*tensor)}") for name, tensor in graph.outputs.items()),
            *(("axis", f"{name} {_axis(axis)}") for name, axis in graph.axes.items()),
            ("precision", precision),
            ("size", f"{size(graph.size_bytes)}, {graph.parameters:,} parameters"),
            *((("weights", dtypes),) if len(graph.parameters_by_dtype) > 1 else ()),
            ("work", _work(graph)),
            ("format", f"opset {graph.opset}{named}, IR {graph.ir_version}, by {graph.producer}"),
            ("sha256", path(graph.sha256)),
        ],
    )
    if graph.unknown_nodes:
        some = ", ".join(graph.unknown_nodes[:3])
        more = f" and {len(graph.unknown_nodes) - 3} more" if len(graph.unknown_nodes) > 3 else ""
        text = f"not counted in full, of unknown size: {some}{more}"
        sentence(console, text, "yellow", indent=2)


def _work(graph: GraphFacts) -> str:
    per_byte = f", {_ratio(graph.intensity)} FLOP/byte" if graph.intensity is not None else ""
    return f"{_mega(graph.flops)} MFLOP, {size(graph.bytes)} moved{per_byte}"


def _show_work(graph: GraphFacts, top: int, console: Console) -> None:
    """Operators, then the nodes that compute and that move most."""
    operators = list(graph.by_operator.items())[:_OPERATORS]
    if not operators:
        most = sorted(graph.operators.items(), key=lambda item: -item[1])[:6]
        listed = ", ".join(f"{count} {operator}" for operator, count in most)
        facts(console, [("nodes", f"{graph.nodes}: {listed}")])
        return
    rows = [
        [
            operator,
            str(work.nodes),
            _mega(work.flops),
            _share(work.flops, graph.flops),
            size(work.bytes),
            _share(work.bytes, graph.bytes),
        ]
        for operator, work in operators
    ]
    rest = list(graph.by_operator.values())[_OPERATORS:]
    if rest:
        moved, done = sum(work.bytes for work in rest), sum(work.flops for work in rest)
        count = str(sum(work.nodes for work in rest))
        others = f"{len(rest)} others"
        cells = [_mega(done), _share(done, graph.flops), size(moved), _share(moved, graph.bytes)]
        rows.append([others, count, *cells])
    line(console)
    headers = ["operator", "nodes", "MFLOP", "share", "moved", "share"]
    console.print(grid(headers, rows))
    if not top:
        return
    computing = [node for node in graph.by_node if node.flops]
    moving = [node for node in graph.by_node if node.bytes]
    for title, nodes in (
        ("most FLOPs", sorted(computing, key=lambda node: -(node.flops or 0))),
        ("most bytes", sorted(moving, key=lambda node: -(node.bytes or 0))),
    ):
        if nodes:
            line(console)
            console.print(_nodes(title, nodes[:top], graph))


def _nodes(title: str, nodes: Sequence[NodeWork], graph: GraphFacts) -> object:
    rows = [
        [
            node.module or node.name,
            node.op,
            node.precision,
            _mega(node.flops) if node.flops is not None else "?",
            _share(node.flops or 0, graph.flops),
            size(node.bytes),
            _share(node.bytes or 0, graph.bytes),
        ]
        for node in nodes
    ]
    headers = [title, "operator", "in", "MFLOP", "share", "moved", "share"]
    return grid(headers, rows, left=(0, 1, 2), whole=(2,))


def _show_trips(graph: GraphFacts, top: int, console: Console) -> None:
    """Where int8 is left and entered again."""
    if graph.quantized_share:
        line(console)
        sentence(
            console,
            f"{_percent(graph.quantized_share)} of FLOPs are written in int8; ONNX Runtime has "
            f"int8 kernels for {_percent(graph.int8_on_onnxruntime)}: it needs int8 on both sides "
            "of a convolution.",
        )
    if not graph.round_trips:
        return
    groups: dict[tuple[str, str], list[RoundTrip]] = {}
    for trip in graph.round_trips:
        groups.setdefault((trip.kind, _chain(trip.operators)), []).append(trip)
    rows = [
        [
            str(len(trips)),
            kind,
            operators,
            size(sum(trip.bytes or 0 for trip in trips)),
            trips[0].nodes[0] if trips[0].nodes else trips[0].conversions[0],
        ]
        for (kind, operators), trips in sorted(
            groups.items(), key=lambda group: -sum(trip.bytes or 0 for trip in group[1])
        )
    ]
    line(console)
    sentence(
        console,
        f"{len(graph.round_trips)} round trips out of int8 and back; their conversions move "
        f"{size(graph.round_trip_bytes)}, {_share(graph.round_trip_bytes, graph.bytes)} of all:",
    )
    if top:
        headers = ["trips", "kind", "operators inside", "moved", "for instance"]
        console.print(grid(headers, rows[:top], left=(1, 2, 4), whole=(1,)))
        if len(rows) > top:
            line(console, f"and {len(rows) - top} kinds more; see --nodes {len(rows)}", "dim")


def _show_limits(graph: GraphFacts, console: Console) -> None:
    rows = [[_release(limit), limit.verdict, _opsets(limit), _ir(limit)] for limit in graph.limits]
    headers = ["runtime", f"opset {graph.opset}, IR {graph.ir_version}", "reads opset", "IR"]
    console.print(grid(headers, rows, left=(0, 1, 2, 3)))
    for limit in graph.limits:
        if limit.reason:
            sentence(console, f"{limit.runtime} {limit.version}: {limit.reason}", indent=2)


def _release(limit: RuntimeLimit) -> str:
    return f"{limit.runtime} {limit.version}{'' if limit.installed else ' (not here)'}"


def _opsets(limit: RuntimeLimit) -> str:
    if limit.opset_max is None:
        return "?"
    return f"{limit.opset_min}–{limit.opset_max}" if limit.opset_min else f"to {limit.opset_max}"


def _ir(limit: RuntimeLimit) -> str:
    return f"to {limit.ir_max}" if limit.ir_max is not None else "?"


def _axis(axis: AxisFacts) -> str:
    top = "any size" if axis.max is None else str(axis.max)
    typical = f", typically {axis.typical}" if axis.typical is not None else ""
    why = "" if axis.stated else ", as nothing says its size: give a card with a typical one"
    return f"{axis.min} to {top}{typical}; counted at {axis.counted}{why}"


def _chain(operators: Sequence[str]) -> str:
    """Operators in a row, those that repeat counted."""
    counts: dict[str, int] = {}
    for operator in operators:
        counts[operator] = counts.get(operator, 0) + 1
    return " ".join(
        operator if count == 1 else f"{count}×{operator}" for operator, count in counts.items()
    )


def _tensor(dtype: str, shape: Sequence[int | str]) -> str:
    return f"{dtype} [{', '.join(str(length) for length in shape)}]"


def _step(key: str, value: object) -> str:
    return f"{key} {list(value) if isinstance(value, tuple) else value}"


def _mega(count: int) -> str:
    value = count / 1e6
    return f"{value:,.1f}" if value >= 1 or not count else f"{value:.2g}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _share(part: float, whole: float) -> str:
    return _percent(part / whole) if whole else ""


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %" if fraction >= 0.01 or not fraction else "<1 %"
