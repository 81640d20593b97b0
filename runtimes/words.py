"""Figures as words, for sentences about a machine."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["gib", "listed"]


def gib(count: int) -> str:
    """Format bytes as GiB, in which memory is sold: "7.4 GiB"."""
    return f"{count / (1 << 30):.1f} GiB"


def listed(names: Sequence[str]) -> str:
    """Join names: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
