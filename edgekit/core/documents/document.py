"""Base of the documents, and what several of them share."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["Document", "Environment", "ErrorDocument", "OutputParity"]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the documents."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The machine behind a figure.

    Attributes:
        identity: What makes two figures comparable: CPU or GPU model, instruction set, threads,
            power mode, governor, versions.
        observed: What only warns: load, clocks, temperature, free memory, container limits.
        sha256: Of the identity as sorted JSON; equal machines have equal ones.
    """

    identity: dict[str, Any]
    observed: dict[str, Any]
    sha256: str = ""


class ErrorDocument(Document, frozen=True, kw_only=True):
    """What went wrong, for a program that asked for --json."""

    schema: Literal["edgekit.error/1"] = "edgekit.error/1"
    kind: str
    message: str
    hint: str
    exit_status: int


class OutputParity(msgspec.Struct, frozen=True, kw_only=True):
    """One output of one graph against the reference; None where a difference is infinite."""

    role: str
    output: str
    shape: tuple[int, ...]
    max_abs: float | None
    max_rel: float | None
    cosine: float
    sqnr_db: float
    moved: int = 0
    unjudged: int = 0
