"""`results`: what the store holds, where it was measured, and what was written elsewhere."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.documents.document import Document, Environment

__all__ = ["EnvironmentDocument", "ExportedDocument", "ResultRun", "ResultsDocument"]


class ResultRun(msgspec.Struct, frozen=True, kw_only=True):
    """One stored measurement in a line.

    Attributes:
        run: Its number.
        created: UTC, ISO 8601.
        tool: "edgekit", or the tool whose result was imported.
        entries: How many it has.
        valid: How many of them are valid.
        machine: Model of the CPU; empty where not known.
        environment: sha256 of the machine's identity.
    """

    run: int
    created: str
    model: str
    tool: str
    targets: tuple[str, ...]
    entries: int
    valid: int
    machine: str
    environment: str


class ResultsDocument(Document, frozen=True, kw_only=True):
    """What the store holds, newest first, and what was imported or removed.

    Attributes:
        folder: Of the store.
        damage: What could not be read, each a sentence.
    """

    schema: Literal["edgekit.results/1"] = "edgekit.results/1"
    folder: str
    runs: tuple[ResultRun, ...]
    imported: tuple[ResultRun, ...] = ()
    removed: tuple[ResultRun, ...] = ()
    damage: tuple[str, ...] = ()


class EnvironmentDocument(Document, frozen=True, kw_only=True):
    """The machine behind a result, and how another one's differs.

    Attributes:
        result: As it was given.
        other: As it was given; empty without one.
        differences: Keys of the identity that differ, "key: this, the other's".
        observed: Keys of what only warns that differ, likewise.
    """

    schema: Literal["edgekit.environment/1"] = "edgekit.environment/1"
    result: str
    environment: Environment
    other: str = ""
    differences: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()


class ExportedDocument(Document, frozen=True, kw_only=True):
    """Results in another form.

    Attributes:
        format: "csv", "markdown", "google-benchmark" or "json".
        results: As they were given.
        output: The file that was written; null where the text is the answer.
        text: The whole of it.
    """

    schema: Literal["edgekit.exported/1"] = "edgekit.exported/1"
    format: str
    results: tuple[str, ...]
    output: str | None
    text: str
