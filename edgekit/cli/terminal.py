"""The two streams as rich sees them: how wide, in colour or not, and what they cannot show.

A terminal is as wide as it says. What is no terminal has no width: a table that goes into a file or
a pipe takes the room that it needs, a row a line, nothing folded. COLUMNS, where it is set, decides
for both.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["UNBOUNDED", "console_on_stderr", "console_on_stdout", "forgive_encodings"]

# Columns of what is no terminal: no table is that wide.
UNBOUNDED = 100_000
_FORGIVING = "edgekit.forgiving"
# Our own signs in ASCII, as wide as they are, for a console of cp1252 or of no locale at all.
_PLAIN = {
    "★": "*",
    "×": "x",
    "–": "-",
    "…": "~",
    "·": "|",
    "─": "-",
    "━": "=",
    "╌": "-",
    "•": "*",
    "’": "'",
}


def console_on_stdout() -> Console:
    """Return where results go."""
    return _console(stderr=False)


def console_on_stderr() -> Console:
    """Return where progress and the next commands go."""
    return _console(stderr=True)


def forgive_encodings() -> None:
    """Let stdout and stderr show something else for a sign that they have not, and never fail."""
    codecs.register_error(_FORGIVING, _replacement)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_FORGIVING)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    bounded = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if bounded else UNBOUNDED,
        # https://no-color.org: any value but an empty one.
        no_color=bool(os.environ.get("NO_COLOR")),
    )


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "?") for sign in lost), error.end
