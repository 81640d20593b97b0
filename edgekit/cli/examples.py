"""The examples at the end of a command's help."""

from __future__ import annotations

__all__ = ["examples"]


def examples(*lines: str) -> str:
    r"""Return an epilog that click prints as it is.

    Args:
        lines: Commands that can be pasted; one that is too long for 80 columns goes on behind a
            "\" at its end.
    """
    shown = [f"  {part}" for one in lines for part in one.split("\n")]
    return "\n".join(("\b", "Examples:", *shown))
