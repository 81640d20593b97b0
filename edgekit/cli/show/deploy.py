"""The table of a deployment, its red lines in words, and what to do next."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.layout import Grid
from edgekit.cli.show.text import (
    INVALID,
    NOTHING,
    STYLES,
    check_lines,
    duration,
    interval,
    line,
    path,
    points,
    sentence,
    size,
    verdict,
)
from edgekit.core.documents import DeployDocument, DeployEntry, Recommendation

__all__ = ["show_deploy"]

MARK = "★"
PROVISIONAL = "☆"
# A busy machine spoils every measurement for the same reason: no need to say it each time.
_MOST_INVALID = 2


def show_deploy(document: DeployDocument, console: Console) -> None:
    """Print a deployment."""
    _show_entries(document, console)
    for text in _words(document):
        sentence(console, text, indent=2)
    _show_choice(document, console)
    line(console)
    for words in _stages(document):
        sentence(console, words, "dim")
    line(console, Text.assemble(("bundle  ", "bold"), path(document.bundle)))


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

    chosen = {(one.target, one.variant, one.compute): one for one in document.recommended}
    by_target: dict[str, list[list[str | Text]]] = {}
    for entry in document.entries:
        choice = chosen.get((entry.target, entry.variant, entry.compute))
        star = _mark(choice) if choice is not None else ""
        row = _row(entry, star, _baseline(document, entry.target), with_metric=bool(metric_name))
        by_target.setdefault(entry.target, []).append(row)
    rows: list[list[str | Text]] = []
    titles: dict[int, str] = {}
    for target, several in by_target.items():
        titles[len(rows)] = target
        rows += several
    console.print(
        Grid(headers, rows, left=(0, 1, 2, 3), whole=(0, 2, 3), titles=titles, header_style="dim")
    )
    line(console)
    marks = {_mark(one) for one in document.recommended}
    legend = [f"{MARK} recommended"] if MARK in marks else []
    legend += [f"{PROVISIONAL} provisional: not settled"] if PROVISIONAL in marks else []
    legend.append("× fp32: times as fast as fp32 at the median")
    boundary = next((entry.latency.boundary for entry in document.entries if entry.latency), "")
    if boundary:
        legend.append(f"p50 is {boundary}")
    if not all(entry.valid for entry in document.entries):
        legend.append(f"{INVALID} invalid measurement")
    sentence(console, "; ".join(legend), "dim")
    truth = f"reference: {document.reference}"
    if metric:
        truth += f", {metric.name} {metric.value:.3f} ({metric.low:.3f}–{metric.high:.3f})"
        truth += f" on {metric.n} images"
    sentence(console, truth, "dim", indent=2)


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
        cells.append(text if entry.valid else Text(f"{text} {INVALID}", "yellow"))
    cells.append(f"{baseline / p50:.2f}" if baseline and p50 else NOTHING)
    cells.append(size(entry.size_bytes or None))
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
    for words, count in unverified.items():
        entries = "every entry" if count == len(document.entries) else f"{count} entries"
        lines.append(Text(f"UNVERIFIED for {entries}: {words}", STYLES["UNVERIFIED"]))
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
            text = Text.assemble(f"{_mark(choice)} {choice.target}: ", (name, "bold"), f" {reason}")
        sentence(console, text, indent=2)
    best = document.best
    if best is not None and best.variant is not None and len(document.recommended) > 1:
        sentence(console, best.reason, indent=2)
    if document.verdict != "PASS":
        line(console, Text.assemble("The whole is ", verdict(document.verdict), "."))


def _mark(choice: Recommendation) -> str:
    return MARK if choice.settled else PROVISIONAL


def _stages(document: DeployDocument) -> list[str]:
    """How much of it had been made before."""
    stages = document.stages
    if not stages:
        return []
    made = [stage for stage in stages if not stage.hit]
    if not made:
        return [f"All {len(stages)} stages were in the cache."]
    took = duration(sum(stage.seconds for stage in made))
    if len(made) == len(stages):
        return [f"{len(stages)} stages, made in {took}."]
    cached = f"{len(stages) - len(made)} of {len(stages)} stages were in the cache"
    return [f"{cached}; the others took {took}."]


def _two_lines(name: str) -> str:
    """A metric's name over a narrow column: "mAP50-95" breaks before its digits."""
    letters = name.rstrip("0123456789-")
    return f"{letters}\n{name[len(letters) :]}" if len(name) > 5 else f"\n{name}"
