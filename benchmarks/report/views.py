"""What the page says about each subject, worded and drawn; the template only places it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.charts import (
    NARROW,
    WIDE,
    Dot,
    Strip,
    distribution_chart,
    right_edge,
    tradeoff_chart,
)
from edgekit.benchmarks.report.classes import ClassTable, class_table
from edgekit.benchmarks.report.gallery import Card, gallery, picture_ids
from edgekit.benchmarks.report.records import Subject, entry_text, name_of
from edgekit.benchmarks.report.summary import Lead, SummaryRow, lead, rows
from edgekit.benchmarks.report.tables import (
    EntryLine,
    LatencyLine,
    entry_lines,
    environment_lines,
    latency_lines,
    red_lines,
)
from edgekit.core.documents import DeployEntry

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = [
    "Chart",
    "ClassSection",
    "ImageSection",
    "ReportView",
    "Tradeoff",
    "tradeoffs_of",
    "view_of",
]

# Entries of the chart of distributions; the table beside it holds all of them.
_STRIPS = 16
# Precision to its colour.
_SERIES = {"fp32": 0, "int8": 1, "fp16": 2, "bf16": 3, "mixed": 4}


@dataclass(frozen=True)
class Chart:
    """One drawing at the two widths that it is looked at in."""

    narrow: Markup
    wide: Markup


@dataclass(frozen=True)
class Tradeoff:
    """Accuracy against latency of the entries that may be compared.

    Attributes:
        heading: Whose they are; empty where they are all.
        chart: None where there is nothing to draw; `missing` says why.
        shapes: Shape to what it stands for, in words.
        left_out: Entries that are not in it.
    """

    heading: str
    chart: Chart | None
    missing: str
    accuracy: str
    legend: Sequence[tuple[str, int, int]]
    left_out: int


@dataclass(frozen=True)
class ClassSection:
    """Accuracy by class of one entry."""

    entry: DeployEntry
    table: ClassTable


@dataclass(frozen=True)
class ImageSection:
    """The images on which one entry differs most, of so many that were compared."""

    entry: DeployEntry
    compared: int
    cards: Sequence[Card]


@dataclass(frozen=True)
class ReportView:
    """Everything that the page says about one subject.

    Attributes:
        slower: Share of the samples that the distributions' picture leaves out; may be empty.
        stored: Id, width, height and address of every picture; drawn wherever it is used.
    """

    subject: Subject
    letter: str
    lead: Lead
    rows: Sequence[SummaryRow]
    entries: Sequence[EntryLine]
    latencies: Sequence[LatencyLine]
    distribution: Chart | None
    strips_left_out: int
    slower: str
    red: Sequence[tuple[DeployEntry, Sequence[str]]]
    classes: Sequence[ClassSection]
    images: Sequence[ImageSection]
    stored: Sequence[tuple[str, int, int, str]]
    environment: Mapping[str, Sequence[tuple[str, str]]]

    @property
    def scored(self) -> bool:
        """Whether any entry has a metric."""
        return any(one.metric is not None for one in self.subject.entries)


def view_of(subject: Subject, letter: str) -> ReportView:
    """Word and draw one subject; `letter` is in front of its entries' numbers, or empty."""
    pictures = picture_ids(subject, letter)
    details = [(entry, subject.details_of(entry)) for entry in subject.in_focus()]
    strips, left_out = _strips(subject, letter)
    red = [(entry, red_lines(entry)) for entry in subject.entries]
    return ReportView(
        subject=subject,
        letter=letter,
        lead=lead(subject),
        rows=rows(subject),
        entries=entry_lines(subject, letter),
        latencies=latency_lines(subject, letter),
        distribution=_distribution(strips, letter),
        strips_left_out=left_out,
        slower=_slower(strips),
        red=[(entry, lines) for entry, lines in red if lines],
        classes=[
            ClassSection(entry, class_table(found.classes, subject.labels))
            for entry, found in details
            if found.classes is not None and found.classes.index
        ],
        images=[
            ImageSection(entry, found.images, gallery(subject, entry, pictures))
            for entry, found in details
            if found.images
        ],
        stored=[
            (pictures[name], max(1, image.width), max(1, image.height), _jpeg(content))
            for name, content in subject.pictures.items()
            if (image := subject.details.images.get(name)) is not None
        ],
        environment=environment_lines(subject.environment),
    )


