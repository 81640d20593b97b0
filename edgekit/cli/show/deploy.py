"""The table of a deployment, its red lines in words, and what to do next."""

from __future__ import annotations

import shlex
from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgekit.cli.show.text import (
    NOTHING,
    STYLES,
    check_lines,
    interval,
    line,
    points,
    size,
    verdict,
)
from edgekit.core.documents import DeployDocument, DeployEntry

__all__ = ["show_deploy"]

MARK = "★"
# A busy machine spoils every measurement for the same reason: no need to say it each time.
_MOST_INVALID = 2


def show_deploy(document: DeployDocument, console: Console) -> None:
    """Print a deployment."""
    _show_entries(document, console)
    for text in _words(document):
        console.print(text)
    _show_choice(document, console)
    line(console)
    line(console, Text.assemble(("bundle  ", "bold"), document.bundle))
    line(console, Text.assemble(("next    ", "bold"), f"edgekit verify {_quoted(document)}"))


def _show_entries(document: DeployDocument, console: Console) -> None:
    """One table a target, all with the same columns and widths."""
    metric = document.reference_metric
    metric_name = metric.name if metric else ""
    if not metric_name:
        metric_name = next((entry.metric.name for entry in document.entries if entry.metric), "")
    headers = ["", "\nvariant", "com-\npute", "\nverdict"]
    if metric_name:
        headers += [_two_lines(metric_name), "drop\n(pts)"]
    headers += ["agree-\nment", "p50 ms\n(95 % interval)", "×\nfp32", "\nsize"]

    chosen = {(best.target, best.variant, best.compute) for best in document.recommended}
    by_target: dict[str, list[list[str | Text]]] = {}
    for entry in document.entries:
        star = MARK if (entry.target, entry.variant, entry.compute) in chosen else ""
        row = _row(entry, star, _baseline(document, entry.target), with_metric=bool(metric_name))
        by_target.setdefault(entry.target, []).append(row)
    widths = [
        max(
            *(len(part) for part in header.split("\n")),
            *(len(row[column]) for rows in by_target.values() for row in rows),
            0,
        )
        for column, header in enumerate(headers)
    ]
    for number, (target, rows) in enumerate(by_target.items()):
        line(console, target, "bold")
        table = Table(
            box=None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_header=number == 0,
            header_style="dim",
        )
        for column, header in enumerate(headers):
            table.add_column(
                header,
                justify="left" if column < 4 else "right",
                width=widths[column],
                overflow="fold",
            )
        for row in rows:
            table.add_row(*row)
        console.print(table)
    line(console)
    legend = [f"{MARK} recommended", "× fp32: times as fast as fp32"]
    boundary = next((entry.latency.boundary for entry in document.entries if entry.latency), "")
    if boundary:
        legend.append(f"p50 is {boundary}")
    line(console, "; ".join(legend), "dim")
    truth = f"reference: {document.reference}"
    if metric:
        truth += f", {metric.name} {metric.value:.3f} ({metric.low:.3f}–{metric.high:.3f})"
        truth += f" on {metric.n} images"
    line(console, truth, "dim")


def _row(
    entry: DeployEntry, star: str, baseline: float | None, *, with_metric: bool
) -> list[str | Text]:
    cells: list[str | Text] = [
        Text(star, "bold"),
        entry.variant,
        entry.compute,
        verdict(entry.verdict),
    ]
    if with_metric:
        metric = entry.metric
        cells.append(f"{metric.value:.3f}" if metric else NOTHING)
        cells.append(points(metric.drop if metric else None))
    agreement = entry.checks.get("agreement")
    known = agreement is not None and agreement.value is not None
    cells.append(f"{agreement.value:.3f}" if agreement and known else NOTHING)
    latency = entry.latency
    p50 = latency.p50_ms if latency else None
    if latency is None:
        cells.append(NOTHING)
    else:
        text = interval(p50, latency.p50_low_ms, latency.p50_high_ms)
        cells.append(text if entry.valid else Text(text, "yellow"))
    cells.append(f"{baseline / p50:.2f}" if baseline and p50 else NOTHING)
    cells.append(size(entry.size_bytes))
    return cells


def _baseline(document: DeployDocument, target: str) -> float | None:
    """The median of fp32 computed in fp32 on the same target, milliseconds."""
    for entry in document.entries:
        if (entry.target, entry.variant, entry.compute) == (target, "fp32", "fp32"):
            return entry.latency.p50_ms if entry.latency else None
    return None


def _words(document: DeployDocument) -> list[Text]:
    """Why what failed failed, what could not be judged, what is not proven or not valid."""
    lines: list[Text] = []
    invalid: list[str] = []
    unverified: Counter[str] = Counter()
    unproven: Counter[str] = Counter()
    for entry in document.entries:
        name = f"{entry.variant} on {entry.target} in {entry.compute}"
        if entry.error:
            lines.append(Text(f"FAIL {name}: {entry.error}", STYLES["FAIL"]))
        lines += check_lines(name, entry.checks, "FAIL")
        if not entry.valid:
            invalid.append(f"{name}: {' '.join(entry.reasons) or 'no reason given.'}")
        for check_name, check in entry.checks.items():
            word = check_name.replace("_", " ")
            if check.verdict == "UNVERIFIED":
                unverified[f"{word}: {check.reason or 'could not be judged.'}"] += 1
            elif check.verdict == "PASS" and check.proven is False:
                unproven[word] += 1
    lines += [Text(f"INVALID measurement of {told}", "yellow") for told in invalid[:_MOST_INVALID]]
    if len(invalid) > _MOST_INVALID:
        count = len(invalid) - _MOST_INVALID
        lines.append(Text(f"INVALID measurements of {count} more; see deploy.json.", "yellow"))
    for sentence, count in unverified.items():
        entries = "every entry" if count == len(document.entries) else f"{count} entries"
        lines.append(Text(f"UNVERIFIED for {entries}: {sentence}", STYLES["UNVERIFIED"]))
    if unproven:
        counted = ", ".join(f"{word} ({count})" for word, count in unproven.items())
        lines.append(
            Text(
                f"Within the limit but not proven by the interval: {counted}. More images would "
                "prove it; --require-proven makes it a FAIL.",
                "dim",
            )
        )
    lines += [Text(note, "dim") for note in document.notes]
    return lines


def _show_choice(document: DeployDocument, console: Console) -> None:
    line(console)
    for choice in document.recommended:
        if choice.variant is None:
            text = Text(f"{choice.target}: no variant to ship. {choice.reason}", STYLES["FAIL"])
        else:
            name = f"{choice.variant} in {choice.compute}"
            reason = choice.reason.removeprefix(name).strip()
            text = Text.assemble(f"{MARK} {choice.target}: ", (name, "bold"), f" {reason}")
        console.print(text)
    best = document.best
    if best is not None and best.variant is not None and len(document.recommended) > 1:
        line(console, f"Fastest of them: {best.variant} on {best.target} in {best.compute}.")
    if document.verdict != "PASS":
        console.print(Text.assemble("The whole is ", verdict(document.verdict), "."))


def _quoted(document: DeployDocument) -> str:
    return shlex.quote(document.bundle)


def _two_lines(name: str) -> str:
    """A metric's name over a narrow column: "mAP50-95" breaks before its digits."""
    letters = name.rstrip("0123456789-")
    return f"{letters}\n{name[len(letters) :]}" if len(name) > 5 else f"\n{name}"
