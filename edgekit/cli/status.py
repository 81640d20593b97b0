"""The exit statuses, and which document earns which: the one place that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.core.documents import ComparedEntry

__all__ = ["BAD_INPUT", "DONE", "FAILED", "GATES", "INTERRUPTED", "UNAVAILABLE", "status_of"]

DONE = 0
FAILED = 1
BAD_INPUT = 2
UNAVAILABLE = 3
INTERRUPTED = 130

# Options that turn a result into a failure; they are no arguments of the API's calls.
GATES = ("fail_on", "require_valid", "require_verified")

_UNDECIDED = ("UNCLEAR", "INVALID")


def status_of(document: object, gates: Mapping[str, Any]) -> int:
    """Return the exit status that a result earns.

    Args:
        document: One of edgekit.core.documents.
        gates: Which of GATES are on.

    Returns:
        DONE or FAILED; INTERRUPTED for what Ctrl-C ended and has a result all the same.
    """
    from edgekit.core.documents import (
        BenchDocument,
        CompareDocument,
        DebugParityDocument,
        DemoDocument,
        DeployDocument,
        ExportDocument,
        PackDocument,
        QuantizeDocument,
        ReportDocument,
        VerifyDocument,
    )

    failed = False
    if isinstance(document, DemoDocument) and document.interrupted:
        return INTERRUPTED
    if isinstance(
        document,
        DebugParityDocument | ExportDocument | PackDocument | QuantizeDocument | VerifyDocument,
    ):
        failed = document.verdict == "FAIL"
    if isinstance(document, DeployDocument):
        # A variant that fails is no failure of the deployment as long as another one passes.
        failed = any(choice.variant is None for choice in document.recommended)
    if isinstance(document, ReportDocument):
        # The page says so as well; of a deployment that failed it is a page like any other.
        failed = bool(document.damaged)
    if isinstance(document, DeployDocument | PackDocument | VerifyDocument):
        failed = failed or (bool(gates.get("require_verified")) and document.verdict != "PASS")
    if isinstance(document, VerifyDocument) and gates.get("require_verified"):
        # What is not repeated on arrival (metric, agreement, shift, latency) was found elsewhere.
        sets = document.instruction_set
        failed = failed or (sets is not None and not sets.same)
    if isinstance(document, BenchDocument) and "require_valid" in gates:
        # An invalid measurement is a result; an entry without any is none. Only what measures has
        # this gate: to look at a stored result is no failure.
        failed = any(entry.n == 0 for entry in document.entries)
    if isinstance(document, DeployDocument | BenchDocument) and gates.get("require_valid"):
        failed = failed or not all(entry.valid for entry in document.entries)
    if isinstance(document, CompareDocument):
        # UNCLEAR and INVALID are no failure unless told so, and neither is a slowdown that nobody
        # asked about.
        failed = _fails(document.entries, gates.get("fail_on") or {})
    return FAILED if failed else DONE


def _fails(entries: Sequence[ComparedEntry], conditions: Mapping[str, float | None]) -> bool:
    """Whether an entry meets one of the conditions of --fail-on."""
    if "unclear" in conditions and any(entry.verdict in _UNDECIDED for entry in entries):
        return True
    if "slower" not in conditions:
        return False
    limit = conditions["slower"]
    if limit is None:
        return any(entry.verdict == "SLOWER" for entry in entries)
    return any(_slower_by(entry) > limit for entry in entries if entry.verdict not in _UNDECIDED)


def _slower_by(entry: ComparedEntry) -> float:
    """The slowdown that is proven: both intervals lie above it."""
    lows = [low for low in (entry.ratio_low, entry.mean_ratio_low) if low is not None]
    return min(lows) - 1 if lows else 0.0
