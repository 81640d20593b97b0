"""YAML that may come from anyone: the one reader of it, and the one writer.

What is plain in the file is read as JSON reads it: `true`, `false`, `null` and numbers. Everything
else is the text that stands there: `no`, `on`, `12:30`, `2001-01-01`, `0o17`, `1_000` and `007` are
labels and names in the files that people have, and not the truth values, dates and numbers that
YAML 1.1 makes of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edgekit.core.errors import BadInput
from edgekit.core.opening import TEXT_BYTES
from edgekit.core.reading import as_text, read_text
from edgekit.core.texts import bounded, number, shown

__all__ = ["dump_yaml", "parse_yaml", "read_yaml"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_TAGS = "tag:yaml.org,2002:"

_DEPTH = 64
_NODES = 500_000
# What aliases may add: a bomb of 0.5 kB has millions. A text counts for its length too.
_REPEATED = 10_000
_TEXT_WEIGHT = 64


def parse_yaml(content: bytes | str, where: Path | str, hint: str = "") -> Any:
    """Parse one YAML document into plain data: dict, list, str, int, float, bool and None.

    Anchors, aliases and merge keys (`<<`) work, as far as they add no more than 10,000 nodes. Keys
    are texts or whole numbers. A key that stands twice, a tag other than !!str, several documents,
    a number that 64 bits do not hold, `.nan`, `.inf` and nesting deeper than 64 are refused.

    Args:
        content: UTF-8; a byte order mark is passed over.
        where: The file or the option, for the message.
        hint: What to do where it is no text.

    Raises:
        BadInput: Names `where`, the line and the column.
    """
    text = as_text(content, where, hint) if isinstance(content, bytes) else content
    if len(text) > TEXT_BYTES:
        raise BadInput(f"{where} is larger than the {TEXT_BYTES >> 20} MiB that are read.")
    try:
        return _Reader(where, yaml.parse(text, Loader=_LOADER)).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "unreadable characters"
        raise BadInput(f"{where}{_place(mark)} is not valid YAML: {problem}.") from error
    except UnicodeEncodeError as error:  # half a character, which UTF-8 cannot hold
        raise BadInput(f"{where} is not UTF-8 text.", hint=hint) from error
    except MemoryError as error:
        raise BadInput(f"There is not enough memory to read {where}.", hint=hint) from error


def read_yaml(path: Path, hint: str = "") -> Any:
    """Read a YAML file, see `parse_yaml`.

    Raises:
        BadInput: It is missing, cannot be read, is too large, or is not believed.
    """
    return parse_yaml(read_text(path, hint), path, hint)


def dump_yaml(content: Any, **options: Any) -> str:
    """Return YAML that `parse_yaml`, and a reader of YAML 1.1, reads back to the same plain data.

    Args:
        content: Plain data.
        options: Of yaml.dump: width, default_flow_style, …
    """
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, **options)
    return text


class _Dumper(_DUMPER):  # type: ignore[misc,valid-type]
    """PyYAML's, which quotes what YAML 1.1 does not take for text, and here what we do not."""


_Dumper.add_implicit_resolver(f"{_TAGS}float", _NUMBER, list("-+.0123456789"))


class _Reader:
    """Plain data from the parser's events, within bounds.

    Args:
        where: The file, for messages.
        events: Of one file.
    """

    def __init__(self, where: Path | str, events: Iterator[Any]) -> None:
        self._where = where
        self._events = events
        # Name to the value and what it weighs; None while the value is being read.
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._nodes = 0
        self._repeated = 0

    def document(self) -> Any:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._node(next(self._events), 1)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._refused(after, "holds several documents", "Leave one of them.")
        return value

    def _node(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > _DEPTH:
            raise self._refused(event, f"is nested deeper than {_DEPTH} levels")
        before = self._nodes
        self._nodes += 1
        if self._nodes - self._repeated > _NODES:
            raise self._refused(event, f"holds more than {_NODES:,} values")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
            self._nodes += len(event.value) // _TEXT_WEIGHT
        else:
            if event.tag not in (None, "!", f"{_TAGS}seq", f"{_TAGS}map"):
                raise self._tagged(event)
            sequence = isinstance(event, yaml.SequenceStartEvent)
            value = self._list(depth) if sequence else self._mapping(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._nodes - before
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise self._refused(event, f"has no anchor for the alias *{event.anchor}")
        found = self._anchors[event.anchor]
        if found is None:
            raise self._refused(event, f"has the alias *{event.anchor} inside its own anchor")
        value, weight = found
        self._nodes += weight
        self._repeated += weight
        if self._repeated > _REPEATED:
            raise self._refused(
                event,
                f"repeats more than {_REPEATED:,} values by its aliases",
                "Write out what is repeated.",
            )
        return value

    def _list(self, depth: int) -> list[Any]:
        values = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._node(event, depth + 1))
        return values

    def _mapping(self, depth: int) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        merges = False
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and _plain(event)
            if merge and merges:
                raise self._refused(event, "has the key '<<' twice in one mapping")
            key = None if merge else self._key(event, depth)
            if key in values:
                raise self._refused(
                    event, f"has the key {shown(key)} twice", "Leave one of the two."
                )
            value = self._node(next(self._events), depth + 1)
            if not merge:
                values[key] = value
                continue
            merges = True
            for each in reversed(value if isinstance(value, list) else [value]):
                if not isinstance(each, dict):
                    raise self._refused(event, "merges (`<<`) what is no mapping")
                merged.update(each)
        return {**merged, **values} if merges else values

    def _key(self, event: Any, depth: int) -> str | int:
        key = self._node(event, depth + 1)
        if isinstance(key, bool) or not isinstance(key, str | int):
            what = shown(event.value) if isinstance(event, yaml.ScalarEvent) else "a list or more"
            raise self._refused(
                event, f"has the key {what}, which is neither text nor a whole number", "Quote it."
            )
        return key

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if "\0" in text:
            raise self._refused(event, "holds a NUL character")
        if not _plain(event):
            if event.tag not in (None, *_TEXT_TAGS):
                raise self._tagged(event)
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not _NUMBER.fullmatch(text) and not _NO_NUMBER.fullmatch(text):
            return text
        value = number(text)
        if value is None:
            raise self._refused(
                event,
                f"holds {bounded(text, 40)}, which is no finite number of 64 bits",
                "Quote it if it is text.",
            )
        return value

    def _tagged(self, event: Any) -> BadInput:
        tag = event.tag.replace(_TAGS, "!!", 1) if event.tag.startswith(_TAGS) else event.tag
        return self._refused(
            event,
            f"has the tag {shown(tag)}, which is not read",
            "Write the value without it, in quotes where it is text.",
        )

    def _refused(self, event: Any, why: str, hint: str = "") -> BadInput:
        return BadInput(f"{self._where}{_place(event.start_mark)} {why}.", hint=hint)


def _plain(event: Any) -> bool:
    """Whether a scalar stands without quotes and without a tag."""
    return bool(event.implicit[0]) and event.tag is None


def _place(mark: Any) -> str:
    return "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1},"
