"""The closest match for a mistyped name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["closest"]


def closest(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'X'?" or the list of what is known, as a hint for an error."""
    names = list(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if match:
        return f"Did you mean {match[0]!r}?"
    return f"Known: {', '.join(names)}."
