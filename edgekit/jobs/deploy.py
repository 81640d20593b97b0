"""`edgekit deploy`: a trained model in, a certified bundle out.

Every stage is keyed by the content of what goes in, its options and its tools, and kept in the
cache: what was made is never made twice, and a deployment that was killed goes on where it was.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgekit.benchmarks.environment import environment
from edgekit.benchmarks.recommend import Candidate, best, recommend
from edgekit.benchmarks.report.template import load_libraries
from edgekit.core.card import ModelCard
from edgekit.core.certificate import Verdict, worst
from edgekit.core.destination import FOLDER, Destination
from edgekit.core.documents import DeployDocument, DeployEntry, Recommendation
from edgekit.core.errors import BadInput, MissingLibrary
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.source import Source
from edgekit.core.subject import working_on
from edgekit.core.variant import Variant
from edgekit.jobs.cache import keep_within_limit
from edgekit.jobs.deploying.bundling import BundleContents, Made, deploy_entry, write_bundle
from edgekit.jobs.model.signing import read_private_key, sign_bundle
from edgekit.jobs.opening.places import deploy_targets
from edgekit.jobs.process.feeds import (
    Data,
    generated_feeds,
    golden_feeds,
    missing_inputs,
    open_data,
    unscored,
)
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.bake import refuse_unbakeable
from edgekit.jobs.steps.cast import cast_feeds
from edgekit.jobs.steps.course import Course
from edgekit.jobs.steps.delivery import read_for
from edgekit.jobs.steps.engine import CachedEngine, refuse_idle_options
from edgekit.jobs.steps.entries import Plan, plan_entries, variants_needed
from edgekit.jobs.steps.examine import Basis, judge_entry
from edgekit.jobs.steps.export import source_card
from edgekit.jobs.steps.failures import sentence_of
from edgekit.jobs.steps.graphs import ExportedModel, calibrated, exported, variant
from edgekit.jobs.steps.proofs import ReferenceAnswers, compiled, examined, measured, reference
from edgekit.jobs.steps.quantize import growing_state, no_int8
from edgekit.jobs.steps.request import DeployRequest
from edgekit.jobs.steps.reshape import StreamFit, stream_fit, stream_record
from edgekit.jobs.steps.step import Stages
from edgekit.tasks.baked import parse_bake
from edgekit.tasks.misfit import refuse_misfit
from edgekit.tasks.registry import task_for
from edgekit.tasks.stream_shape import card_at

__all__ = [
    "PreparedDeploy",
    "basis_of",
    "course_of",
    "parity_feeds",
    "prepare",
    "prove",
    "run",
    "settling_command",
    "variants_of",
]

# Inputs that parity is judged on where there are no images to score.
_PARITY_CASES = 8


@dataclass(frozen=True)
class PreparedDeploy:
    """A request that can be carried out: everything that can be refused was refused.

    Attributes:
        output: Where the bundle goes.
        plans: The entries to make.
        card: The user's, before the graphs fill it in.
        card_folder: Where a user's decoder is looked for.
        data: None where none was given.
        fit: The network input for the stream; None where none was named.
        notes: Sentences worth telling.
        reported: Whether there is to be a report page; its libraries are an extra.
    """

    source: Source
    output: Destination
    plans: list[Plan]
    card: ModelCard
    card_folder: Path
    data: Data | None
    notes: list[str]
    fit: StreamFit | None = None
    reported: bool = True


def run(request: DeployRequest, progress: Progress) -> DeployDocument:
    """See edgekit.api.deploy."""
    with working_on(request.source):
        return _run(request, progress)


def _run(request: DeployRequest, progress: Progress) -> DeployDocument:
    Source.parse(request.source, request.arch)  # before a target is chosen for what is none
    request = replace(request, targets=deploy_targets(request.targets, progress))
    prepared = prepare(request)
    try:
        return _deploy(request, prepared, Stages(progress, course_of(request, prepared)))
    except KeyboardInterrupt:
        progress.note("What is finished stays in the cache; the same command goes on from there.")
        raise


def prepare(request: DeployRequest) -> PreparedDeploy:
    """Refuse everything that can be refused before the first minute of work."""
    source = request.parsed
    output = Destination(
        request.output,
        FOLDER,
        force=request.force,
        inputs=read_for(
            request.source,
            request.arch,
            *(request.card, request.data, request.calibration, request.golden, request.sign),
        ),
    )
    targets = [usable(target) for target in dict.fromkeys(request.targets)]
    refuse_idle_options(request.provider_options, [target for target, _ in targets])
    plans = plan_entries(targets, request.precision, request.compute)
    card, folder = source_card(
        source,
        request.card,
        request.options,
        inputs=request.inputs,
        trust_code=request.trust_code,
        trust_pickle=request.trust_pickle,
    )
    fit = stream_fit(source, card, request.stream) if request.stream is not None else None
    if fit is not None and fit.exported:
        card = card_at(card, fit.size)
    data = None
    if request.data is not None or request.calibration is not None:
        data = open_data(request.data, card, calibration=request.calibration, seed=request.seed)
        output.reads(sample.path for sample in data.dataset.samples)
        task_for(card, folder=folder, trust_code=request.trust_code)
    refuse_unbakeable(card, parse_bake(request.bake), output.path / "main.onnx")
    if request.sign is not None:
        read_private_key(request.sign)
    notes: list[str] = [] if fit is None else [str(fit)]
    missing = missing_inputs(data, "calib")
    if missing is not None:
        plans = _without_int8(plans, request.precision, notes, *missing)
    reported = _reported(request, data, notes)
    return PreparedDeploy(source, output, plans, card, folder, data, notes, fit, reported)


def _reported(request: DeployRequest, data: Data | None, notes: list[str]) -> bool:
    """Whether the page can be written; a bundle is whole without it, unless it was asked for."""
    missing = missing_inputs(data, "eval") if request.report_images else None
    if missing is not None:
        raise BadInput(
            f"--report-images has no image that scores to show: {missing[0]}.", hint=missing[1]
        )
    try:
        load_libraries()
    except MissingLibrary as error:
        if request.report_images:
            raise
        notes.append(f"report.html was left out: {error}")
        return False
    if request.report_images:
        notes.append("report.html shows pictures of the data: --report-images asked for it.")
    return True


def course_of(request: DeployRequest, prepared: PreparedDeploy) -> Course:
    """Lay out the stages that a request goes through."""
    return Course.of(
        prepared.source.name, prepared.plans, baked=bool(request.bake), seconds=request.time
    )


def _deploy(request: DeployRequest, prepared: PreparedDeploy, stages: Stages) -> DeployDocument:
    notes = prepared.notes
    model = exported(
        stages,
        request.source_request,
        prepared.card,
        prepared.data,
        prepared.fit,
        prepared.card_folder,
    )
    notes += model.notes
    if prepared.data is not None:
        refuse_misfit(
            model.card,
            prepared.source.text,
            folder=prepared.card_folder,
            trust_code=request.trust_code,
        )
    known = prove(stages, request, prepared, model)
    variants, decisions, failed = variants_of(stages, request, prepared, model)
    basis = basis_of(request, prepared, model, known)
    growing = growing_state(decisions)
    made = [
        Made(plan, {}, error=failed[plan.variant])
        if plan.variant in failed
        else _entry(stages, request, prepared, plan, variants, basis, known, growing)
        for plan in prepared.plans
        if plan.variant in variants.keys() | failed.keys()
    ]
    feeds = {role: several[0] for role, several in parity_feeds(request, prepared, model).items()}
    opened = {str(one.plan): one.engines for one in made if not one.error}
    try:
        figures, measured_in, measured_at = measured(
            stages, prepared.source, opened, model.final_card, feeds, request
        )
    except Exception as error:
        why = sentence_of(error)
        figures, measured_at = dict.fromkeys(opened, why), ""
        measured_in = environment(request.threads)
    if measured_at and stages.done[-1].hit:
        notes.append(
            f"The latencies are from the cache: measured {measured_at} in an equal environment. "
            "--remeasure takes them again."
        )
    for name, reason in figures.items():
        if isinstance(reason, str):
            stages.progress.note(f"{name} was not measured: {reason}")
    entries = tuple(
        deploy_entry(one, figures.get(str(one.plan)), variants.get(one.plan.variant), measured_at)
        for one in made
    )
    candidates = [
        Candidate(precision=one.plan.precision, entry=entry)
        for one, entry in zip(made, entries, strict=True)
    ]
    settling = partial(settling_command, request)
    recommended = tuple(
        recommend(target, [one for one in candidates if one.entry.target == target], settling)
        # A target whose every variant was left out has nothing to ship.
        for target in dict.fromkeys(str(plan.target) for plan in prepared.plans)
    )
    document = DeployDocument(
        bundle=str(request.output),
        source=request.source,
        recommended=recommended,
        best=best(recommended, candidates, settling),
        verdict=_verdict(recommended, entries),
        entries=entries,
        reference=known.name,
        reference_metric=known.truths.metric,
        environment=measured_in,
        stream=stream_record(prepared.fit),
        notes=tuple(notes),
        stages=tuple(stages.done),
    )
    contents = BundleContents(
        request=request,
        source=prepared.source,
        card=model.final_card,
        card_folder=prepared.card_folder,
        variants=variants,
        decisions=decisions,
        truths=known.truths,
        made=made,
        figures=figures,
        document=document,
        reported=prepared.reported,
    )
    with prepared.output.writing() as folder:
        document = write_bundle(folder, contents)
        if request.sign is not None:
            sign_bundle(folder, request.sign)
    keep_within_limit(stages.progress)
    return document


def prove(
    stages: Stages, request: DeployRequest, prepared: PreparedDeploy, model: ExportedModel
) -> ReferenceAnswers:
    """Run the reference on the images that score, or on generated inputs, and on golden inputs."""
    known = reference(
        stages,
        request,
        model,
        prepared.card_folder,
        prepared.data,
        parity_feeds(request, prepared, model),
        golden_feeds(model.final_card, request.golden, request.seed),
    )
    evaluation = known.truths.evaluation
    skipped = evaluation.skipped if evaluation is not None else ()
    prepared.notes.extend(f"Skipped an unreadable image: {name}." for name in skipped)
    return known


def basis_of(
    request: DeployRequest, prepared: PreparedDeploy, model: ExportedModel, known: ReferenceAnswers
) -> Basis:
    """What every entry is compared with."""
    return Basis(
        model.final_card,
        prepared.card_folder,
        known.truths,
        model.shapes,
        request.trust_code,
        request.seed,
    )


def parity_feeds(
    request: DeployRequest, prepared: PreparedDeploy, model: ExportedModel
) -> Mapping[str, Sequence[Feeds]]:
    """Inputs by role for parity without images that score, and for measuring: the first of each."""
    feeds: Mapping[str, Sequence[Feeds]] = {}
    if prepared.data is not None:
        feeds = Data(prepared.data.dataset, model.final_card).feeds(_PARITY_CASES)
    return feeds or generated_feeds(model.final_card, request.seed)


def variants_of(
    stages: Stages, request: DeployRequest, prepared: PreparedDeploy, model: ExportedModel
) -> tuple[dict[str, Variant], dict[str, Path], dict[str, str]]:
    """Write every variant that a plan uses; one calibration serves all dialects.

    Returns:
        Variants by id, without those that the model refuses (nothing in it can be quantized); the
        decisions' files by role; and why a variant failed, by its id.
    """
    failed: dict[str, str] = {}
    decisions: dict[str, Path] = {}
    wanted = variants_needed(prepared.plans)
    if any(plan.precision == "int8" for plan in prepared.plans):
        assert prepared.data is not None, "without data there is no int8"
        data = Data(prepared.data.dataset, model.card)
        try:
            found = calibrated(
                stages, prepared.source.name, model.variant, model.card, data, request.seed
            )
            decisions = found.decisions
            prepared.notes.extend(found.notes)
        except BadInput as error:
            if any(word.startswith("int8") for word in request.precision):
                raise no_int8(request.source, error) from error
            prepared.notes.append(f"int8 was left out: {error.message}")
            wanted = [name for name in wanted if not name.startswith("int8")]
        except Exception as error:
            names = [name for name in wanted if name.startswith("int8")]
            failed |= dict.fromkeys(names, sentence_of(error))
            wanted = [name for name in wanted if name not in failed]
    bake = parse_bake(request.bake)
    feeds: Mapping[str, Sequence[Feeds]] = {}
    if "fp16" in wanted:
        own = None if prepared.data is None else Data(prepared.data.dataset, model.card)
        feeds, said = cast_feeds(model.card, own, request.seed)
        prepared.notes.extend(said)
    variants: dict[str, Variant] = {}
    for name in wanted:
        try:
            variants[name], notes = variant(
                stages,
                prepared.source.name,
                name,
                model.variant,
                model.card,
                decisions,
                bake,
                feeds,
            )
        except Exception as error:
            if name == "fp32":  # everything else is compared with it
                raise
            if isinstance(error, BadInput):
                prepared.notes.append(f"{name} was left out: {error}")
            else:
                failed[name] = sentence_of(error)
            continue
        prepared.notes.extend(notes)
    return variants, decisions, failed


def _entry(
    stages: Stages,
    request: DeployRequest,
    prepared: PreparedDeploy,
    plan: Plan,
    variants: Mapping[str, Variant],
    basis: Basis,
    known: ReferenceAnswers,
    growing: Sequence[str],
) -> Made:
    """Compile and certify one entry; what fails ends this entry only."""
    engines: dict[str, CachedEngine] = {}
    try:
        engines = compiled(stages, prepared.source, plan, variants[plan.variant], request)
        found = examined(
            stages,
            prepared.source,
            plan,
            variants,
            engines,
            basis,
            known.key,
            request.limits.min_parity,
        )
        certificate = judge_entry(
            plan,
            found,
            basis,
            request.limits,
            unscored=unscored(prepared.data),
            growing=growing,
        )
    except Exception as error:
        return Made(plan, engines, error=sentence_of(error))
    return Made(
        plan,
        engines,
        certificate,
        found.golden_sqnr_db,
        details=found.details,
        images=found.images,
    )


def _without_int8(
    plans: list[Plan], asked: Sequence[str], notes: list[str], reason: str, remedy: str
) -> list[Plan]:
    if any(word.startswith("int8") for word in asked):
        raise BadInput(f"There is nothing to calibrate int8 on: {reason}.", hint=remedy)
    kept = [plan for plan in plans if plan.precision != "int8"]
    if len(kept) < len(plans):
        notes.append(f"int8 was left out, there is nothing to calibrate it on: {reason}. {remedy}")
    return kept


def settling_command(request: DeployRequest, new: DeployEntry, base: DeployEntry) -> str:
    """Return the command that holds an entry of the bundle against another, as it was measured."""
    words = ["edgekit", "bench", f"{request.output}@{new.variant}"]
    words += ["--target", new.target, "--compute", new.compute]
    words += ["--against", f"{request.output}@{base.variant}"]
    if base.target != new.target:
        words += ["--against-target", base.target]
    if base.compute != new.compute:
        words += ["--against-compute", base.compute]
    if request.threads is not None:
        words += ["--threads", str(request.threads)]
    if request.limits.allow_fallback:
        words.append("--allow-fallback")
    for key, value in request.provider_options.items():
        words += ["--provider-option", f"{key}={value}"]
    return shlex.join(words)


def _verdict(recommended: Sequence[Recommendation], entries: Sequence[DeployEntry]) -> Verdict:
    """As good as the worst of the recommended entries; FAIL where a target has none."""
    verdicts = []
    for one in recommended:
        chosen = (one.target, one.variant, one.compute)
        verdicts += [
            entry.verdict
            for entry in entries
            if (entry.target, entry.variant, entry.compute) == chosen
        ] or ["FAIL"]
    return worst(verdicts)
