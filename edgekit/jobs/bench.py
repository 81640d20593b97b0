"""`edgekit bench`: latency and throughput, the entries taking turns or cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgekit.benchmarks.environment import environment
from edgekit.core.destination import FOLDER, Destination
from edgekit.core.documents import BenchDocument, BenchEntry
from edgekit.core.errors import BadInput, EdgekitError, Unwritable
from edgekit.core.progress import Position, Progress
from edgekit.core.subject import works_on
from edgekit.jobs.measuring.cells import Cell, lay_out
from edgekit.jobs.measuring.entries import bench_entry, failed_entry
from edgekit.jobs.measuring.keeping import Keeper, finished_before
from edgekit.jobs.measuring.prepare import PreparedCell, Preparer
from edgekit.jobs.opening.engines import asked_of
from edgekit.jobs.opening.places import places_of
from edgekit.jobs.process.interleave import measure_alone, measure_in_turns
from edgekit.jobs.process.interrupts import deferred_interrupt
from edgekit.jobs.process.worker import EntryFigures
from edgekit.jobs.results.store import ResultStore
from edgekit.jobs.steps.delivery import read_for
from edgekit.jobs.steps.engine import refuse_idle_options

__all__ = ["run"]

# A cell may take so many times the time of its sampling, and so many seconds for all the rest:
# opening, warming up, a median of a model that is slow.
_TIMES, _SECONDS = 10.0, 120.0


@works_on
def run(
    model: str,
    *,
    targets: Sequence[str] | None,
    compute: Sequence[str],
    scenario: str,
    boundary: Sequence[str],
    sweep: Mapping[str, Sequence[int]] | None,
    batch: int,
    shapes: Mapping[str, str] | None,
    threads: int | None,
    streams: int | None,
    concurrency: int | None,
    rate: int | None,
    data: Path | None,
    time: float,
    timeout: float | None,
    allow_fallback: bool,
    provider_options: Mapping[str, str] | None,
    trust_code: bool,
    trust_engine: bool,
    output: Path | None,
    resume: bool,
    force: bool,
    store: bool,
    seed: int,
    progress: Progress,
) -> BenchDocument:
    """See edgekit.api.bench."""
    sweep = sweep or {}
    if time <= 0:
        raise BadInput(f"--time must be above 0, got {time:g}.")
    if resume and output is None:
        raise BadInput("--resume needs the folder of the measurement that it goes on with (-o).")
    if resume and force:
        raise BadInput("--resume keeps what --force replaces.", hint="Give one of them.")
    place = None
    if output is not None:
        read = read_for(model, data)
        place = Destination(output, FOLDER, force=force, keep=resume, inputs=read)
    places = [target for target, _ in places_of(targets, model, progress)]
    refuse_idle_options(provider_options, places)
    asked = asked_of(model, compute, threads)
    threads = threads if "threads" in sweep else asked.threads
    cells = lay_out(
        [str(target) for target in places],
        asked.computes,
        scenario=scenario,
        boundaries=boundary or ("latency.host",),
        sweep=sweep,
        batch=batch,
        threads=threads,
        streams=streams,
        concurrency=concurrency,
        rate=rate,
    )
    document = BenchDocument(
        model=model,
        environment=environment(threads),
        entries=(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        sweep={axis: tuple(values) for axis, values in sweep.items()},
        provider_options=dict(provider_options or {}),
    )
    keeper = Keeper(document, cells, place, ResultStore() if store else None, progress)
    preparer = Preparer(
        model,
        shapes or {},
        time,
        allow_fallback,
        trust_code,
        trust_engine,
        data,
        seed,
        progress,
        provider_options or {},
    )
    before: dict[Cell, BenchEntry] = {}
    if resume and place is not None:
        before = finished_before(place.path, document, cells, preparer.model_sha256)
    for cell, entry in before.items():
        keeper.take_over(cell, entry)
    left = [cell for cell in cells if cell not in before]
    limit = timeout if timeout is not None else _TIMES * time + _SECONDS
    try:
        if sweep:
            _one_by_one(left, preparer, keeper, limit, progress)
        elif left:
            _in_turns(left, preparer, keeper, limit, seed, progress)
    except KeyboardInterrupt:
        kept = len(keeper.document.entries)
        run = keeper.document.run
        where = f"in {output}" if output is not None else f"as result {run}" if run else "nowhere"
        progress.note(f"Interrupted: {kept} of {len(cells)} measurements are kept {where}.")
        raise
    return keeper.document


def _in_turns(
    cells: Sequence[Cell],
    preparer: Preparer,
    keeper: Keeper,
    limit: float,
    seed: int,
    progress: Progress,
) -> None:
    """Measure all cells side by side, so that drift strikes all of them alike."""
    prepared = [preparer.prepare(cell, timeout=limit) for cell in cells]
    progress.stage("measurement")
    with deferred_interrupt() as interruption:
        measured = measure_in_turns(
            [one.contestant for one in prepared],
            seed=seed,
            progress=progress,
            timeout=limit,
            interruption=interruption,
        )
        # Here too Ctrl-C waits: what was measured is not kept before it is written.
        for one, figures in zip(prepared, measured, strict=True):
            if isinstance(figures, EdgekitError):
                keeper.keep(one.cell, failed_entry(one.cell, figures, one))
            elif (entry := bench_entry(one, figures)).n or not interruption.asked:
                keeper.keep(one.cell, entry, one, figures)
    if interruption.asked:
        raise KeyboardInterrupt


def _one_by_one(
    cells: Sequence[Cell],
    preparer: Preparer,
    keeper: Keeper,
    limit: float,
    progress: Progress,
) -> None:
    """Measure cell after cell; one that crashes, hangs or cannot be made costs itself alone."""
    for number, cell in enumerate(cells, start=1):
        name = f"{cell.target} in {cell.compute}, {cell.conditions or 'batch 1'}"
        progress.stage(name, Position(number, len(cells)))
        prepared: PreparedCell | None = None
        outcome: EntryFigures | EdgekitError | None = None
        try:
            prepared = preparer.prepare(cell, timeout=limit)
        except Unwritable:
            raise
        except EdgekitError as error:
            outcome = error
        with deferred_interrupt() as interruption:
            if prepared is not None:
                outcome = measure_alone(
                    prepared.contestant, timeout=limit, progress=progress, interruption=interruption
                )
            assert outcome is not None
            if prepared is None or isinstance(outcome, EdgekitError):
                assert isinstance(outcome, EdgekitError)
                progress.note(f"{name}: {outcome}")
                keeper.keep(cell, failed_entry(cell, outcome, prepared))
            else:
                keeper.keep(cell, bench_entry(prepared, outcome), prepared, outcome)
        if interruption.asked:
            raise KeyboardInterrupt