def _jpeg(content: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def _strips(subject: Subject, letter: str) -> tuple[list[Strip], int]:
    found: list[Strip] = []
    for number, entry in enumerate(subject.entries, 1):
        samples = subject.samples.get(name_of(entry))
        if samples is None or not len(samples) or entry.latency is None:
            continue
        found.append(
            Strip(
                label=words.short(f"{letter}{number}  {words.clean(entry_text(entry))}", 50),
                samples=samples / 1e6,
                p50=entry.latency.p50_ms or float(np.median(samples)) / 1e6,
                series=_series(entry),
            )
        )
    return found[:_STRIPS], max(0, len(found) - _STRIPS)


def _slower(strips: Sequence[Strip]) -> str:
    """Share of the samples that are slower than the picture's right edge."""
    total = sum(len(strip.samples) for strip in strips)
    beyond = sum(int((strip.samples > right_edge(strips)).sum()) for strip in strips)
    return f"{100 * beyond / total:.1f} %" if beyond else ""


def _distribution(strips: Sequence[Strip], letter: str) -> Chart | None:
    if not strips:
        return None
    title = f"Density of the latencies of {len(strips)} entries; the table below holds the figures."

    def drawn(width: int) -> Markup:
        return _markup(
            distribution_chart(
                strips, width=width, name=f"distribution{letter}-{width}", title=title
            )
        )

    return Chart(drawn(NARROW), drawn(WIDE))


def tradeoffs_of(views: Sequence[ReportView], unlike: Sequence[str]) -> list[Tradeoff]:
    """One chart for all that may be compared, or one for each subject."""
    metrics = {
        (entry.metric.name, entry.metric.n)
        for view in views
        for entry in view.subject.entries
        if entry.metric is not None
    }
    if len(views) > 1 and not unlike and len(metrics) <= 1:
        return [_tradeoff(views, "", "all")]
    return [
        _tradeoff([view], view.subject.name if len(views) > 1 else "", view.letter or "one")
        for view in views
    ]


def _tradeoff(views: Sequence[ReportView], heading: str, name: str) -> Tradeoff:
    lines = [(at, line) for at, view in enumerate(views) for line in view.entries]
    accuracy = next((line.entry.metric.name for _, line in lines if line.entry.metric), "")
    targets = list(dict.fromkeys(line.entry.target for _, line in lines))
    dots: list[Dot] = []
    for at, line in lines:
        entry, latency = line.entry, line.entry.latency
        height = _height(entry, accuracy)
        if height is None or latency is None or latency.p50_ms is None:
            continue
        y, low, high = height
        dots.append(
            Dot(
                number=line.number,
                x=latency.p50_ms,
                x_low=latency.p50_low_ms or latency.p50_ms,
                x_high=latency.p50_high_ms or latency.p50_ms,
                y=y,
                y_low=low,
                y_high=high,
                series=at if len(views) > 1 else _series(entry),
                shape=targets.index(entry.target),
                holds=entry.verdict != "FAIL",
                chosen=line.chosen,
            )
        )
    shown = words.short(words.clean(accuracy), 24) or "agreement with the reference"
    if not dots:
        return Tradeoff(heading, None, _nothing_to_draw(lines), shown, (), 0)
    title = (
        f"{shown} against median latency of {len(dots)} entries, with intervals and the Pareto "
        "front; the table below holds the figures."
    )

    def drawn(width: int) -> Markup:
        return _markup(
            tradeoff_chart(
                dots, accuracy=shown, width=width, name=f"tradeoff-{name}-{width}", title=title
            )
        )

    legend = [(target, at, -1) for at, target in enumerate(targets)]
    if len(views) > 1:
        legend += [(f"{one.letter} {one.subject.name}", -1, at) for at, one in enumerate(views)]
    else:
        precisions = dict.fromkeys(_precision(line.entry) for _, line in lines)
        legend += [(one, -1, _SERIES.get(one, 5)) for one in precisions]
    return Tradeoff(
        heading, Chart(drawn(NARROW), drawn(WIDE)), "", shown, legend, len(lines) - len(dots)
    )


def _height(entry: DeployEntry, accuracy: str) -> tuple[float, float, float] | None:
    """Accuracy with its interval; agreement with the reference where nothing was scored."""
    if accuracy:
        metric = entry.metric
        return None if metric is None else (metric.value, metric.low, metric.high)
    check = entry.checks.get("agreement")
    if check is None or check.value is None:
        return None
    low, high = check.details.get("low", check.value), check.details.get("high", check.value)
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return check.value, check.value, check.value
    return check.value, float(low), float(high)


def _nothing_to_draw(lines: Sequence[tuple[int, EntryLine]]) -> str:
    timed = any(line.entry.latency and line.entry.latency.p50_ms is not None for _, line in lines)
    scored = any(line.entry.metric is not None for _, line in lines)
    if timed and not scored:
        return (
            "There is no accuracy to draw: nothing was scored. edgekit deploy --data DIR scores "
            "labelled images."
        )
    if scored:
        return "There is no latency to draw: nothing was measured."
    return "There is neither accuracy nor latency to draw."


def _precision(entry: DeployEntry) -> str:
    """The word that a variant's id begins with; what it computes in where that says more."""
    variant = entry.variant.partition("-")[0]
    return entry.compute if variant == "fp32" and entry.compute != "fp32" else variant


def _series(entry: DeployEntry) -> int:
    return _SERIES.get(_precision(entry), 5)


def _markup(svg: str) -> Markup:
    """What charts.py draws is escaped by matplotlib."""
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704
