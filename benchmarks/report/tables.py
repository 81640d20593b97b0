"""The tables of a report: entries, checks, latencies, the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.records import Subject, name_of
from edgekit.benchmarks.report.summary import times_as_fast
from edgekit.core.certificate import CHECKS
from edgekit.core.documents import DeployEntry, Environment

__all__ = [
    "CheckLine",
    "EntryLine",
    "LatencyLine",
    "Mark",
    "check_lines",
    "entry_lines",
    "environment_lines",
    "latency_lines",
    "red_lines",
]


@dataclass(frozen=True)
class Mark:
    """A verdict with the figure that was judged."""

    verdict: str
    figure: str


@dataclass(frozen=True)
class EntryLine:
    """One entry of the table under the first chart.

    Attributes:
        number: As in the charts.
        marks: Check to its verdict and figure, in the order of CHECKS; None where it has none.
    """

    number: str
    entry: DeployEntry
    chosen: bool
    best: bool
    metric: str
    drop: str
    p50: str
    interval: str
    ratio: str
    size: str
    marks: Mapping[str, Mark | None]


@dataclass(frozen=True)
class CheckLine:
    """One check of one entry."""

    title: str
    question: str
    verdict: str
    figure: str
    limit: str
    proven: str
    reason: str


@dataclass(frozen=True)
class LatencyLine:
    """One entry of the table of latencies; all texts."""

    number: str
    entry: DeployEntry
    n: str
    p50: str
    interval: str
    p90: str
    p99: str
    largest: str
    rate: str
    load: str
    first: str
    memory: str
    trouble: str


def entry_lines(subject: Subject, letter: str) -> list[EntryLine]:
    """Return the entries in the order of the document.

    Args:
        subject: Whose entries.
        letter: In front of every number, where a page is about several subjects.
    """
    return [
        EntryLine(
            number=f"{letter}{number}",
            entry=entry,
            chosen=subject.is_recommended(entry),
            best=subject.is_best(entry),
            metric=words.metric_text(entry.metric),
            drop=words.points(entry.metric.drop) if entry.metric else words.NONE,
            p50=words.milliseconds(entry.latency.p50_ms if entry.latency else None),
            interval=words.interval(entry.latency),
            ratio=_ratio(subject, entry),
            size=words.size(entry.size_bytes or None),
            marks={name: _mark(entry, name) for name in CHECKS},
        )
        for number, entry in enumerate(subject.entries, 1)
    ]


def check_lines(entry: DeployEntry) -> list[CheckLine]:
    """Return the checks of one entry with figure, limit and verdict."""
    found = []
    for name in CHECKS:
        check = entry.checks.get(name)
        if check is None:
            continue
        title, question = words.CHECK_TITLES[name]
        proven = {True: "proven", False: "not proven", None: ""}[check.proven]
        found.append(
            CheckLine(
                title=title,
                question=question,
                verdict=check.verdict,
                figure=words.figure(name, check),
                limit=words.limit(name, check),
                proven=proven if check.verdict == "PASS" else "",
                reason=check.reason,
            )
        )
    return found


def red_lines(entry: DeployEntry) -> list[str]:
    """Return what failed, in words; empty where nothing did."""
    if entry.error:
        return [f"It could not be run. {entry.error}"]
    found = []
    for name in CHECKS:
        check = entry.checks.get(name)
        if check is not None and check.verdict == "FAIL":
            title = words.CHECK_TITLES[name][0]
            figures = f"{words.figure(name, check)}; {words.limit(name, check)} is asked for"
            found.append(f"{title}: {check.reason.rstrip('.') or 'out of the limit'} ({figures}).")
    return found


def latency_lines(subject: Subject, letter: str) -> list[LatencyLine]:
    """Return the latencies of every entry that has any, or says why it has none."""
    found = []
    for number, entry in enumerate(subject.entries, 1):
        latency = entry.latency
        if latency is None and not entry.reasons:
            continue
        samples = subject.samples.get(name_of(entry))
        largest = None if samples is None or not len(samples) else float(np.max(samples)) / 1e6
        found.append(
            LatencyLine(
                number=f"{letter}{number}",
                entry=entry,
                n=words.count(latency.n if latency else None),
                p50=words.milliseconds(latency.p50_ms if latency else None),
                interval=words.interval(latency),
                p90=words.milliseconds(latency.p90_ms if latency else None),
                p99=words.milliseconds(latency.p99_ms if latency else None),
                largest=words.milliseconds(largest),
                rate=_rate(entry.throughput_per_s),
                load=words.milliseconds(entry.load_ms),
                first=words.milliseconds(entry.first_ms),
                memory=words.size(entry.rss_peak_bytes),
                trouble="" if entry.valid else " ".join(entry.reasons),
            )
        )
    return found


def environment_lines(environment: Environment | None) -> dict[str, list[tuple[str, str]]]:
    """Return what makes figures comparable, and what was only observed, as names and texts."""
    if environment is None:
        return {}
    return {
        "What makes figures comparable": _flat(environment.identity),
        "What was observed": _flat(environment.observed),
    }


def _mark(entry: DeployEntry, name: str) -> Mark | None:
    check = entry.checks.get(name)
    return None if check is None else Mark(check.verdict, words.figure(name, check))


def _ratio(subject: Subject, entry: DeployEntry) -> str:
    ratio = times_as_fast(entry, subject.baseline(entry))
    return words.NONE if ratio is None else f"{ratio[0]:.2f}"


def _rate(value: float | None) -> str:
    return words.NONE if value is None else f"{value:,.0f} /s" if value >= 10 else f"{value:.2f} /s"


def _flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{above}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            found += _flat(value, f"{key}: ")
        elif isinstance(value, list | tuple):
            found.append((name, " ".join(str(one) for one in value) or words.NONE))
        elif key.endswith("_bytes") and isinstance(value, int | float):
            found.append((name.removesuffix(" bytes"), words.size(value)))
        else:
            found.append((name, "not known" if value is None else str(value)))
    return found
