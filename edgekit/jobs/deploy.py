"""`edgekit deploy`: a trained model in, a certified bundle out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.benchmarks.environment import environment
from edgekit.benchmarks.recommend import Candidate, best, recommend
from edgekit.core.card import ModelCard, card_to_dict
from edgekit.core.certificate import Certificate, Limits, Verdict, worst
from edgekit.core.documents import DeployDocument, DeployEntry, Recommendation
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.files import sha256_file, write_bytes, write_text
from edgekit.core.manifest import Engine, Manifest
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions, Feeds
from edgekit.core.source import Source
from edgekit.core.variant import Variant
from edgekit.jobs.bench import write_samples
from edgekit.jobs.bundle import entry_name, seal
from edgekit.jobs.certify import Truths, certify_entry, reference_truths
from edgekit.jobs.engines import CachedEngine, compile_graphs, open_engines, usable
from edgekit.jobs.entries import Plan, plan_entries, variants_needed
from edgekit.jobs.export import export_graphs, original_graphs, source_card
from edgekit.jobs.feeds import Data, generated_feeds, golden_feeds, open_data
from edgekit.jobs.golden import write_golden
from edgekit.jobs.quantize import calibrate_graphs, write_variant
from edgekit.jobs.recipe import write_recipe
from edgekit.jobs.reference import find_reference
from edgekit.jobs.turns import Contestant, measure_in_turns
from edgekit.jobs.worker import Measured
from edgekit.tasks import cards

__all__ = ["run"]


# Inputs that parity is judged on where there are no images to score.
_PARITY_CASES = 8


@dataclass(frozen=True)
class _Made:
    """What became of one plan so far."""

    plan: Plan
    engines: dict[str, CachedEngine]
    certificate: Certificate | None = None
    golden_sqnr_db: float | None = None
    error: str = ""


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
    found, card_folder = source_card(parsed, card)
    images = None
    if data is not None or calibration is not None:
        images = open_data(data, found, calibration=calibration, seed=seed)
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
        notes += images.dataset.notes if images is not None else ()
        if images is not None:
            images = Data(images.dataset, full)
        decode_folder = _keep_card(folder, full, card_folder)
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
            decode_folder,
            images,
            parity_feeds,
            golden_inputs,
            trust_code=trust_code,
            seed=seed,
            progress=progress,
        )
        notes += [f"Skipped an unreadable image: {name}." for name in _skipped(truths)]
        for role, feeds in golden_inputs.items():
            write_golden(folder / "golden" / f"{role}.npz", feeds, truths.golden[role])
        variants = _make_variants(
            exported.outcome.graphs, plans, full, images, folder, seed, notes, progress
        )
        made = [
            _make_entry(
                plan,
                variants[plan.variant],
                full,
                decode_folder,
                truths,
                images,
                limits,
                threads,
                trust_code,
                seed,
                folder,
                progress,
            )
            for plan in plans
        ]
        first = {role: several[0] for role, several in truths.feeds.items()}
        measured = _measure(made, full, first, time, seed, progress)
        entries = tuple(
            _entry(one, figures, variants[one.plan.variant])
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
        _write_measurements(folder, made, measured)
        write_bytes(folder / "deploy.json", _json(document))
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
        seal(folder, _manifest(folder, parsed, reference.name, full, variants, made, document))
    return document


@contextmanager
def _workspace(output: Path, *, force: bool) -> Iterator[Path]:
    """Build in OUTPUT.partial and rename at the end; an interruption leaves what is finished."""
    if output.exists() and not output.is_dir():
        raise BadInput(f"{output} exists and is not a folder.", hint="Choose another path.")
    if output.is_dir() and any(output.iterdir()) and not force:
        raise BadInput(f"{output} exists and is not empty.", hint="Use --force or another path.")
    partial_folder = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    try:
        partial_folder.mkdir(parents=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(
            f"{output} cannot be written: {reason}.", hint="Choose another path with -o."
        ) from error
    try:
        yield partial_folder
        shutil.rmtree(output, ignore_errors=True)
        partial_folder.replace(output)
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


def _keep_card(folder: Path, card: ModelCard, card_folder: Path) -> Path:
    """Write the card into the bundle, with the user's decoder beside it."""
    write_text(folder / "card.yaml", cards.dump_card(card))
    if card.postprocess is not None and ":" in card.postprocess.decode:
        file = card.postprocess.decode.partition(":")[0]
        content = (card_folder / file).read_bytes()
        write_bytes(folder / file, content)
    return folder


def _make_variants(
    graphs: Mapping[str, Path],
    plans: Sequence[Plan],
    card: ModelCard,
    data: Data | None,
    folder: Path,
    seed: int,
    notes: list[str],
    progress: Progress,
) -> dict[str, Variant]:
    """Write every variant that a plan uses; one calibration serves all dialects."""
    fp32 = Variant(
        id="fp32", precision="fp32", graphs={role: str(path) for role, path in graphs.items()}
    )
    variants = {"fp32": fp32}
    needed = [name for name in variants_needed(plans) if name != "fp32"]
    decisions: dict[str, Path] = {}
    if data is not None and any(name.startswith("int8") for name in needed):
        decisions = calibrate_graphs(
            fp32, card, data, folder / "quantization", seed, progress
        ).decisions
    for name in needed:
        place = folder / "variants" / name
        variants[name], more = write_variant(fp32, name, decisions, place, progress)
        notes += more
    return variants


