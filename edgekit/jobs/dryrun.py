"""`edgekit deploy --dry-run`: which stages a deployment goes through, how large, how long."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from edgekit.core.documents import DeployDocument, PlanDocument, PlannedStage
from edgekit.core.progress import Progress
from edgekit.core.source import Source
from edgekit.core.stage import StageRecord
from edgekit.export.builtin.catalogue import builtin
from edgekit.jobs.deploy import (
    PreparedDeploy,
    basis_of,
    course_of,
    parity_feeds,
    prepare,
    prove,
    variants_of,
)
from edgekit.jobs.deploy import run as deploy
from edgekit.jobs.opening.places import deploy_targets
from edgekit.jobs.steps.cache import records
from edgekit.jobs.steps.course import WARM_UP_SECONDS, last_time
from edgekit.jobs.steps.graphs import exported
from edgekit.jobs.steps.proofs import compiled, examined, measured
from edgekit.jobs.steps.request import DeployRequest
from edgekit.jobs.steps.reshape import stream_record
from edgekit.jobs.steps.step import Missing, Stages

__all__ = ["deploy_or_plan", "run"]

T = TypeVar("T")

# Without any earlier run: seconds of a stage of a small model on a desktop CPU. Only to be better
# than silence; the plan says that it is a guess.
_GUESSES = {
    "export": 15.0,
    "reference": 10.0,
    "calibration": 30.0,
    "variant": 3.0,
    "engine": 2.0,
    "certificate": 10.0,
}
# Size of a variant's weights over those of fp32.
_SHARES = {"fp32": 1.0, "fp16": 0.5, "int8": 0.26}


def deploy_or_plan(
    *, dry_run: bool, progress: Progress, **options: Any
) -> DeployDocument | PlanDocument:
    """See edgekit.api.deploy.

    Args:
        dry_run: Only say what would be done.
        progress: Receives what is being done.
        options: Of DeployRequest; None means its default.
    """
    given = {name: value for name, value in options.items() if value is not None}
    request = DeployRequest(**given)
    return run(request, progress) if dry_run else deploy(request, progress)


def run(request: DeployRequest, progress: Progress) -> PlanDocument:
    """Say what a deployment would do; writes nothing."""
    request = replace(request, targets=deploy_targets(request.targets, progress))
    prepared = prepare(request)
    stages = Stages(progress, dry=True)
    _walk(stages, request, prepared)
    cached = {(one.stage, one.subject): one for one in stages.done}
    history = [record for _, record in records() if record is not None]
    weights = _weights(prepared.source)
    planned = []
    for stage, subject in course_of(request, prepared).stages:
        found = cached.get((stage, subject))
        if found is not None:
            planned.append(
                PlannedStage(
                    stage=stage,
                    subject=subject,
                    cached=True,
                    seconds=found.seconds,
                    size_bytes=found.size_bytes,
                    basis=found.reason,
                )
            )
        else:
            planned.append(_estimate(stage, subject, history, weights, request, prepared))
    missing = [one for one in planned if not one.cached]
    return PlanDocument(
        source=request.source,
        bundle=str(request.output),
        entries=tuple(str(plan) for plan in prepared.plans),
        stages=tuple(planned),
        seconds=round(sum(one.seconds for one in missing), 1),
        size_bytes=sum(one.size_bytes for one in missing),
        cache_bytes=sum(record.size_bytes for record in history),
        stream=stream_record(prepared.fit),
        notes=tuple(prepared.notes),
    )


def _walk(stages: Stages, request: DeployRequest, prepared: PreparedDeploy) -> None:
    """Look at every stage whose inputs are known; `stages` keeps those that are in the cache."""
    model = _present(
        partial(
            exported,
            stages,
            request.source_request,
            prepared.card,
            prepared.data,
            prepared.fit,
            prepared.card_folder,
        )
    )
    if model is None:
        return
    known = _present(partial(prove, stages, request, prepared, model))
    variants = _present(partial(variants_of, stages, request, prepared, model))
    if variants is None:
        return
    opened = {}
    for plan in prepared.plans:
        graphs = variants[0].get(plan.variant)
        if graphs is None:
            continue
        engines = _present(partial(compiled, stages, prepared.source, plan, graphs, request))
        if engines is None:
            continue
        opened[str(plan)] = engines
        if known is None:
            continue
        basis = basis_of(request, prepared, model, known)
        _present(
            partial(
                examined,
                stages,
                prepared.source,
                plan,
                variants[0],
                engines,
                basis,
                known.key,
                request.limits.min_parity,
            )
        )
    feeds = {role: several[0] for role, several in parity_feeds(request, prepared, model).items()}
    _present(
        partial(
            measured,
            stages,
            prepared.source,
            opened,
            model.final_card,
            feeds,
            request,
        )
    )


def _present(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except Missing:
        return None


def _estimate(
    stage: str,
    subject: str,
    history: Sequence[StageRecord],
    weights: int,
    request: DeployRequest,
    prepared: PreparedDeploy,
) -> PlannedStage:
    """Guess time and size: as the last time for this subject, else as others, else by rule."""
    size = _size(stage, subject, weights)
    if stage == "measurement":
        # Its time is asked for, not found out.
        seconds = len(prepared.plans) * (request.time + WARM_UP_SECONDS)
        basis = f"{len(prepared.plans)} entries of {request.time:g} s at most, and their warm-up."
        return _planned(stage, subject, seconds, size, basis)
    alike = [record for record in history if record.stage == stage]
    last = last_time(stage, subject, history)
    if last is not None:
        basis = f"As the last time, {last.created}."
        return _planned(stage, subject, last.seconds, last.size_bytes, basis)
    if alike:
        seconds = statistics.median(record.seconds for record in alike)
        return _planned(stage, subject, seconds, size, f"Median of {len(alike)} other models'.")
    return _planned(stage, subject, _GUESSES[stage], size, "A guess: there was none before.")


def _planned(stage: str, subject: str, seconds: float, size: int, basis: str) -> PlannedStage:
    return PlannedStage(
        stage=stage, subject=subject, cached=False, seconds=seconds, size_bytes=size, basis=basis
    )


def _size(stage: str, subject: str, weights: int) -> int:
    """Size by the weights: graphs and engines hold them, the other stages hold little."""
    if stage == "export":
        return weights
    if stage in ("variant", "engine"):
        share = next((part for word, part in _SHARES.items() if f", {word}" in subject), 1.0)
        return round(weights * share)
    return 0


def _weights(source: Source) -> int:
    path = builtin(source.location).weights if source.kind == "edgekit" else source.path
    if path is None:
        return 0
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
