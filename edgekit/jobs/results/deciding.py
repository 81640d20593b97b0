"""Which of several comparisons decides, and the document that says so."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.documents import ComparedEntry, CompareDocument

__all__ = ["compare_document", "deciding", "side_name"]

_ORDER = ("SLOWER", "UNCLEAR", "SAME", "FASTER")


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
        margin=margin,
        differences=tuple(differences),
        entries=tuple(entries),
        missing=tuple(missing),
        samples=samples,
    )


def side_name(variant: str, target: str, compute: str, batch: int) -> str:
    """Return "fp32 on openvino:cpu in fp32, batch 1"."""
    return f"{variant} on {target} in {compute}, batch {batch}"


def deciding(entries: Sequence[ComparedEntry]) -> ComparedEntry:
    """Return the entry that decides: SLOWER before UNCLEAR before SAME before FASTER.

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
