"""A template filled in: one HTML file with its own style sheet and script, and nothing else."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.svg import load_matplotlib
from edgekit.core.requires import requires
from edgekit.core.version import __version__

__all__ = ["fill", "load_libraries"]

_HERE = Path(__file__).parent


def load_libraries() -> None:
    """Import what a page is made with, or say how to get it.

    Raises:
        MissingLibrary: One of the two is not installed.
    """
    with requires("jinja2", extra="report", why="to write a report page"):
        import jinja2  # noqa: F401
    load_matplotlib()


def fill(name: str, **context: Any) -> str:
    """Return a page.

    Args:
        name: Of the template beside this module.
        context: What it places; every text is escaped.

    Raises:
        MissingLibrary: A library of the extra "report" is not installed.
    """
    load_libraries()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = _own("page.css"), _own("page.js")
    templates = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["clean"] = words.clean
    return templates.get_template(name).render(
        **context,
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        # Nothing but this very script may run, whatever a label says.
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=__version__,
    )


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
