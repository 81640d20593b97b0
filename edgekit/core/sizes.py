"""Sizes as people write them."""

from __future__ import annotations

from edgekit.core.errors import BadInput
from edgekit.core.texts import whole_number

__all__ = ["parse_size", "parse_stream"]

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
# Streams have a few thousand pixels a side; more is a slip of the keyboard.
_LARGEST = 65536


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


def parse_stream(text: str) -> tuple[int, int]:
    """Parse "1280x720" into (width, height), pixels.

    Raises:
        BadInput: It is not of that form, or no size that a stream can have.
    """
    sides = [whole_number(part) for part in text.lower().replace("×", "x").split("x")]
    width, height = sides if len(sides) == 2 else (None, None)
    if width is None or height is None:
        raise BadInput(
            f"{text!r} is no size of a stream.", hint="Write WIDTHxHEIGHT, for instance 1280x720."
        )
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise BadInput(
            f"A stream is not {width} x {height} pixels large.",
            hint="Write WIDTHxHEIGHT, for instance 1280x720.",
        )
    return width, height
