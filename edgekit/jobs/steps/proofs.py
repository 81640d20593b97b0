"""The stages that prove: reference, certificates, measurement; from the cache, or made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import msgspec

from edgekit.benchmarks.certificate import check_parity, parity_limit, worse
from edgekit.benchmarks.environment import environment
from edgekit.core.card import ModelCard
from edgekit.core.documents import Environment
from edgekit.core.errors import EdgekitError
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions, Feeds, Probe
from edgekit.core.source import Source
from edgekit.core.target import Target
from edgekit.core.variant import Variant
from edgekit.jobs.process.feeds import Data
from edgekit.jobs.process.gauge import Conditions
from edgekit.jobs.process.interleave import MeasurementCase, measure_in_turns
from edgekit.jobs.process.plain import PLAIN, PLAIN_OPTIONS
from edgekit.jobs.process.targets import usable
from edgekit.jobs.process.worker import EntryFigures
from edgekit.jobs.steps.cache import CacheUnwritable, Stored, exclusive, lookup
from edgekit.jobs.steps.diverge import first_divergence
from edgekit.jobs.steps.engine import (
    CachedEngine,
    compile_graphs,
    engine_stage,
    opener,
    options_for,
)
from edgekit.jobs.steps.entries import Plan
from edgekit.jobs.steps.examine import (
    Basis,
    Findings,
    Truths,
    examine_entry,
    finite_cases,
    reference_truths,
)
from edgekit.jobs.steps.export import original_graphs
from edgekit.jobs.steps.graphs import ExportedModel
from edgekit.jobs.steps.keys import (
    card_parts,
    digest,
    feeds_digest,
    samples_digest,
    source_parts,
    tools,
)
from edgekit.jobs.steps.record_file import read_packed, write_packed
from edgekit.jobs.steps.reference import find_reference
from edgekit.jobs.steps.request import DeployRequest
from edgekit.jobs.steps.simulated import simulation
from edgekit.jobs.steps.step import Missing, Stages
from edgekit.tasks.baked import parse_bake
from edgekit.tasks.baked_reference import open_baked

__all__ = ["ReferenceAnswers", "compiled", "examined", "measured", "reference"]

_RESULT = "result.msgpack"
_REFERENCE = ("torch", "onnxruntime", "numpy", "opencv-python", "pycocotools")
# Inputs that a broken node is looked for with.
_DEBUG_CASES = 4
_SCORING = ("numpy", "opencv-python", "pycocotools")
# Clocks of two machines that share a cache may differ by so much.
_CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class ReferenceAnswers:
    """What the reference answered.

    Attributes:
        name: "torch 2.13.0 eager, fp32".
        truths: Its answers.
        key: sha256 over everything they depend on.
    """

    name: str
    truths: Truths
    key: str


def reference(
    stages: Stages,
    request: DeployRequest,
    model: ExportedModel,
    folder: Path,
    data: Data | None,
    feeds: Mapping[str, Sequence[Feeds]],
    golden: Mapping[str, Sequence[Feeds]],
) -> ReferenceAnswers:
    """Run the reference over everything that entries are compared on.

    Args:
        stages: Of the job.
        request: What was asked for.
        model: As exported.
        folder: Where a user's decoder is looked for.
        data: None where there is none.
        feeds: Inputs by role for the parity check.
        golden: Golden inputs by role.
    """
    source, bake = request.parsed, parse_bake(request.bake)
    samples = data.samples if data is not None else ()
    parts = {
        **source_parts(source),
        "code": model.code,
        **card_parts(model.card, folder),
        "bake": ",".join(sorted(bake)),
        "data": samples_digest(samples, data.dataset.fingerprint) if data is not None else "",
        "inputs": feeds_digest(feeds),
        "golden": feeds_digest(golden),
        "seed": str(request.seed),
        **tools(*_REFERENCE, by=("edgekit.jobs.steps.reference", "edgekit.jobs.steps.examine")),
    }

    def make(place: Path) -> None:
        found = find_reference(
            source,
            model.card,
            # A graph that was fitted to a stream is its own truth: its source has another input.
            model.variant.paths if model.fitted else original_graphs(source),
            trust_code=request.trust_code,
            trust_pickle=request.trust_pickle,
            progress=stages.progress,
        )
        if bake:
            opened = partial(open_baked, found.opener, model.card, bake)
            found = dataclasses.replace(found, opener=opened)
        truths = reference_truths(
            found,
            model.final_card,
            folder,
            samples,
            feeds,
            golden,
            trust_code=request.trust_code,
            seed=request.seed,
            progress=stages.progress,
        )
        content = {
            "name": found.name,
            "evaluation": truths.evaluation,
            "outputs": dict(truths.outputs),
            "golden": truths.golden,
            "metric": truths.metric,
        }
        write_packed(place / _RESULT, content)

    stored = stages.fetch("reference", source.name, parts, make)
    result = read_packed(stored.folder / _RESULT)
    name = result.pop("name")
    golden, result["golden"] = finite_cases(golden, result["golden"])
    if result["outputs"] and (data is None or not Data(data.dataset, model.final_card).feeds(1)):
        feeds, result["outputs"] = finite_cases(feeds, result["outputs"])
    truths = Truths(samples=samples, feeds=feeds, golden_feeds=golden, **result)
    return ReferenceAnswers(name, truths, stored.record.key)


def compiled(
    stages: Stages, source: Source, plan: Plan, variant: Variant, request: DeployRequest
) -> dict[str, CachedEngine]:
    """Compile the graphs of one entry.

    Raises:
        EdgekitError: The engine refuses a graph.
        Missing: In a dry run, where an engine is not in the cache.
    """
    options = CompileOptions(
        compute=plan.compute,
        threads=request.threads,
        allow_fallback=request.limits.allow_fallback,
        provider_options=options_for(plan.target, request.provider_options),
    )
    name = f"{source.name}, {plan.variant}"
    if stages.dry:
        for role, path in variant.paths.items():
            wanted = engine_stage(path, role, plan.target, plan.probe, options, name)
            if lookup("engine", wanted.parts) is None:
                raise Missing("engine", wanted.subject)
    stages.begin("engine", f"{name} for {plan.target} in {plan.compute}")
    progress = Silent() if stages.dry else stages.progress
    engines = compile_graphs(
        variant.paths, plan.target, plan.probe, options, model=name, progress=progress
    )
    for engine in engines.values():
        stages.note(engine.stored)
    return engines


def examined(
    stages: Stages,
    source: Source,
    plan: Plan,
    variants: Mapping[str, Variant],
    engines: Mapping[str, CachedEngine],
    basis: Basis,
    truths_key: str,
    min_parity: float | None = None,
) -> Findings:
    """Compare one entry with the reference, and find the node where its parity breaks.

    Raises:
        EdgekitError: Its process died.
    """
    parts = {
        "engines": digest({role: engine.key for role, engine in engines.items()}),
        "reference": truths_key,
        **card_parts(basis.card, basis.folder),
        "seed": str(basis.seed),
        **tools(*_SCORING, by=("edgekit.jobs.steps.examine", "edgekit.jobs.steps.diverge")),
    }
    if min_parity is not None:  # the node where parity breaks depends on it
        parts["min_parity"] = f"{min_parity:g}"
    limit = parity_limit(plan.precision, plan.compute, min_parity)

    def make(folder: Path) -> None:
        graphs = variants[plan.variant]
        found = examine_entry(plan, graphs, opener(engines), basis, stages.progress)
        outputs, simulated = found.figures.outputs, found.figures.simulated
        if simulated is not None:
            outputs = worse(outputs, simulated.outputs)
        parity = check_parity(outputs, plan.precision, plan.compute, min_parity=min_parity)
        if parity.verdict == "FAIL":
            if simulated is None or simulated.reason:
                options = next(iter(engines.values())).compiled.options
                where = (plan.target, plan.probe, options)
                node = _broken_node(stages, variants["fp32"], graphs, where, basis, limit)
            else:
                with simulation(graphs) as (written, _):
                    text = {role: str(path) for role, path in written.items()}
                    suspect = msgspec.structs.replace(graphs, graphs=text)
                    where = (*usable(PLAIN), PLAIN_OPTIONS)
                    node = _broken_node(stages, variants["fp32"], suspect, where, basis, limit)
            figures = dataclasses.replace(found.figures, broken_node=node)
            found = dataclasses.replace(found, figures=figures)
        write_packed(folder / _RESULT, found)

    stored = stages.fetch("certificate", f"{source.name}, {plan}", parts, make)
    found = read_packed(stored.folder / _RESULT)
    assert isinstance(found, Findings)
    return found


def _broken_node(
    stages: Stages,
    reference: Variant,
    suspect: Variant,
    where: tuple[Target, Probe, CompileOptions],
    basis: Basis,
    limit: float,
) -> str:
    """Name the first node whose output leaves the limit; empty where none is found."""
    feeds = {role: several[:_DEBUG_CASES] for role, several in basis.truths.feeds.items()}
    try:
        found = first_divergence(
            reference,
            suspect,
            basis.card,
            *where,
            feeds,
            limit,
            stages.progress,
        )
    except CacheUnwritable:
        raise
    except EdgekitError as error:
        stages.progress.note(f"The node where parity breaks was not found: {error}")
        return ""
    if found is None or found.node is None:
        return ""
    node = found.node
    return f"{node.name} ({node.module})" if node.module else node.name


def measured(
    stages: Stages,
    source: Source,
    entries: Mapping[str, Mapping[str, CachedEngine]],
    card: ModelCard,
    feeds: Mapping[str, Feeds],
    request: DeployRequest,
) -> tuple[dict[str, EntryFigures | str], Environment, str]:
    """Measure every entry that opens, in turns: ratios between them come from one run.

    Args:
        stages: Of the job.
        source: The model's.
        entries: Name to engines by role.
        card: The model's.
        feeds: The inputs of one inference, by role.
        request: Threads, time and seed, and whether a cached measurement may serve.

    Returns:
        Name to figures, or to the sentence that says why there are none; the environment they were
        measured in; when, UTC, ISO 8601.
    """
    here = environment(request.threads)
    parts = {
        "entries": digest(
            {
                name: {role: engine.key for role, engine in engines.items()}
                for name, engines in entries.items()
            }
        ),
        "inputs": feeds_digest({role: [one] for role, one in feeds.items()}),
        "time": f"{request.time:g}",
        "seed": str(request.seed),
        # Only figures of an equal environment are figures of this one.
        **{f"environment's {name}": digest(value) for name, value in here.identity.items()},
        **tools(by=("edgekit.jobs.process.interleave",)),
    }

    def make(folder: Path) -> None:
        contestants = [
            MeasurementCase(
                name=name,
                opener=opener(engines),
                card=card,
                feeds=feeds,
                conditions=Conditions(seconds=request.time),
            )
            for name, engines in entries.items()
        ]
        with exclusive("measurement", "another measurement on this machine", stages.progress):
            results = measure_in_turns(contestants, seed=request.seed, progress=stages.progress)
        content = {
            "figures": {
                one.name: str(result) if isinstance(result, EdgekitError) else result
                for one, result in zip(contestants, results, strict=True)
            },
            "environment": environment(request.threads),
        }
        write_packed(folder / _RESULT, content)

    usable = _asked_for if request.remeasure else _not_to_be_used
    stored = stages.fetch("measurement", source.name, parts, make, usable=usable)
    result = read_packed(stored.folder / _RESULT)
    return result["figures"], result["environment"], stored.record.created


def _asked_for(_stored: Stored) -> str:
    return "it was asked for"


def _not_to_be_used(stored: Stored) -> str:
    """Why a measurement must be taken again although nothing that it depends on changed."""
    if (
        datetime.fromisoformat(stored.record.created)
        > datetime.now(timezone.utc) + _CLOCK_TOLERANCE
    ):
        return f"it is dated {stored.record.created}, in the future: a clock went back"
    for name, figures in read_packed(stored.folder / _RESULT)["figures"].items():
        if isinstance(figures, str):
            return f"{name} was not measured"
    return ""
