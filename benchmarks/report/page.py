"""From subjects to one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.records import Subject, entry_text
from edgekit.benchmarks.report.summary import alike, side_by_side
from edgekit.benchmarks.report.svg import load_matplotlib
from edgekit.benchmarks.report.tables import check_lines
from edgekit.benchmarks.report.views import tradeoffs_of, view_of
from edgekit.core.certificate import CHECKS
from edgekit.core.requires import requires
from edgekit.core.version import __version__

__all__ = ["load_libraries", "render"]

_HERE = Path(__file__).parent
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def load_libraries() -> None:
    """Import what a page is made with, or say how to get it.

    Raises:
        MissingLibrary: One of the two is not installed.
    """
    with requires("jinja2", extra="report", why="to write a report page"):
        import jinja2  # noqa: F401
    load_matplotlib()


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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    letters = [_letter(at) for at in range(len(subjects))] if len(subjects) > 1 else [""]
    views = [view_of(subject, letter) for subject, letter in zip(subjects, letters, strict=True)]
    unlike = alike(subjects)
    style, script = _own("page.css"), _own("page.js")
    templates = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["clean"] = words.clean
    return templates.get_template("page.html.j2").render(
        title=", ".join(subject.name for subject in subjects),
        views=views,
        several=len(views) > 1,
        unlike=unlike,
        side_by_side=side_by_side(subjects, unlike) if len(views) > 1 else [],
        tradeoffs=tradeoffs_of(views, unlike),
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        # Nothing but this very script may run, whatever a label says.
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        checks=[(name, *words.CHECK_TITLES[name]) for name in CHECKS],
        check_lines=check_lines,
        entry_text=entry_text,
        words=words,
        version=__version__,
    )


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _letter(at: int) -> str:
    return _LETTERS[at] if at < len(_LETTERS) else f"{_LETTERS[at // 26 - 1]}{_LETTERS[at % 26]}"
