"""From subjects to one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.records import Subject, entry_text
from edgekit.benchmarks.report.summary import alike, side_by_side
from edgekit.benchmarks.report.tables import check_lines
from edgekit.benchmarks.report.template import fill, load_libraries
from edgekit.benchmarks.report.views import tradeoffs_of, view_of
from edgekit.core.certificate import CHECKS

__all__ = ["render"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def render(subjects: Sequence[Subject]) -> str:
    """Return the page about one or several bundles or results.

    Args:
        subjects: At least one.

    Returns:
        HTML in UTF-8 that makes no request.

    Raises:
        MissingLibrary: A library of the extra "report" is not installed.
    """
    load_libraries()
    letters = [_letter(at) for at in range(len(subjects))] if len(subjects) > 1 else [""]
    views = [view_of(subject, letter) for subject, letter in zip(subjects, letters, strict=True)]
    unlike = alike(subjects)
    return fill(
        "page.html.j2",
        title=", ".join(subject.name for subject in subjects),
        views=views,
        several=len(views) > 1,
        unlike=unlike,
        side_by_side=side_by_side(subjects, unlike) if len(views) > 1 else [],
        tradeoffs=tradeoffs_of(views, unlike),
        checks=[(name, *words.CHECK_TITLES[name]) for name in CHECKS],
        check_lines=check_lines,
        entry_text=entry_text,
        words=words,
    )


def _letter(at: int) -> str:
    return _LETTERS[at] if at < len(_LETTERS) else f"{_LETTERS[at // 26 - 1]}{_LETTERS[at % 26]}"
