"""Text from files and libraries, made fit to be printed."""

from __future__ import annotations

import re

__all__ = ["safe"]

# What would move the cursor, change colours or reverse the order of the letters.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    r"""Make control characters visible: a name from a file must not steer the terminal.

    Line breaks and tabs become spaces, others what Python writes for them, `\x1b`.
    """
    return _CONTROLS.sub(lambda found: " " if found[0] in "\n\r\t" else ascii(found[0])[1:-1], text)
