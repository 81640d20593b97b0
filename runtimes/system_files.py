"""Reading the small files in which a system describes itself; none of them raises."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_number", "read_text"]

# No file that is read here is larger; what pretends to be one is not read to its end.
_LIMIT_BYTES = 32 << 20


def read_text(path: Path) -> str:
    """Return a file's text, NUL bytes (as in device trees) stripped; empty where it cannot be read.

    Args:
        path: Bytes that are no UTF-8 become U+FFFD.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT_BYTES).decode(errors="replace").strip("\0 \n")
    except (OSError, ValueError):
        return ""


def read_number(path: Path) -> int | None:
    """Return the whole number that a file holds; None where it holds none."""
    text = read_text(path)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
