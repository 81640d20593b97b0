"""Which of several comparisons decides."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.documents import ComparedEntry

__all__ = ["deciding"]

_ORDER = ("SLOWER", "UNCLEAR", "SAME", "FASTER")


def deciding(entries: Sequence[ComparedEntry]) -> ComparedEntry:
    """Return the entry that decides: SLOWER before UNCLEAR before SAME before FASTER.

    Among equal verdicts the one whose new side does worst, by its ratio.

    Args:
        entries: One at least.
    """
    return min(
        entries,
        key=lambda entry: (
            _ORDER.index(entry.verdict),
            -(entry.ratio if entry.ratio is not None else float("inf")),
        ),
    )
