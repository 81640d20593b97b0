"""Tables that a user wrote: comma-separated values."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgekit.core.errors import BadInput
from edgekit.core.texts import shown

__all__ = ["table"]


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
            raise BadInput(f"{path}, line {reader.line_num + 1}: {error}.") from error
        if row is None:
            return
        yield (
            f"{path}, line {reader.line_num}",
            {name: (value or "").strip() for name, value in row.items() if name is not None},
        )
