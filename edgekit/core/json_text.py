"""JSON that may come from anyone: the one reader of it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Set
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

from edgekit.core.errors import BadInput
from edgekit.core.reading import as_text, read_bytes
from edgekit.core.texts import bounded, is_text, number, shown

__all__ = ["JSON_LIMIT", "as_kind", "parse_json", "read_json"]

T = TypeVar("T")

# Bytes. A bundle's largest document, the details by image, is some 10 MB for 20,000 images. What is
# parsed may take twenty times the memory.
JSON_LIMIT = 32 << 20
# No document of edgekit's, or of the tools whose results it takes, is half as deep. What is deeper
# would end in a RecursionError wherever the data are walked later.
_DEPTH = 64
_WALKED = (dict, list, float)
_ESCAPES = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class _Refused(ValueError):
    """A document that is JSON and is not believed; says why."""


@overload
def parse_json(
    content: bytes | str,
    where: Path | str,
    kind: None = None,
    *,
    limit: int = JSON_LIMIT,
    only: Set[str] | None = None,
    hint: str = "",
) -> Any: ...
@overload
def parse_json(
    content: bytes | str,
    where: Path | str,
    kind: type[T],
    *,
    limit: int = JSON_LIMIT,
    only: Set[str] | None = None,
    hint: str = "",
) -> T: ...
def parse_json(
    content: bytes | str,
    where: Path | str,
    kind: type[Any] | None = None,
    *,
    limit: int = JSON_LIMIT,
    only: Set[str] | None = None,
    hint: str = "",
) -> Any:
    """Parse JSON.

    A key that stands twice in one object is refused, because two readers would take two values for
    it; so is what is no JSON though Python writes it (NaN, Infinity), a number that 64 bits do not
    hold, a text with a NUL or half a character, and nesting deeper than 64.

    Args:
        content: UTF-8; a byte order mark is passed over.
        where: The file, or what it is, for the message.
        kind: What it must be, for instance a msgspec.Struct; None takes any.
        limit: Bytes, at most.
        only: Keys that are kept, of every object; what stands under others is dropped as soon as it
            is parsed, so that a large file takes little memory. None keeps all.
        hint: What to do.

    Raises:
        BadInput: Names `where` and the place in it.
    """
    if len(content) > limit:
        raise BadInput(f"{where} is larger than the {limit >> 20} MiB that are read.", hint=hint)
    text = as_text(content, where, hint) if isinstance(content, bytes) else content
    try:
        found = json.loads(  # noqa: TID251  (the one place)
            text,
            object_pairs_hook=partial(_once, only),
            parse_constant=_constant,
            parse_int=_whole,
        )
        _check(found, _ESCAPES.search(text) is not None)
    except RecursionError:
        raise BadInput(f"{where} is nested too deeply to be read.", hint=hint) from None
    except MemoryError:
        raise BadInput(f"There is not enough memory to read {where}.", hint=hint) from None
    except _Refused as error:
        raise BadInput(f"{where} {error}.", hint=hint) from None
    except ValueError as error:
        raise BadInput(f"{where} is no JSON: {error}.", hint=hint) from error
    return found if kind is None else as_kind(found, where, kind, hint=hint)


def as_kind(found: object, where: Path | str, kind: type[T], *, hint: str = "") -> T:
    """Return parsed JSON as a record, checked by its types and by the record itself.

    Raises:
        BadInput: It is of another form; names `where` and the place in it.
    """
    import msgspec  # here, because a shell waits for completion, which needs no records

    try:
        return msgspec.convert(found, kind, str_keys=True)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise BadInput(
            f"{where} is damaged, or of another version: {str(error).rstrip('.')}.", hint=hint
        ) from error


@overload
def read_json(
    path: Path,
    kind: None = None,
    *,
    limit: int = JSON_LIMIT,
    only: Set[str] | None = None,
    hint: str = "",
) -> Any: ...
@overload
def read_json(
    path: Path,
    kind: type[T],
    *,
    limit: int = JSON_LIMIT,
    only: Set[str] | None = None,
    hint: str = "",
) -> T: ...
def read_json(
    path: Path,
    kind: type[Any] | None = None,
    *,
    limit: int = JSON_LIMIT,
    only: Set[str] | None = None,
    hint: str = "",
) -> Any:
    """Read a JSON file, see `parse_json`.

    Raises:
        BadInput: It is missing, cannot be read, is larger than `limit` bytes, or is not believed.
    """
    content = read_bytes(path, limit=limit, hint=hint)
    return parse_json(content, path, kind, limit=limit, only=only, hint=hint)


def _once(only: Set[str] | None, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _Refused(f"names {shown(counts.most_common(1)[0][0])} twice")
    return found if only is None else {name: found[name] for name in found if name in only}


def _constant(text: str) -> None:
    raise _Refused(f"holds {text}, which is no number of JSON")


def _whole(text: str) -> int | float:
    value = number(text)
    if value is None:
        raise _Refused(f"holds {bounded(text, 40)}, which is no finite number of 64 bits")
    return value


def _check(found: object, escapes: bool) -> None:
    """Refuse what is too deep, level by level, and texts that no file or terminal takes."""
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > _DEPTH:
            raise _Refused(f"is nested deeper than {_DEPTH} levels")
        below: list[object] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
                if escapes:
                    below.extend(one)
            elif isinstance(one, list):
                below.extend(one)
            elif isinstance(one, float) and not math.isfinite(one):
                raise _Refused("holds a number that is too large for 64 bits")
            elif isinstance(one, str) and not is_text(one):
                raise _Refused(f"holds {shown(one)}, which is no text")
        level = below if escapes else [one for one in below if isinstance(one, _WALKED)]
