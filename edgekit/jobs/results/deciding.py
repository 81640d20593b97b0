"""Which of several comparisons decides, and the document that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.benchmarks.ratio import RatioInterval, judge_both
from edgekit.core.documents import ComparedEntry, CompareDocument

__all__ = ["compare_document", "deciding", "judged", "side_name"]

_ORDER = ("SLOWER", "INVALID", "UNCLEAR", "SAME", "FASTER")


def compare_document(
    base: str,
    new: str,
    entries: Sequence[ComparedEntry],
    *,
    margin: float,
    differences: Sequence[str],
    missing: Sequence[str] = (),
    samples: str | None = None,
) -> CompareDocument:
    """Return the document of several comparisons; see its attributes."""
    decides = deciding(entries)
    return CompareDocument(
        base=base,
        new=new,
        verdict=decides.verdict,
        ratio=decides.ratio,
        ratio_low=decides.ratio_low,
        ratio_high=decides.ratio_high,
        mean_ratio=decides.mean_ratio,
        mean_ratio_low=decides.mean_ratio_low,
        mean_ratio_high=decides.mean_ratio_high,
        margin=margin,
        differences=tuple(differences),
        entries=tuple(entries),
        missing=tuple(missing),
        samples=samples,
    )


def judged(
    typical: RatioInterval | None,
    mean: RatioInterval | None,
    *,
    margin: float,
    invalid: Sequence[str],
    reasons: Sequence[str],
) -> dict[str, Any]:
    """Return the ratios, the verdicts and the reasons of an entry, by their names there.

    Args:
        typical: Ratio of the medians, or the only one there is; None where there is none.
        mean: Ratio of the means.
        margin: SAME means that the whole interval lies within this share of 1.
        invalid: What makes a figure of either INVALID, each a sentence: nothing is proven then.
        reasons: What weakens the comparison besides.
    """
    found = judge_both(typical, mean, margin)
    valid = not invalid
    return {
        "valid": valid,
        "verdict": found.verdict if valid else "INVALID",
        "typical_verdict": found.typical if valid else None,
        "mean_verdict": found.mean if valid else None,
        **_ends("ratio", typical),
        **_ends("mean_ratio", mean),
        "reasons": (*invalid, *([found.reason] if valid and found.reason else []), *reasons),
    }


def _ends(name: str, found: RatioInterval | None) -> dict[str, float | None]:
    return {
        name: None if found is None else found.ratio,
        f"{name}_low": None if found is None else found.low,
        f"{name}_high": None if found is None else found.high,
    }


def side_name(variant: str, target: str, compute: str, batch: int) -> str:
    """Return "fp32 on openvino:cpu in fp32, batch 1"."""
    return f"{variant} on {target} in {compute}, batch {batch}"


def deciding(entries: Sequence[ComparedEntry]) -> ComparedEntry:
    """Return the entry that decides: SLOWER, INVALID, UNCLEAR, SAME, FASTER, in this order.

    Among equal verdicts the one whose new side does worst, by its ratio.

    Args:
        entries: One at least.
    """
    return min(
        entries,
        key=lambda entry: (
            _ORDER.index(entry.verdict),
            -(entry.ratio if entry.ratio is not None else float("inf")),
        ),
    )
