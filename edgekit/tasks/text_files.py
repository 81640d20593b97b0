"""Reading text files that a user wrote."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgekit.core.errors import BadInput
from edgekit.core.opening import TEXT_BYTES, read_file, shown

__all__ = ["as_text", "read_text", "table"]


def read_text(path: Path, hint: str = "", limit: int = TEXT_BYTES) -> str:
    """Return a file's text, without a byte order mark.

    Args:
        path: The file.
        hint: What to do where it cannot be read.
        limit: The most bytes that it may have.

    Raises:
        BadInput: The file is missing, cannot be read, is no regular file, too large, or not text.
    """
    try:
        content = read_file(path, limit)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"{path} cannot be read: {reason}.", hint=hint) from error
    return as_text(content, path, hint)


def as_text(content: bytes, path: Path, hint: str = "") -> str:
    """Return the text that a file's content is, without a byte order mark.

    Args:
        content: UTF-8, or UTF-16 that its byte order mark tells, as Windows' shell writes it.
        path: The file, for the sentence.
        hint: What to do where it is not text.

    Raises:
        BadInput: It is neither, or holds a NUL, which no text does.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text.", hint=hint) from error
    if "\0" in text:
        raise BadInput(f"{path} is not text: it holds a NUL character.", hint=hint)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def table(
    text: str, path: Path, columns: Sequence[str]
) -> tuple[frozenset[str], Iterator[tuple[str, dict[str, str]]]]:
    """Read comma-separated values with a line of column names.

    Args:
        text: What the file holds.
        path: The file, for the sentence.
        columns: Those that it must have.

    Returns:
        All its columns, and the rows: "FILE, line N", and column to text without spaces around it,
        which is empty where a row is short.

    Raises:
        BadInput: A column is missing; while the rows are read: a line is no such row.
    """
    reader = csv.DictReader(text.splitlines())
    try:
        found = list(reader.fieldnames or ())
    except csv.Error as error:
        raise BadInput(f"{path}, line 1: {error}.") from error
    for column in columns:
        if column not in found:
            names = ", ".join(found) or "none"
            raise BadInput(
                f"{path} has no column {column!r}.",
                hint=f"Its columns are: {shown(names)[1:-1]}.",
            )
    return frozenset(found), _rows(reader, path)


def _rows(reader: csv.DictReader[str], path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BadInput(f"{path}, line {reader.line_num}: {error}.") from error
        if row is None:
            return
        yield (
            f"{path}, line {reader.line_num}",
            {name: (value or "").strip() for name, value in row.items() if name is not None},
        )
