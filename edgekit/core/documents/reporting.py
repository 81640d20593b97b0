"""`report`: a page written."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Verdict
from edgekit.core.documents.document import Document

__all__ = ["ReportChoice", "ReportDocument"]


class ReportChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the page says is to be shipped of one bundle; all null where nothing is.

    Attributes:
        bundle: The bundle or result, as it was given.
        reason: Why, a sentence.
        settled: Whether it is settled that nothing else is faster; else it is provisional.
    """

    bundle: str
    target: str | None = None
    variant: str | None = None
    compute: str | None = None
    verdict: Verdict | None = None
    reason: str = ""
    settled: bool = True


class ReportDocument(Document, frozen=True, kw_only=True):
    """A report page.

    Attributes:
        output: The HTML file.
        bundles: Bundles and results that it is about, as they were given.
        recommended: One for each of them, in the same order.
        pictures: Pictures that it holds.
        damaged: What is wrong with the bundles, each a sentence; the page says so too.
    """

    schema: Literal["edgekit.report/1"] = "edgekit.report/1"
    output: str
    bundles: tuple[str, ...]
    recommended: tuple[ReportChoice, ...]
    size_bytes: int
    pictures: int = 0
    damaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
