"""`edgekit bench A --against B`: both in one child, taking turns until the ratio is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgekit.benchmarks.duel import DuelSide, DuelSummary
from edgekit.benchmarks.environment import environment
from edgekit.benchmarks.ratio import RatioRule, judge
from edgekit.core.documents import ComparedEntry, CompareDocument
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.files import atomic_path, write_bytes
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions
from edgekit.jobs.results.deciding import deciding
from edgekit.jobs.running.child import Child
from edgekit.jobs.running.duel import DuelFigures, Duellist, DuelWorker
from edgekit.jobs.running.engines import compile_graphs, opener, usable
from edgekit.jobs.running.inputs import sized_feeds
from edgekit.jobs.running.models import resolve_model

__all__ = ["run"]

_SCENARIO = "single-stream"
_BOUNDARY = "latency.host"
# Below it the opening is a good part of what is measured, and a single one proves little.
_FEW_OPENINGS = 3


@dataclass(frozen=True)
class _Side:
    """One of the two on one target."""

    duellist: Duellist
    target: str
    variant: str
    compute: str

    def __str__(self) -> str:
        return f"{self.variant} on {self.target} in {self.compute}"


def run(
    model: str,
    against: str,
    *,
    targets: Sequence[str],
    compute: Sequence[str],
    against_target: str | None,
    against_compute: str | None,
    scenario: str,
    batch: int,
    shapes: Mapping[str, str] | None,
    threads: int | None,
    time: float,
    margin: float,
    confidence: float,
    allow_fallback: bool,
    output: Path | None,
    seed: int,
    progress: Progress,
) -> CompareDocument:
    """See edgekit.api.bench_against."""
    if scenario != _SCENARIO:
        raise BadInput(
            f"--against measures in {_SCENARIO}, not in {scenario}.",
            hint="Measure both apart and compare the results: edgekit compare BASE NEW.",
        )
    if not targets:
        raise BadInput("No target was given.", hint="For instance --target openvino:cpu.")
    if time <= 0 or batch < 1:
        raise BadInput(f"--time and --batch must be above 0, got {time:g} and {batch}.")
    # `time` is the longest measurement of one entry, and here are two.
    rule = RatioRule(
        seconds=2 * time, confidence=confidence, margin=margin, half_width=margin / 3
    )
    pairs: list[tuple[_Side, _Side]] = []
    for text in dict.fromkeys(targets):
        for word in compute or ("fp32",):
            sides = []
            for given, where, how in (
                (against, against_target or text, against_compute or word),
                (model, text, word),
            ):
                target, probe = usable(where)
                resolved = resolve_model(given, probe=probe)
                options = CompileOptions(
                    compute=how, threads=threads, allow_fallback=allow_fallback
                )
                engines = compile_graphs(
                    resolved.variant.paths, target, probe, options, progress=progress
                )
                feeds = sized_feeds(resolved, batch, shapes or {}, seed)
                duellist = Duellist(opener(engines), feeds)
                sides.append(_Side(duellist, str(target), resolved.variant.id, how))
            pairs.append((sides[0], sides[1]))
    progress.stage("measurement")
    entries: list[ComparedEntry] = []
    failures: list[EdgekitError] = []
    samples: str | None = None
    for number, (base, new) in enumerate(pairs):
        try:
            figures = _measured(base, new, rule, progress)
        except EdgekitError as error:
            failures.append(error)
            entries.append(_failed(base, new, batch, rule, error))
            continue
        entries.append(_entry(base, new, batch, rule, figures))
        if output is not None:
            name = f"{number}-{new.variant}-{new.target}-{new.compute}".replace(":", "-")
            samples = str(output / "samples")
            _write_samples(output / "samples" / f"{name}-base.npz", figures.summary.base)
            _write_samples(output / "samples" / f"{name}-new.npz", figures.summary.new)
    if len(failures) == len(pairs):
        raise failures[0]
    decides = deciding(entries)
    document = CompareDocument(
        base=against,
        new=model,
        verdict=decides.verdict,
        ratio=decides.ratio,
        ratio_low=decides.ratio_low,
        ratio_high=decides.ratio_high,
        differences=_differences(pairs),
        entries=tuple(entries),
        samples=samples,
        environment=environment(threads),
    )
    if output is not None:
        content = msgspec.json.format(msgspec.json.encode(document))
        write_bytes(output / "compare.json", content + b"\n")
    return document


def _measured(base: _Side, new: _Side, rule: RatioRule, progress: Progress) -> DuelFigures:
    what = f"{new} against {base}"
    with Child(
        DuelWorker, base.duellist, new.duellist, rule, what=what, progress=progress
    ) as child:
        child.call("warm")
        # How many rounds there will be is not known, so the bar has no end.
        with closing(progress.track(iter(int, 1), what)) as steps:
            while not child.call("round"):
                next(steps)
        figures: DuelFigures = child.call("finish")
    return figures


def _entry(
    base: _Side, new: _Side, batch: int, rule: RatioRule, figures: DuelFigures
) -> ComparedEntry:
    found: DuelSummary = figures.summary
    interval = found.interval
    low = interval.low if interval is not None else None
    high = interval.high if interval is not None else None
    reasons = list(found.reasons)
    if figures.openings < _FEW_OPENINGS:
        reasons.append(
            f"Opening both takes so long that it was done {figures.openings} times only; what two "
            "openings of one model differ by is part of the ratio."
        )
    return ComparedEntry(
        base=f"{base}, batch {batch}",
        new=f"{new}, batch {batch}",
        boundary=_BOUNDARY,
        scenario=_SCENARIO,
        verdict=judge(low, high, rule.margin),
        ratio=interval.ratio if interval is not None else None,
        ratio_low=low,
        ratio_high=high,
        confidence=rule.confidence,
        paired=True,
        base_p50_ms=_milliseconds(found.base),
        new_p50_ms=_milliseconds(found.new),
        base_n=len(found.base.samples_ns),
        new_n=len(found.new.samples_ns),
        blocks=found.rounds,
        seconds=found.seconds,
        stopped_by=found.stopped_by,
        reasons=tuple(reasons),
    )


def _failed(
    base: _Side, new: _Side, batch: int, rule: RatioRule, error: EdgekitError
) -> ComparedEntry:
    return ComparedEntry(
        base=f"{base}, batch {batch}",
        new=f"{new}, batch {batch}",
        boundary=_BOUNDARY,
        scenario=_SCENARIO,
        verdict="UNCLEAR",
        ratio=None,
        ratio_low=None,
        ratio_high=None,
        confidence=rule.confidence,
        paired=True,
        reasons=(str(error),),
    )


def _milliseconds(side: DuelSide) -> float | None:
    return None if side.p50_ns is None else side.p50_ns / 1e6


def _differences(pairs: Sequence[tuple[_Side, _Side]]) -> tuple[str, ...]:
    """What differs beside the models: target, variant and compute, each pair of words once."""
    found = [
        f"{key}: {getattr(base, key)}, {getattr(new, key)}"
        for base, new in pairs
        for key in ("target", "variant", "compute")
        if getattr(base, key) != getattr(new, key)
    ]
    return tuple(dict.fromkeys(found))


def _write_samples(path: Path, side: DuelSide) -> None:
    """Write one side's raw samples in the form of `edgekit bench`."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            samples_ns=np.array(side.samples_ns, np.int64),
            blocks=np.array(side.blocks, np.int64),
            block_starts_ns=np.array(side.block_starts_ns, np.int64),
        )
