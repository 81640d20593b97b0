"""`edgekit bench A --against B`: both in one child, taking turns until the ratio is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgekit.benchmarks.duel import DuelSide, DuelSummary
from edgekit.benchmarks.ratio import RatioRule
from edgekit.core.destination import FOLDER, Destination
from edgekit.core.documents import ComparedEntry, CompareDocument
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.files import pretty_json, write_bytes
from edgekit.core.progress import Progress
from edgekit.core.target import Target
from edgekit.jobs.measuring.cells import Cell
from edgekit.jobs.measuring.prepare import PreparedCell, Preparer
from edgekit.jobs.model.bundle import entry_name
from edgekit.jobs.opening.engines import asked_of, own_options
from edgekit.jobs.opening.places import place_of, places_of
from edgekit.jobs.process.child import Child
from edgekit.jobs.process.interrupts import Interruption, deferred_interrupt
from edgekit.jobs.process.pair import DuelFigures, Duellist, DuelWorker
from edgekit.jobs.results.deciding import compare_document, judged, side_name
from edgekit.jobs.results.raw import RawSamples
from edgekit.jobs.results.writing import write_samples
from edgekit.jobs.steps.delivery import read_for
from edgekit.jobs.steps.engine import refuse_idle_options

__all__ = ["RESULT", "run"]

RESULT = "compare.json"
# A child may take so many times the time of one entry's sampling, and so many seconds for the rest.
_TIMES, _SECONDS = 20.0, 120.0
_SCENARIO = "single-stream"
_BOUNDARY = "latency.host"
# Below it the opening is a good part of what is measured, and a single one proves little.
_FEW_OPENINGS = 3


def run(
    model: str,
    against: str,
    *,
    targets: Sequence[str] | None,
    compute: Sequence[str],
    against_target: str | None,
    against_compute: str | None,
    scenario: str,
    batch: int,
    shapes: Mapping[str, str] | None,
    threads: int | None,
    time: float,
    timeout: float | None,
    margin: float,
    confidence: float,
    allow_fallback: bool,
    provider_options: Mapping[str, str] | None,
    trust_engine: bool,
    output: Path | None,
    force: bool,
    seed: int,
    progress: Progress,
) -> CompareDocument:
    """See edgekit.api.bench_against."""
    if scenario != _SCENARIO:
        raise BadInput(
            f"--against measures in {_SCENARIO}, not in {scenario}.",
            hint="Measure both apart and compare the results: edgekit compare BASE NEW.",
        )
    if time <= 0 or batch < 1:
        raise BadInput(f"--time and --batch must be above 0, got {time:g} and {batch}.")
    kept = None
    if output is not None:
        kept = Destination(output, FOLDER, force=force, inputs=read_for(model, against))
    places = [target for target, _ in places_of(targets, model, progress)]
    base_place = None
    if against_target is not None:
        base_place = place_of(against_target, against, progress)[0]
    refuse_idle_options(provider_options, [*places, *filter(None, [base_place])])
    limit = timeout if timeout is not None else _TIMES * time + _SECONDS
    # `time` is the longest measurement of one entry, and here are two.
    rule = RatioRule(seconds=2 * time, confidence=confidence, margin=margin, half_width=margin / 3)

    def prepared(name: str, target: Target, word: str, count: int | None) -> PreparedCell:
        preparer = Preparer(
            name,
            shapes or {},
            time,
            allow_fallback,
            False,
            trust_engine,
            None,
            seed,
            progress,
            provider_options or {},
        )
        cell = Cell(str(target), word, batch=batch, threads=count)
        return preparer.prepare(cell, timeout=limit)

    asked = asked_of(model, compute, threads)

    def base_side(target: Target, word: str) -> PreparedCell:
        if own_options(against) is None:
            return prepared(against, target, against_compute or word, asked.threads)
        # Engines are measured as they were compiled, unless that is not what was asked for.
        given = against_compute or (word if compute else None)
        own = asked_of(against, () if given is None else (given,), threads)
        return prepared(against, target, own.computes[0], own.threads)

    pairs = [
        (base_side(base_place or place, word), prepared(model, place, word, asked.threads))
        for place in places
        for word in asked.computes
    ]
    progress.stage("measurement")
    entries: list[ComparedEntry] = []
    differences = _differences(pairs)

    def document() -> CompareDocument:
        return compare_document(
            against, model, entries, margin=margin, differences=differences, samples=samples
        )

    failures: list[EdgekitError] = []
    samples: str | None = None
    try:
        for number, (base, new) in enumerate(pairs):
            # Ctrl-C waits until what was measured is written; it costs the pairs still to come.
            with deferred_interrupt() as interruption:
                figures = None
                try:
                    figures = _measured(base, new, rule, limit, progress, interruption)
                except EdgekitError as error:
                    failures.append(error)
                    entries.append(_failed(base, new, rule, error))
                else:
                    entries.append(_entry(base, new, rule, figures))
                if kept is not None:
                    with kept.adding() as folder:
                        if figures is not None:
                            samples = str(kept.path / "samples")
                            cell = new.cell
                            name = f"{number}-{entry_name(cell.target, new.variant, cell.compute)}"
                            for side in ("base", "new"):
                                raw = _raw(getattr(figures.summary, side))
                                write_samples(folder / "samples" / f"{name}-{side}.npz", raw)
                        write_bytes(folder / RESULT, pretty_json(document()))
            if interruption.asked:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        where = f"in {kept.path}" if kept is not None else "nowhere: -o DIR keeps them"
        progress.note(f"Interrupted: {len(entries)} of {len(pairs)} pairs are kept {where}.")
        raise
    if len(failures) == len(pairs):
        raise failures[0]
    return document()


def _measured(
    base: PreparedCell,
    new: PreparedCell,
    rule: RatioRule,
    timeout: float,
    progress: Progress,
    interruption: Interruption,
) -> DuelFigures:
    """Let both take turns; after Ctrl-C return the figures so far, where there are any."""
    what = f"{_name(new)} against {_name(base)}"
    sides = [Duellist(one.contestant.opener, one.contestant.feeds) for one in (base, new)]
    with Child(DuelWorker, *sides, rule, what=what, progress=progress, seconds=timeout) as child:
        child.call("warm")
        if interruption.asked:
            raise KeyboardInterrupt
        # How many rounds there will be is not known; the part of the time that is used up is.
        total = round(rule.seconds)
        steps = progress.track(range(total), what, total)
        shown = 0
        while not interruption.asked and (sampled := child.call("round")) is not None:
            while shown < min(total, round(sampled)):
                next(steps, None)
                shown += 1
        for _ in steps:
            pass
        figures: DuelFigures = child.call("finish")
    return figures


def _entry(
    base: PreparedCell, new: PreparedCell, rule: RatioRule, figures: DuelFigures
) -> ComparedEntry:
    found: DuelSummary = figures.summary
    reasons = list(found.reasons)
    if figures.openings < _FEW_OPENINGS:
        reasons.append(
            f"Opening both takes so long that it was done {figures.openings} times only; what two "
            "openings of one model differ by is part of the ratios."
        )
    fell_back = [f"{_name(side)}: {side.fell_back}" for side in (base, new) if side.fell_back]
    return ComparedEntry(
        base=_name(base),
        new=_name(new),
        boundary=_BOUNDARY,
        scenario=_SCENARIO,
        confidence=rule.confidence,
        paired=True,
        base_p50_ms=found.base.latency.p50_ms,
        new_p50_ms=found.new.latency.p50_ms,
        base_mean_ms=found.base.mean_ms,
        new_mean_ms=found.new.mean_ms,
        base_n=len(found.base.samples_ns),
        new_n=len(found.new.samples_ns),
        blocks=found.rounds,
        seconds=found.seconds,
        stopped_by=found.stopped_by,
        **judged(
            found.ratios.typical if found.ratios else None,
            found.ratios.mean if found.ratios else None,
            margin=rule.margin,
            invalid=[*fell_back, *found.invalid],
            reasons=reasons,
        ),
    )


def _failed(
    base: PreparedCell, new: PreparedCell, rule: RatioRule, error: EdgekitError
) -> ComparedEntry:
    return ComparedEntry(
        base=_name(base),
        new=_name(new),
        boundary=_BOUNDARY,
        scenario=_SCENARIO,
        confidence=rule.confidence,
        paired=True,
        **judged(None, None, margin=rule.margin, invalid=[str(error)], reasons=()),
    )


def _name(side: PreparedCell) -> str:
    cell = side.cell
    return side_name(side.variant, cell.target, cell.compute, cell.batch)


def _differences(pairs: Sequence[tuple[PreparedCell, PreparedCell]]) -> tuple[str, ...]:
    """What differs beside the models: target, variant and compute, each pair of words once."""
    found = [
        f"{key}: {one}, {other}"
        for base, new in pairs
        for key, one, other in (
            ("target", base.cell.target, new.cell.target),
            ("variant", base.variant, new.variant),
            ("compute", base.cell.compute, new.cell.compute),
        )
        if one != other
    ]
    return tuple(dict.fromkeys(found))


def _raw(side: DuelSide) -> RawSamples:
    """One side's raw samples in the form of `edgekit bench`."""
    none = np.zeros(0, np.int64)
    return RawSamples(
        samples_ns=np.array(side.samples_ns, np.int64),
        blocks=np.array(side.blocks, np.int64),
        block_starts_ns=np.array(side.block_starts_ns, np.int64),
        counts=none,
        stages_ns={},
    )
