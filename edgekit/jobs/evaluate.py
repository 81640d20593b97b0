"""`edgekit eval`: the task metric with its interval, on the engine that will run the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.benchmarks.metrics.registry import score
from edgekit.core.documents import EvalDocument
from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions
from edgekit.core.subject import works_on
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.opening.engines import asked_of, engines_of
from edgekit.jobs.opening.places import place_of
from edgekit.jobs.process.child import Child
from edgekit.jobs.process.feeds import Data, open_data, unscored
from edgekit.jobs.process.worker import Evaluation, Worker
from edgekit.jobs.steps.engine import opener, options_for, refuse_idle_options
from edgekit.tasks.misfit import refuse_misfit
from edgekit.tasks.samples import Sample

__all__ = ["run"]


@works_on
def run(
    model: str,
    *,
    data: Path,
    target: str | None,
    compute: str | None,
    card: Path | None,
    options: Mapping[str, str] | None,
    calibration: Path | None,
    threads: int | None,
    trust_code: bool,
    trust_engine: bool,
    allow_fallback: bool,
    provider_options: Mapping[str, str] | None,
    seed: int,
    progress: Progress,
) -> EvalDocument:
    """See edgekit.api.evaluate."""
    where, probe = place_of(target, model, progress)
    refuse_idle_options(provider_options, [where])
    own = options_for(where, provider_options)
    resolved = resolve_model(model, card=card, options=options, probe=probe, engines=True)
    images = open_data(data, resolved.card, calibration=calibration, seed=seed)
    samples, split = _scored(images, resolved.variant.precision)
    why = unscored(images)
    if why:
        raise BadInput(
            f"There is nothing to score on: {why}.",
            hint="See docs/data.md for the forms of a data set.",
        )
    asked = asked_of(model, () if compute is None else (compute,), threads)
    how = CompileOptions(
        compute=asked.computes[0],
        threads=asked.threads,
        allow_fallback=allow_fallback,
        provider_options=own,
    )
    refuse_misfit(resolved.card, model, folder=resolved.folder, trust_code=trust_code)
    engines = engines_of(resolved, where, probe, how, trust_engine=trust_engine, progress=progress)
    progress.stage("evaluate")
    with Child(
        Worker,
        opener(engines),
        resolved.card,
        resolved.folder,
        trust_code,
        what=f"{resolved.name} on {where}",
        progress=progress,
    ) as child:
        evaluation: Evaluation = child.call("evaluate", samples)
    metric = score(
        resolved.card.task,
        evaluation.results,
        evaluation.truths,
        None,
        labels=len(resolved.card.labels),
        seed=seed,
    )
    if metric is None:
        raise BadInput(f"There is nothing to score on: no sample of {data} has a truth.")
    return EvalDocument(
        model=model,
        target=str(where),
        variant=resolved.variant.id,
        compute=how.compute,
        metric=metric,
        n=metric.n,
        split=split,
        skipped=evaluation.skipped,
    )


def _scored(data: Data, precision: str) -> tuple[tuple[Sample, ...], str]:
    """The images that score, and how they were chosen.

    Only an int8 variant was calibrated, perhaps on a part of these very images: the same draw keeps
    that part out. A float variant scores on all of them.
    """
    drawn = data.dataset.split.startswith("seeded")
    if drawn and precision != "int8":
        return tuple(one for one in data.dataset.samples if one.answer is not None), "all"
    return data.samples, data.dataset.split
