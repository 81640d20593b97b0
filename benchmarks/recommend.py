"""Which entry to ship on a target."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgekit.core.certificate import Verdict
from edgekit.core.documents import Recommendation
from edgekit.core.measurement import Latency

__all__ = ["Candidate", "best", "recommend"]

# From most to least faithful.
_FAITHFUL = ("fp32", "fp16", "bf16", "int8")
# Medians closer than this are a tie on any machine that does something else as well.
_TIE = 1.03


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a target, as far as the choice needs it.

    Attributes:
        variant: Id.
        precision: The variant's: "fp32", "fp16" or "int8".
        compute: Float precision the engine may compute in.
        verdict: Of its certificate.
        latency: None where it was not measured.
        failed: Names of the checks that are FAIL, for the reason.
    """

    variant: str
    precision: str
    compute: str
    verdict: Verdict
    latency: Latency | None = None
    failed: tuple[str, ...] = ()

    @property
    def p50_ms(self) -> float | None:
        """Median latency; None where it was refused or not measured."""
        return None if self.latency is None else self.latency.p50_ms

    @property
    def faithfulness(self) -> tuple[int, int]:
        """Smaller is more faithful: the variant's precision first, then the compute."""
        return _FAITHFUL.index(self.precision), _FAITHFUL.index(self.compute)

    def __str__(self) -> str:
        return f"{self.variant} in {self.compute}"


def recommend(target: str, candidates: Sequence[Candidate]) -> Recommendation:
    """Return the fastest entry that holds, or a more faithful one that is as fast.

    Entries that PASS are preferred over UNVERIFIED ones; a FAIL is never recommended. As fast
    means: the medians' intervals overlap, or the median is less than 1.03 times as long.

    Args:
        target: As text.
        candidates: All entries of that target.
    """
    usable = [item for item in candidates if item.verdict == "PASS"] or [
        item for item in candidates if item.verdict == "UNVERIFIED"
    ]
    if not usable:
        return _none(target, candidates)
    measured = [(item.p50_ms, item) for item in usable if item.p50_ms is not None]
    if not measured:
        chosen = min(usable, key=lambda item: item.faithfulness)
        return _choose(target, chosen, "Nothing was measured, so the most faithful entry is taken.")
    fastest = min(measured, key=lambda pair: (pair[0], pair[1].faithfulness))[1]
    ties = [
        item
        for _, item in measured
        if item.faithfulness < fastest.faithfulness and _as_fast(item, fastest)
    ]
    if not ties:
        return _choose(target, fastest, _why_fastest(fastest, [item for _, item in measured]))
    chosen = min(ties, key=lambda item: item.faithfulness)
    quantized = fastest.precision == "int8" and chosen.precision != "int8"
    advice = "do not quantize here" if quantized else f"nothing is gained by {fastest}"
    ratio = (chosen.p50_ms or 0.0) / (fastest.p50_ms or 1.0)
    return _choose(
        target,
        chosen,
        f"{chosen} is as fast as {fastest} ({ratio:.2f} times its median, within the intervals): "
        f"{advice}.",
    )


def best(
    recommended: Sequence[Recommendation], candidates: dict[str, Sequence[Candidate]]
) -> Recommendation | None:
    """Return the fastest of the entries recommended, over all targets; None where there is none.

    Args:
        recommended: One a target.
        candidates: Target to its entries.
    """
    found = []
    for item in recommended:
        for candidate in candidates.get(item.target, ()):
            same = (candidate.variant, candidate.compute) == (item.variant, item.compute)
            if same and candidate.p50_ms is not None:
                found.append((candidate.verdict != "PASS", candidate.p50_ms, item.target, item))
    if found:
        return min(found, key=lambda row: row[:3])[3]
    return next((item for item in recommended if item.variant is not None), None)


def _as_fast(item: Candidate, fastest: Candidate) -> bool:
    one, other = item.latency, fastest.latency
    if one is None or other is None or one.p50_ms is None or other.p50_ms is None:
        return False
    if one.p50_ms < _TIE * other.p50_ms:
        return True
    if one.p50_low_ms is None or other.p50_high_ms is None:
        return False
    return one.p50_low_ms <= other.p50_high_ms


def _why_fastest(fastest: Candidate, measured: Sequence[Candidate]) -> str:
    unverified = ", though nothing proves its accuracy" if fastest.verdict != "PASS" else ""
    if len(measured) == 1:
        return f"{fastest} is the only entry that holds{unverified}."
    return f"{fastest} is the fastest of the {len(measured)} entries that hold{unverified}."


def _choose(target: str, chosen: Candidate, reason: str) -> Recommendation:
    return Recommendation(
        target=target, variant=chosen.variant, compute=chosen.compute, reason=reason
    )


def _none(target: str, candidates: Sequence[Candidate]) -> Recommendation:
    if not candidates:
        reason = f"No entry could be made for {target}."
    else:
        rows = "; ".join(f"{item}: {', '.join(item.failed) or 'not run'}" for item in candidates)
        reason = f"Every entry of {target} fails ({rows})."
    return Recommendation(target=target, variant=None, compute=None, reason=reason)
