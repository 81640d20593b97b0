"""Text from files, libraries and the command line, made fit to stand in a sentence."""

from __future__ import annotations

import math
import re

__all__ = ["bounded", "is_text", "number", "safe", "shown", "whole_number"]

# What would move the cursor, change colours, reverse the order of the letters, or is no text that
# UTF-8 can hold.
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# What neither a signed nor an unsigned integer of 64 bits holds.
_ABOVE = 2**64
_DIGITS = re.compile("[0-9]{1,20}")
_VALUE = 300
_SENTENCE = 1_500


def safe(text: str) -> str:
    r"""Make control characters visible: a name from a file must not steer the terminal.

    Line breaks and tabs become spaces, others what Python writes for them, `\x1b`.
    """
    return _CONTROLS.sub(lambda found: " " if found[0] in "\n\r\t" else ascii(found[0])[1:-1], text)


def bounded(text: str, most: int = _SENTENCE) -> str:
    """Return a text of at most `most` characters: where it is longer, its middle is left out."""
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 4
    return f"{text[:head]} … {text[-tail:]}"


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold a text, and it holds no NUL.

    Half of a pair of surrogates comes from an escape, and from a file's name that is not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def whole_number(text: str) -> int | None:
    """Return the number that 1 to 20 decimal digits are; None for all else, and above 64 bits.

    `str.isdigit` is true of digits that `int` refuses, and `int` refuses 4,300 of them.
    """
    value = int(text) if _DIGITS.fullmatch(text) else _ABOVE
    return value if value < _ABOVE else None


def number(text: str) -> int | float | None:
    """Return a decimal number; None where 64 bits do not hold it, for infinity and for NaN.

    Args:
        text: A number as JSON or YAML writes it.
    """
    digits = text.lstrip("+-")
    if digits.isdigit():
        size = whole_number(digits)
        if size is None or not text.startswith("-"):
            return size
        return -size if size <= 2**63 else None
    try:
        value = float(text)
    except ValueError:  # .inf and .nan of YAML
        return None
    return value if math.isfinite(value) else None


def shown(value: object) -> str:
    """Return a value as a sentence quotes it: as Python writes it, at most 300 characters.

    A text is cut before it is written out, so that a long one costs nothing.
    """
    if isinstance(value, str):
        text = repr(bounded(value, _VALUE))
    elif isinstance(value, bytes | list | tuple | dict | set) and len(value) > _VALUE:
        return f"{type(value).__name__} of {len(value)} entries"
    else:
        try:
            text = repr(value)
        except (ValueError, RecursionError, MemoryError):  # an int of 6,000 digits; a deep list
            return f"a {type(value).__name__}"
    return bounded(safe(text), _VALUE)
