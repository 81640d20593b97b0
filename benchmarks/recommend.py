"""Which entry to ship on a target, and whether that is settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from edgekit.benchmarks.speed import Speed, speed
from edgekit.core.documents import DeployEntry, Recommendation

__all__ = ["Candidate", "Settling", "best", "recommend"]

# From most to least faithful.
_FAITHFUL = ("fp32", "fp16", "bf16", "int8")
# The command that holds the first entry against the second until their ratio is known.
Settling = Callable[[DeployEntry, DeployEntry], str]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a target, as far as the choice needs it.

    Attributes:
        precision: The variant's: "fp32", "fp16" or "int8".
        entry: With its certificate and its measurement.
    """

    precision: str
    entry: DeployEntry

    @property
    def p50_ms(self) -> float:
        """Median latency; infinite where it was refused or not measured."""
        latency = self.entry.latency
        return (latency and latency.p50_ms) or float("inf")

    @property
    def faithfulness(self) -> tuple[int, int]:
        """Smaller is more faithful: the variant's precision first, then the compute."""
        return _FAITHFUL.index(self.precision), _FAITHFUL.index(self.entry.compute)

    @property
    def order(self) -> tuple[float, tuple[int, int]]:
        """The smallest median first; the most faithful where none is known."""
        return self.p50_ms, self.faithfulness

    def __str__(self) -> str:
        return f"{self.entry.variant} in {self.entry.compute}"


def recommend(target: str, candidates: Sequence[Candidate], settling: Settling) -> Recommendation:
    """Return the fastest entry that holds, or a more faithful one that is shown to be as fast.

    Entries that PASS are preferred over UNVERIFIED ones; a FAIL is never recommended. Where the
    figures do not show for each of the others that it is slower, or as fast within the margin, the
    choice is not settled: the smallest median is offered until the commands named have settled it.

    Args:
        target: As text.
        candidates: All entries of that target.
        settling: What settles a pair.
    """
    usable = _holding(candidates)
    if not usable:
        return _none(target, candidates)
    fastest, *others = sorted(usable, key=lambda item: item.order)
    unverified = "" if fastest.entry.verdict == "PASS" else ", though nothing proves its accuracy"
    if not others:
        return _choose(fastest, f"{fastest} is the only entry that holds{unverified}.")
    speeds = [speed(item.entry, fastest.entry) for item in others]
    unsettled = _unsettled(others, speeds)
    if unsettled:
        return _provisional(
            fastest, unsettled, settling, f"{fastest} has the smallest median of the {len(usable)} "
            f"entries that hold{unverified}; that it is the fastest is not settled"
        )  # fmt: skip
    ties = [
        (item, found)
        for item, found in zip(others, speeds, strict=True)
        if found.verdict == "SAME" and item.faithfulness < fastest.faithfulness
    ]
    if not ties:
        reason = f"{fastest} is the fastest of the {len(usable)} entries that hold{unverified}"
        return _choose(fastest, f"{reason}: {_beside(others[0], speeds[0])}.")
    chosen, found = min(ties, key=lambda pair: pair[0].faithfulness)
    quantized = fastest.precision == "int8" and chosen.precision != "int8"
    advice = "do not quantize here" if quantized else f"nothing is gained by {fastest}"
    return _choose(
        chosen, f"{chosen} is as fast as {fastest} ({found.ratio} times its median): {advice}."
    )


def best(
    recommended: Sequence[Recommendation], candidates: Sequence[Candidate], settling: Settling
) -> Recommendation | None:
    """Return the fastest of the entries recommended, over all targets; None where there is none.

    Args:
        recommended: One a target.
        candidates: The entries of all targets.
        settling: What settles a pair.
    """
    choices = {(one.target, one.variant, one.compute): one for one in recommended if one.variant}
    chosen = [one for one in candidates if _key(one) in choices]
    if not chosen:
        return None
    pool = sorted(_holding(chosen), key=lambda item: item.p50_ms)
    fastest, *others = pool
    own = choices[_key(fastest)]
    if len(chosen) == 1:
        return own
    name = f"{fastest} on {fastest.entry.target}"
    if not others:
        found = _choose(fastest, f"{name} is the only choice whose accuracy is proven.")
    else:
        speeds = [speed(item.entry, fastest.entry) for item in others]
        unsettled = _unsettled(others, speeds)
        if unsettled:
            found = _provisional(
                fastest, unsettled, settling, f"{name} has the smallest median of the choices of "
                f"{len(pool)} targets; that it is the fastest is not settled"
            )  # fmt: skip
        else:
            word = "the fastest" if speeds[0].verdict == "SLOWER" else "as fast as any"
            of = f"of the choices of {len(pool)} targets"
            found = _choose(fastest, f"{name} is {word} {of}: {_beside(others[0], speeds[0])}.")
    if own.settled:
        return found
    also = f" What is the fastest on {own.target} is not settled either: {own.settle[0]}"
    return msgspec.structs.replace(
        found, reason=found.reason + also, settled=False, settle=(*found.settle, *own.settle)
    )


def _holding(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The entries that PASS, else those that are UNVERIFIED."""
    for verdict in ("PASS", "UNVERIFIED"):
        found = [item for item in candidates if item.entry.verdict == verdict]
        if found:
            return found
    return []


def _unsettled(
    others: Sequence[Candidate], speeds: Sequence[Speed]
) -> list[tuple[Candidate, Speed]]:
    """The entries of which the figures do not show that they are slower, or as fast."""
    pairs = zip(others, speeds, strict=True)
    return [(item, found) for item, found in pairs if found.verdict not in ("SLOWER", "SAME")]


def _provisional(
    fastest: Candidate,
    unsettled: Sequence[tuple[Candidate, Speed]],
    settling: Settling,
    words: str,
) -> Recommendation:
    commands = [settling(item.entry, fastest.entry) for item, _ in unsettled]
    more = f" ({len(commands) - 1} more pairs are open)" if len(commands) > 1 else ""
    return _choose(
        fastest,
        f"{words}: {unsettled[0][1].reason}{more}. Until then it is provisional; this settles it, "
        f"on a quiet machine: {commands[0]}",
        settle=tuple(commands),
    )


def _beside(item: Candidate, found: Speed) -> str:
    return f"{item} on {item.entry.target} takes {found.ratio} times as long at the median"


def _choose(chosen: Candidate, reason: str, settle: tuple[str, ...] = ()) -> Recommendation:
    target, variant, compute = _key(chosen)
    return Recommendation(
        target=target,
        variant=variant,
        compute=compute,
        reason=reason,
        settled=not settle,
        settle=settle,
    )


def _key(item: Candidate) -> tuple[str, str, str]:
    return item.entry.target, item.entry.variant, item.entry.compute


def _none(target: str, candidates: Sequence[Candidate]) -> Recommendation:
    if not candidates:
        reason = f"No entry could be made for {target}."
    else:
        rows = "; ".join(f"{item}: {_failed(item)}" for item in candidates)
        reason = f"Every entry of {target} fails ({rows})."
    return Recommendation(target=target, variant=None, compute=None, reason=reason)


def _failed(item: Candidate) -> str:
    failed = [name for name, check in item.entry.checks.items() if check.verdict == "FAIL"]
    return ", ".join(failed) or "not run"
