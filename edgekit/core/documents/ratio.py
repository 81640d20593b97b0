"""`compare` and `bench --against`: how much faster or slower one is than the other."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.documents.document import Document

__all__ = ["CompareDocument", "ComparedEntry", "RatioVerdict"]

RatioVerdict = Literal["FASTER", "SLOWER", "SAME", "UNCLEAR", "INVALID"]


class ComparedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One pair of entries of the same boundary and scenario.

    Both ratios are judged by the same margin, and the verdict is what both say; where they differ
    it is UNCLEAR. Each is the quotient of the two figures of its name.

    Attributes:
        base: What the new one is held against: "fp32 on openvino:cpu in fp32, batch 1".
        new: The other, in the same form.
        verdict: FASTER, SLOWER or SAME where both ratios prove it, else UNCLEAR; INVALID where a
            measurement of one of the two would be.
        ratio: Median time of the new over that of the base; above 1 the new one is slower. For
            offline, throughput of the base over the new's.
        ratio_low: Lower end of its interval at `confidence`.
        confidence: Of the intervals.
        paired: Whether the two took turns in one run.
        valid: Whether nothing speaks against the figures of either.
        typical_verdict: What `ratio` proves; null where it is INVALID or there is none.
        mean_verdict: What `mean_ratio` proves, likewise.
        mean_ratio: Mean time of the new over that of the base; null for offline, whose `ratio` is
            that, and where no mean is known.
        base_p50_ms: Median of the base; null for offline.
        base_mean_ms: Mean of the base.
        base_n: Samples of the base.
        blocks: Rounds behind the intervals; 0 where they did not take turns.
        seconds: Time that both were sampled, added up.
        stopped_by: "interval" (narrow enough) or "time"; empty for stored results.
        reasons: What makes the comparison INVALID or UNCLEAR or weakens it, each a sentence.
    """

    base: str
    new: str
    boundary: str
    scenario: str
    verdict: RatioVerdict
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    confidence: float
    paired: bool
    valid: bool = True
    typical_verdict: RatioVerdict | None = None
    mean_verdict: RatioVerdict | None = None
    mean_ratio: float | None = None
    mean_ratio_low: float | None = None
    mean_ratio_high: float | None = None
    base_p50_ms: float | None = None
    new_p50_ms: float | None = None
    base_mean_ms: float | None = None
    new_mean_ms: float | None = None
    base_throughput_per_s: float | None = None
    new_throughput_per_s: float | None = None
    base_n: int = 0
    new_n: int = 0
    blocks: int = 0
    seconds: float = 0.0
    stopped_by: str = ""
    reasons: tuple[str, ...] = ()


class CompareDocument(Document, frozen=True, kw_only=True):
    """A verdict on NEW against BASE, entry by entry.

    Attributes:
        base: As it was given.
        new: As it was given.
        verdict: Of the entry that decides: SLOWER before INVALID before UNCLEAR before SAME
            before FASTER.
        ratio: Of that entry, as the others; see ComparedEntry.
        margin: SAME means that the whole interval lies between 1 / (1 + margin) and 1 + margin.
        differences: What differs between the two besides the figures, "key: base's, new's".
        entries: Every pair.
        missing: Entries that only one side has, each a sentence.
        samples: Path of the raw samples; null where none were written.
    """

    schema: Literal["edgekit.compare/1"] = "edgekit.compare/1"
    base: str
    new: str
    verdict: RatioVerdict
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    mean_ratio: float | None = None
    mean_ratio_low: float | None = None
    mean_ratio_high: float | None = None
    differences: tuple[str, ...]
    entries: tuple[ComparedEntry, ...] = ()
    missing: tuple[str, ...] = ()
    samples: str | None = None
    margin: float = 0.03