def _make_entry(
    plan: Plan,
    variant: Variant,
    card: ModelCard,
    decode_folder: Path,
    truths: Truths,
    data: Data | None,
    limits: Limits,
    threads: int | None,
    trust_code: bool,
    seed: int,
    folder: Path,
    progress: Progress,
) -> _Made:
    """Compile and certify one entry; what fails ends this entry only."""
    progress.stage(str(plan))
    graphs = {role: Path(path) for role, path in variant.graphs.items()}
    options = CompileOptions(
        compute=plan.compute, threads=threads, allow_fallback=limits.allow_fallback
    )
    engines: dict[str, CachedEngine] = {}
    try:
        engines = compile_graphs(graphs, plan.target, plan.probe, options, progress=progress)
        certificate, sqnr = certify_entry(
            plan,
            variant,
            partial(open_engines, {role: engine.folder for role, engine in engines.items()}),
            card,
            decode_folder,
            truths,
            data,
            limits,
            trust_code=trust_code,
            seed=seed,
            progress=progress,
        )
    except EdgekitError as error:
        return _Made(plan, engines, error=str(error))
    write_bytes(folder / "certificates" / f"{_name(plan)}.json", _json(certificate))
    for role, engine in engines.items():
        shutil.copytree(engine.folder, folder / _engine_folder(plan, role))
    return _Made(plan, engines, certificate, sqnr)


def _measure(
    made: Sequence[_Made],
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
            opener=partial(
                open_engines, {role: engine.folder for role, engine in one.engines.items()}
            ),
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


def _entry(made: _Made, measured: Measured | None, variant: Variant) -> DeployEntry:
    certificate = made.certificate
    stream = measured.stream if measured else None
    return DeployEntry(
        target=str(made.plan.target),
        variant=made.plan.variant,
        compute=made.plan.compute,
        verdict=certificate.verdict if certificate else "FAIL",
        executed_precision=certificate.executed_precision if certificate else "",
        checks=certificate.checks if certificate else {},
        metric=certificate.metric if certificate else None,
        latency=stream.latency if stream else None,
        throughput_per_s=stream.throughput_per_s if stream else None,
        size_bytes=sum(Path(path).stat().st_size for path in variant.graphs.values()),
        load_ms=measured.load_ns / 1e6 if measured else None,
        first_ms=measured.first_ns / 1e6 if measured else None,
        rss_peak_bytes=measured.rss_peak_bytes if measured else None,
        energy_j=None,
        valid=stream.valid if stream else False,
        reasons=stream.reasons if stream else ("It was not measured.",),
        error=made.error,
    )


def _candidate(made: _Made, entry: DeployEntry) -> Candidate:
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


def _write_measurements(
    folder: Path, made: Sequence[_Made], measured: Sequence[Measured | None]
) -> None:
    for one, figures in zip(made, measured, strict=True):
        if figures is not None:
            write_samples(folder / "measurements" / f"{_name(one.plan)}.npz", figures)


def _manifest(
    folder: Path,
    source: Source,
    reference: str,
    card: ModelCard,
    variants: Mapping[str, Variant],
    made: Sequence[_Made],
    document: DeployDocument,
) -> Manifest:
    origin: dict[str, str] = {"text": source.text, "kind": source.kind}
    if source.path is not None and source.path.is_file():
        origin["sha256"] = sha256_file(source.path)
    relative = {
        name: msgspec.structs.replace(
            variant,
            graphs={
                role: Path(path).relative_to(folder).as_posix()
                for role, path in variant.graphs.items()
            },
        )
        for name, variant in variants.items()
    }
    return Manifest(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgekit=__version__,
        source=origin,
        reference=reference,
        card=card_to_dict(card),
        variants=tuple(relative.values()),
        engines=tuple(
            Engine(
                target=str(one.plan.target),
                variant=one.plan.variant,
                compute=one.plan.compute,
                role=role,
                folder=_engine_folder(one.plan, role),
                graph=relative[one.plan.variant].graphs[role],
                compiled=engine.compiled,
            )
            for one in made
            if one.certificate is not None
            for role, engine in one.engines.items()
        ),
        golden={path.stem: f"golden/{path.name}" for path in (folder / "golden").glob("*.npz")},
        golden_sqnr_db={
            _name(one.plan): one.golden_sqnr_db for one in made if one.golden_sqnr_db is not None
        },
        environment=msgspec.to_builtins(document.environment),
    )


def _name(plan: Plan) -> str:
    return entry_name(str(plan.target), plan.variant, plan.compute)


def _engine_folder(plan: Plan, role: str) -> str:
    return f"engines/{_name(plan)}/{role}"


def _json(record: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record)) + b"\n"
