"""`edgekit deploy`: a trained model in, a certified bundle out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgekit.benchmarks.environment import environment
from edgekit.benchmarks.recommend import Candidate, best, recommend
from edgekit.core.card import ModelCard
from edgekit.core.certificate import Limits, Verdict, worst
from edgekit.core.documents import DeployDocument, DeployEntry, Recommendation
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.files import refuse_used_folder, replace_folder, writing
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions, Feeds
from edgekit.core.source import Source
from edgekit.core.variant import Variant
from edgekit.jobs.bundling import Made, deploy_entry, finish_bundle, keep_card, keep_entry
from edgekit.jobs.certify import Basis, Truths, certify_entry, reference_truths
from edgekit.jobs.engines import CachedEngine, compile_graphs, opener, usable
from edgekit.jobs.entries import Plan, plan_entries, variants_needed
from edgekit.jobs.export import export_graphs, original_graphs, source_card
from edgekit.jobs.feeds import Data, generated_feeds, golden_feeds, open_data
from edgekit.jobs.golden import write_golden
from edgekit.jobs.quantize import calibrate_graphs, write_variant
from edgekit.jobs.recipe import write_recipe
from edgekit.jobs.reference import find_reference
from edgekit.jobs.turns import Contestant, measure_in_turns
from edgekit.jobs.worker import Measured
from edgekit.tasks.registry import task_for

__all__ = ["run"]


# Inputs that parity is judged on where there are no images to score.
_PARITY_CASES = 8


def run(
    source: str,
    output: Path,
    *,
    targets: Sequence[str],
    data: Path | None,
    calibration: Path | None,
    precision: Sequence[str],
    compute: Sequence[str],
    limits: Limits,
    arch: str | None,
    card: Path | None,
    options: Mapping[str, str] | None,
    inputs: Mapping[str, str] | None,
    opset: int | None,
    threads: int | None,
    time: float,
    golden: Path | None,
    trust_code: bool,
    trust_pickle: bool,
    seed: int,
    force: bool,
    progress: Progress,
) -> DeployDocument:
    """See edgekit.api.deploy."""
    # Everything that can be refused is refused before the first minute of work.
    parsed = Source.parse(source, arch)
    if not targets:
        raise BadInput("No target was given.", hint="For instance --target openvino:cpu.")
    plans = plan_entries([usable(target) for target in dict.fromkeys(targets)], precision, compute)
    found, card_folder = source_card(parsed, card, options)
    images = None
    if data is not None or calibration is not None:
        images = open_data(data, found, calibration=calibration, seed=seed)
        task_for(found, folder=card_folder, trust_code=trust_code)
    notes: list[str] = []
    if images is None or not images.can_calibrate:
        plans = _without_int8(plans, precision, notes)
    with _workspace(output, force=force) as folder:
        exported = export_graphs(
            parsed,
            found,
            folder / "variants" / "fp32",
            inputs=inputs,
            data=images,
            opset=opset,
            trust_code=trust_code,
            trust_pickle=trust_pickle,
            seed=seed,
            progress=progress,
        )
        full = exported.outcome.card
        notes += exported.notes
        if exported.verdict == "FAIL":
            notes.append("The exported graph itself differs from the reference; see the checks.")
        notes += images.dataset.notes if images is not None else ()
        full = keep_card(folder, full, card_folder)
        if images is not None:
            images = Data(images.dataset, full)
        reference = find_reference(
            parsed,
            full,
            original_graphs(parsed),
            trust_code=trust_code,
            trust_pickle=trust_pickle,
            progress=progress,
        )
        golden_inputs = golden_feeds(full, golden, seed)
        parity_feeds = (images.feeds(_PARITY_CASES) if images else {}) or generated_feeds(
            full, seed
        )
        truths = reference_truths(
            reference,
            full,
            folder,
            images.samples if images is not None else (),
            parity_feeds,
            golden_inputs,
            trust_code=trust_code,
            seed=seed,
            progress=progress,
        )
        notes += [f"Skipped an unreadable image: {name}." for name in _skipped(truths)]
        for role, feeds in golden_inputs.items():
            write_golden(folder / "golden" / f"{role}.npz", feeds, truths.golden[role])
        fp32 = Variant(
            id="fp32",
            precision="fp32",
            graphs={role: str(path) for role, path in exported.outcome.graphs.items()},
        )
        decisions: dict[str, Path] = {}
        if images is not None and any(plan.precision == "int8" for plan in plans):
            place = folder / "quantization"
            try:
                quantized = calibrate_graphs(fp32, full, images, place, seed, progress)
                decisions = quantized.decisions
                notes += quantized.notes
            except BadInput as error:
                if "int8" in precision:
                    raise
                notes.append(f"int8 was left out: {error.message}")
                plans = [plan for plan in plans if plan.precision != "int8"]
        variants = _make_variants(fp32, plans, decisions, folder / "variants", notes, progress)
        basis = Basis(full, folder, truths, limits, trust_code, seed)
        made = [
            _make_entry(plan, variants[plan.variant], basis, threads, folder, progress)
            for plan in plans
        ]
        first = {role: several[0] for role, several in truths.feeds.items()}
        measured = _measure(made, full, first, time, seed, progress)
        entries = tuple(
            deploy_entry(one, figures, variants[one.plan.variant])
            for one, figures in zip(made, measured, strict=True)
        )
        candidates: dict[str, Sequence[Candidate]] = {
            target: [
                _candidate(one, entry)
                for one, entry in zip(made, entries, strict=True)
                if entry.target == target
            ]
            for target in dict.fromkeys(str(plan.target) for plan in plans)
        }
        recommended = tuple(recommend(target, several) for target, several in candidates.items())
        document = DeployDocument(
            bundle=str(output),
            source=source,
            recommended=recommended,
            best=best(recommended, candidates),
            verdict=_verdict(recommended, entries),
            entries=entries,
            reference=reference.name,
            reference_metric=truths.metric,
            environment=environment(threads),
            notes=tuple(notes),
        )
        write_recipe(
            folder / "recipe.yaml",
            {
                "source": source if parsed.path is None else parsed.path.resolve(),
                "output-path": output,
                "target": list(targets),
                "data": data,
                "calibration": calibration,
                "precision": list(precision),
                "compute": list(compute),
                "max-drop": limits.max_drop,
                "min-agreement": limits.min_agreement,
                "max-shift": limits.max_shift,
                "require-proven": limits.require_proven or None,
                "allow-fallback": limits.allow_fallback or None,
                "arch": arch,
                "card": card,
                "set": dict(options or {}),
                "input": dict(inputs or {}),
                "opset": opset,
                "threads": threads,
                "time": time,
                "golden": golden,
                "trust-code": trust_code or None,
                "trust-pickle": trust_pickle or None,
                "seed": seed,
            },
        )
        finish_bundle(folder, parsed, full, variants, made, measured, document)
    return document


@contextmanager
def _workspace(output: Path, *, force: bool) -> Iterator[Path]:
    """Build in OUTPUT.partial and rename at the end; an interruption leaves what is finished."""
    refuse_used_folder(output, force=force)
    partial_folder = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    try:
        with writing(output):
            partial_folder.mkdir(parents=True)
            yield partial_folder
            replace_folder(partial_folder, output)
    except KeyboardInterrupt:
        raise
    except BaseException:
        shutil.rmtree(partial_folder, ignore_errors=True)
        raise


def _without_int8(plans: list[Plan], asked: Sequence[str], notes: list[str]) -> list[Plan]:
    if "int8" in asked:
        raise BadInput(
            "int8 needs real inputs to calibrate on, and none were given.",
            hint="Give --data or --calibration.",
        )
    kept = [plan for plan in plans if plan.precision != "int8"]
    if len(kept) < len(plans):
        notes.append("int8 was left out: it needs real inputs to calibrate on (--data).")
    return kept


def _skipped(truths: Truths) -> Sequence[str]:
    return truths.evaluation.skipped if truths.evaluation is not None else ()


def _make_variants(
    fp32: Variant,
    plans: Sequence[Plan],
    decisions: dict[str, Path],
    folder: Path,
    notes: list[str],
    progress: Progress,
) -> dict[str, Variant]:
    """Write every variant that a plan uses; one calibration serves all dialects."""
    variants = {"fp32": fp32}
    for name in variants_needed(plans):
        if name != "fp32":
            made, more = write_variant(fp32, name, decisions, folder / name, progress)
            variants[name] = made
            notes += more
    return variants


def _make_entry(
    plan: Plan,
    variant: Variant,
    basis: Basis,
    threads: int | None,
    folder: Path,
    progress: Progress,
) -> Made:
    """Compile and certify one entry; what fails ends this entry only."""
    progress.stage(str(plan))
    options = CompileOptions(
        compute=plan.compute, threads=threads, allow_fallback=basis.limits.allow_fallback
    )
    engines: dict[str, CachedEngine] = {}
    try:
        engines = compile_graphs(variant.paths, plan.target, plan.probe, options, progress=progress)
        certificate, sqnr = certify_entry(plan, variant, opener(engines), basis, progress)
    except EdgekitError as error:
        return Made(plan, engines, error=str(error))
    made = Made(plan, engines, certificate, sqnr)
    keep_entry(folder, made)
    return made


def _measure(
    made: Sequence[Made],
    card: ModelCard,
    feeds: Mapping[str, Feeds],
    seconds: float,
    seed: int,
    progress: Progress,
) -> list[Measured | None]:
    """Measure every entry that opens, slow and failed ones too."""
    running = [one for one in made if not one.error]
    contestants = [
        Contestant(
            name=str(one.plan),
            opener=opener(one.engines),
            card=card,
            feeds=feeds,
        )
        for one in running
    ]
    results = measure_in_turns(contestants, seconds=seconds, seed=seed, progress=progress)
    figures: dict[int, Measured] = {}
    for one, result in zip(running, results, strict=True):
        if isinstance(result, EdgekitError):
            progress.note(f"{one.plan} was not measured: {result}")
        else:
            figures[id(one)] = result
    return [figures.get(id(one)) for one in made]


def _candidate(made: Made, entry: DeployEntry) -> Candidate:
    return Candidate(
        variant=entry.variant,
        precision=made.plan.precision,
        compute=entry.compute,
        verdict=entry.verdict,
        latency=entry.latency,
        failed=tuple(name for name, check in entry.checks.items() if check.verdict == "FAIL"),
    )


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
