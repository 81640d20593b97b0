"""Checks, verdicts and the certificate of one entry."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgekit.core.fields import Count

__all__ = ["CHECKS", "Certificate", "Check", "Limits", "Metric", "Verdict", "worst"]

Verdict = Literal["PASS", "FAIL", "UNVERIFIED"]

# The eight checks, in the order in which a report shows them.
CHECKS = (
    "finite",
    "parity",
    "metric",
    "agreement",
    "confidence_shift",
    "placement",
    "repeatable",
    "shapes",
)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The budget a certificate is judged by.

    Attributes:
        max_drop: Largest drop of the task metric, in points (hundredths).
        min_agreement: Smallest agreement with the reference, 0 to 1.
        max_shift: Largest `|median|` change of confidence, 0 to 1.
        min_parity: Smallest SQNR of the worst output of every entry, dB; None means the limit of
            the entry's precision.
        require_proven: Whether a verdict that its interval does not prove is a FAIL.
        allow_fallback: Whether nodes on another device or in another precision are allowed.
    """

    max_drop: float = 1.0
    min_agreement: float = 0.85
    max_shift: float = 0.05
    min_parity: float | None = None
    require_proven: bool = False
    allow_fallback: bool = False


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check: figure, limit, verdict.

    Attributes:
        verdict: PASS, FAIL, or UNVERIFIED where it could not be judged.
        value: The figure judged, in the unit of `limit`; None where there is none.
        limit: What it is judged against.
        proven: Whether the interval's worse end is within the limit too; None where no interval
            applies.
        reason: One sentence for whoever reads a red line.
        details: More figures by name, plain data.
    """

    verdict: Verdict
    value: float | None = None
    limit: float | None = None
    proven: bool | None = None
    reason: str = ""
    details: dict[str, Any] = {}


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """The task metric with its interval and its paired drop. Fractions of 1.

    Attributes:
        name: "top1", "mAP50-95", "mIoU".
        value: The figure.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
        drop: Reference minus this entry, on the same images.
        drop_low: Lower end of the paired interval.
        drop_high: Upper end.
        n: Images behind it.
        others: Further figures by name ("top5", "mAP50").
    """

    name: str
    value: float
    low: float
    high: float
    n: Count
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    others: dict[str, float] = {}


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one entry; as good as the worst of them."""

    target: str
    variant: str
    compute: str
    executed_precision: str
    checks: dict[str, Check]
    metric: Metric | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all checks."""
        return worst(check.verdict for check in self.checks.values())


def worst(verdicts: Any) -> Verdict:
    """Return FAIL if any is FAIL, else UNVERIFIED if any is, else PASS."""
    seen = set(verdicts)
    if "FAIL" in seen:
        return "FAIL"
    return "UNVERIFIED" if "UNVERIFIED" in seen or not seen else "PASS"
