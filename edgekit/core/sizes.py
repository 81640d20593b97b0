"""Sizes as people write them."""

from __future__ import annotations

from edgekit.core.errors import BadInput

__all__ = ["parse_size"]

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_size(text: str) -> int:
    """Return bytes of a size like "500MB" or "10 GB" (powers of ten).

    Raises:
        BadInput: It is no size.
    """
    word = text.strip().upper().replace(" ", "")
    number = word.rstrip("BKMGT")
    try:
        size = float(number) * _UNITS[word[len(number) :] or "B"]
    except (ValueError, KeyError) as error:
        raise BadInput(f"{text!r} is not a size.", hint="For instance 500MB or 10GB.") from error
    if not 0 <= size < float("inf"):
        raise BadInput(f"A size is 0 or more, not {text!r}.", hint="For instance 10GB.")
    return int(size)
