"""Write the JSON Schemas from the records in core: `python -m edgekit.benchmarks.schemas.make`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from edgekit.benchmarks.schemas import schema_file
from edgekit.core.documents import DOCUMENTS
from edgekit.core.files import write_text

__all__ = ["main", "make_schema", "schema_text"]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def make_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of one kind of document, made from its record.

    Everything that commands write carries every key, but a reader may meet a document of an
    earlier release: only keys without a default, and `schema`, are required, and unknown keys are
    allowed.
    """
    record = DOCUMENTS[kind]
    (reference,), definitions = msgspec.json.schema_components(
        [record], ref_template="#/$defs/{name}"
    )
    definitions = _tidy(definitions)
    own = definitions.pop(reference["$ref"].removeprefix("#/$defs/"))
    own["required"] = ["schema", *own.get("required", [])]
    head = {"$schema": _DRAFT, "$id": schema_file(kind), "title": f"edgekit.{kind}/1"}
    return {**head, **{key: own[key] for key in own if key != "title"}, "$defs": definitions}


def _tidy(node: Any) -> Any:
    """Strip the indentation of docstrings, which Python 3.13 no longer keeps."""
    if isinstance(node, dict):
        return {
            key: inspect.cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _tidy(value)
            for key, value in node.items()
        }
    return [_tidy(item) for item in node] if isinstance(node, (list, tuple)) else node


def schema_text(kind: str) -> str:
    """Return the content of one schema file."""
    return json.dumps(make_schema(kind), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write one file a kind beside this module."""
    for kind in DOCUMENTS:
        write_text(Path(__file__).parent / schema_file(kind), schema_text(kind))


if __name__ == "__main__":
    main()
