"""Accuracy by class: all of a few classes; of many, those that lose and win most, and a file."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.benchmarks.report import words
from edgekit.core.details import ClassScores
from edgekit.tasks.predictions import label_of

__all__ = ["ClassLine", "ClassTable", "class_table"]

# So many classes are listed whole; of more, so many of either end.
_WHOLE = 40
_WORST, _BEST = 15, 5
# A spreadsheet takes what begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class ClassLine:
    """One class.

    Attributes:
        at: Where the entry stands on a line of 100, for the little picture.
        reference_at: Where the reference stands.
    """

    label: str
    index: int
    n: str
    value: str
    reference: str
    drop: str
    at: float
    reference_at: float


@dataclass(frozen=True)
class ClassTable:
    """Accuracy by class of one entry.

    Attributes:
        name: Of the figure.
        unit: Of the count.
        parts: Heading and classes; one part without a heading where all are listed.
        total: Classes in all.
        worse: Classes that lose more than a hundredth.
        better: Classes that gain more than a hundredth.
        file: A data: address of all classes as CSV; empty where all are listed.
    """

    name: str
    unit: str
    parts: Sequence[tuple[str, Sequence[ClassLine]]]
    total: int
    worse: int
    better: int
    file: str


def class_table(scores: ClassScores, labels: Sequence[str]) -> ClassTable:
    """Order the classes by what they lose, and list as many as can be read.

    Args:
        scores: Of one entry.
        labels: The card's.
    """
    reference = scores.reference or scores.value
    drops = [known - value for known, value in zip(reference, scores.value, strict=True)]
    order = sorted(range(len(drops)), key=lambda at: (-drops[at], scores.index[at]))
    lines = [_line(scores, reference, labels, at) for at in order]
    if len(lines) <= _WHOLE:
        parts: list[tuple[str, Sequence[ClassLine]]] = [("", lines)]
    else:
        best = lines[-_BEST:][::-1]
        parts = [
            (f"The {_WORST} classes that lose most", lines[:_WORST]),
            (f"The {_BEST} classes that gain most, or lose least", best),
        ]
    return ClassTable(
        name=scores.name,
        unit=scores.unit,
        parts=parts,
        total=len(lines),
        worse=sum(drop > 0.01 for drop in drops),
        better=sum(drop < -0.01 for drop in drops),
        file="" if len(lines) <= _WHOLE else _file(scores, reference, labels, order),
    )


def _line(
    scores: ClassScores, reference: Sequence[float], labels: Sequence[str], at: int
) -> ClassLine:
    value, known = scores.value[at], reference[at]
    return ClassLine(
        label=words.clean(label_of(labels, scores.index[at])),
        index=scores.index[at],
        n=words.count(scores.n[at]),
        value=words.fraction(value),
        reference=words.fraction(known) if scores.reference else words.NONE,
        drop=words.points(known - value) if scores.reference else words.NONE,
        at=round(100 * value, 1),
        reference_at=round(100 * known, 1),
    )


def _file(
    scores: ClassScores, reference: Sequence[float], labels: Sequence[str], order: Sequence[int]
) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["class_index", "label", scores.unit, f"{scores.name}_reference", scores.name])
    for at in order:
        label = words.clean(label_of(labels, scores.index[at]))
        harmless = f"'{label}" if label.startswith(_FORMULA) else label
        writer.writerow([scores.index[at], harmless, scores.n[at], reference[at], scores.value[at]])
    content = base64.b64encode(text.getvalue().encode()).decode()
    return f"data:text/csv;charset=utf-8;base64,{content}"
