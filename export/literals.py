"""Python literals in the metadata of other tools: Ultralytics' `names`, PyTorch's scopes."""

from __future__ import annotations

import ast
from typing import Any

import msgspec

__all__ = ["parse_literal"]

# The names of 21,000 classes are half of that.
_LONGEST = 1 << 20


def parse_literal(text: str) -> Any:
    """Return the data that a Python literal is; None where it is none, or too large or too deep.

    `ast.literal_eval` builds data and runs nothing, but its parser takes some hundred times the
    text's memory.

    Args:
        text: For instance "{0: 'cat', 1: 'dog'}".
    """
    if len(text) > _LONGEST:
        return None
    try:
        found = ast.literal_eval(text)
        # What JSON cannot say either: half of a character.
        msgspec.json.encode(found)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return found
