"""Figures as text, verdicts in colour, and the shapes that all tables share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from edgekit.cli.show.layout import Grid, padded, wrapped
from edgekit.core.certificate import Check, Verdict
from edgekit.core.texts import safe

__all__ = [
    "INVALID",
    "NOTHING",
    "STYLES",
    "check_lines",
    "duration",
    "facts",
    "grid",
    "interval",
    "line",
    "milliseconds",
    "path",
    "points",
    "sentence",
    "shares",
    "size",
    "verdict",
]

# Green is for what was proven to be within its budget, and for nothing else.
STYLES: dict[str, str] = {"PASS": "green", "FAIL": "red", "UNVERIFIED": "yellow"}
NOTHING = "–"
# Beside a latency whose measurement is not valid; the words below the table say why.
INVALID = "!"
# Cells of the names in `facts`, at least.
_NAME = 12


def milliseconds(value: float | None) -> str:
    """Format milliseconds with the digits that a latency deserves."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.{_decimals(value)}f}"


def duration(seconds: float) -> str:
    """Format a time with the digits that an estimate deserves."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def interval(middle: float | None, low: float | None, high: float | None) -> str:
    """Format "12.0 (11.8–12.4)", all three with the decimals of the middle."""
    if middle is None:
        return NOTHING
    if low is None or high is None:
        return milliseconds(middle)
    decimals = _decimals(middle)
    return f"{middle:.{decimals}f} ({low:.{decimals}f}–{high:.{decimals}f})"


def points(fraction: float | None) -> str:
    """Format a difference of fractions as points."""
    if fraction is None:
        return NOTHING
    value = 100 * fraction
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def size(count: int | None) -> str:
    """Format a number of bytes in decimal units, three digits."""
    if count is None:
        return NOTHING
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def shares(parts: Mapping[str, float]) -> str:
    """Format shares of a whole, "98 % int8, 2 % fp32"."""
    return ", ".join(f"{100 * share:.0f} % {name}" for name, share in parts.items())


def verdict(word: Verdict) -> Text:
    """Return a verdict in its colour."""
    return Text(word, STYLES[word])


def line(console: Console, content: str | Text = "", style: str = "") -> None:
    """Print a line that is never broken: what it holds may be a path or a command to copy."""
    console.print(_text(content, style), soft_wrap=True)


def sentence(console: Console, content: str | Text, style: str = "", *, indent: int = 0) -> None:
    """Print prose, broken between its words.

    Args:
        console: Where to.
        content: One paragraph.
        style: Of a plain text.
        indent: Cells that the lines after the first begin with.
    """
    for one in wrapped(_text(content, style), console.width, indent):
        console.print(one, soft_wrap=True)


def path(content: str) -> Text:
    """Mark a value of `facts` as one that is copied, so that it is never broken."""
    return Text(safe(content), no_wrap=True)


def facts(console: Console, rows: Iterable[tuple[str, str | Text]]) -> None:
    """Print names and values, one pair a paragraph."""
    pairs = [(safe(name), _text(value)) for name, value in rows]
    width = max([_NAME, *(cell_len(name) for name, _ in pairs)])
    for name, text in pairs:
        pair = Text.assemble((padded(name, width), "bold"), " ", text)
        if text.no_wrap:
            line(console, pair)
        else:
            sentence(console, pair, indent=width + 1)


def grid(
    headers: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    left: Sequence[int] = (0,),
    *,
    whole: Sequence[int] = (),
) -> Grid:
    """Return a table without frames, to be printed on a console; it fits the console's width.

    Args:
        headers: One a column; a line break in a header makes it two lines high.
        rows: The cells.
        left: Columns that are flush left and may be folded; the others hold figures, are flush
            right and never broken.
        whole: Columns of `left` that are not folded either.
    """
    return Grid(headers, rows, left, whole)


def _text(content: str | Text, style: str = "") -> Text:
    if isinstance(content, str):
        return Text(safe(content), style)
    if safe(content.plain) != content.plain:
        return Text(safe(content.plain), content.style, no_wrap=content.no_wrap)
    return content


def check_lines(name: str, checks: Mapping[str, Check], wanted: Verdict) -> list[Text]:
    """Say in words why checks of one entry have a verdict, one line a check."""
    return [
        Text(f"{wanted} {name}: {check_name.replace('_', ' ')}: {_reason(check)}", STYLES[wanted])
        for check_name, check in checks.items()
        if check.verdict == wanted
    ]


def _reason(check: Check) -> str:
    if check.reason:
        return check.reason
    if check.value is None or check.limit is None:
        return "could not be judged."
    return f"{check.value:.4g} against a limit of {check.limit:.4g}."


def _decimals(value: float) -> int:
    if abs(value) >= 100:
        return 0
    if abs(value) >= 10:
        return 1
    return 2 if abs(value) >= 1 else 3
