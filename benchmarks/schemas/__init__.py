"""JSON Schemas of the documents that commands print; the .json files are made by `.make`."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from edgekit.core.documents import DOCUMENTS
from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json
from edgekit.core.names import closest

__all__ = ["load_schema", "schema_file"]


def schema_file(kind: str) -> str:
    """Return the name of the file that holds the JSON Schema of a kind of document."""
    return f"edgekit.{kind}.1.json"


def load_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a kind of document.

    Args:
        kind: "deploy", "bench", …; the middle of the document's key `schema`.

    Raises:
        BadInput: There is no such kind.
    """
    if kind not in DOCUMENTS:
        raise BadInput(f"There is no document of the kind {kind!r}.", hint=closest(kind, DOCUMENTS))
    content = (files(__name__) / schema_file(kind)).read_bytes()
    return parse_json(content, schema_file(kind), dict[str, Any])
