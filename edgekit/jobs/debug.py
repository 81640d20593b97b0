"""`edgekit debug parity`: where a variant on a target leaves the fp32 graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.benchmarks.certificate import parity_limit
from edgekit.core.card import ModelCard
from edgekit.core.certificate import Verdict
from edgekit.core.documents import DebugParityDocument
from edgekit.core.errors import BadInput
from edgekit.core.parity import SQNR_LIMIT_DB
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions, Feeds
from edgekit.jobs.model.bundle import read_manifest
from edgekit.jobs.model.resolve import Model, resolve_model
from edgekit.jobs.opening.places import place_of
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.feeds import generated_feeds, open_data
from edgekit.jobs.process.golden import read_golden
from edgekit.jobs.process.plain import open_plain
from edgekit.jobs.process.sequences import Outputs, run_sequence
from edgekit.jobs.steps.diverge import find_divergence
from edgekit.jobs.steps.engine import options_for, refuse_idle_options
from edgekit.jobs.steps.examine import named_parity

__all__ = ["run_parity"]

# Pictures of --data that are compared.
_IMAGES = 8

Golden = Mapping[str, tuple[Sequence[Feeds], Sequence[list[Outputs]]]]


def run_parity(
    model: str,
    *,
    target: str | None,
    compute: str,
    against: str | None,
    data: Path | None,
    threads: int | None,
    provider_options: Mapping[str, str] | None,
    min_parity: float | None,
    seed: int,
    progress: Progress,
) -> DebugParityDocument:
    """See edgekit.api.debug_parity."""
    where, probe = place_of(target, model, progress)
    refuse_idle_options(provider_options, [where])
    own = options_for(where, provider_options)
    suspect = resolve_model(model, probe=probe, sealed=False)
    reference = _reference(suspect, against)
    golden: Golden = {}
    if data is not None:
        feeds = open_data(data, suspect.card, seed=seed).feeds(_IMAGES)
        if not feeds:
            raise BadInput(f"{data} holds nothing that {model} could be run on.")
    elif suspect.bundle is not None:
        golden = _golden(suspect.bundle)
        feeds = {role: list(pair[0]) for role, pair in golden.items()}
    else:
        feeds = generated_feeds(suspect.card, seed)
    notes = _export_notes(reference, golden) if against is None else ()
    found = find_divergence(
        reference.variant,
        suspect.variant,
        suspect.card,
        where,
        probe,
        CompileOptions(compute=compute, threads=threads, provider_options=own),
        feeds,
        parity_limit(suspect.variant.precision, compute, min_parity),
        progress,
    )
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    verdict: Verdict = "FAIL" if notes else found.verdict
    return DebugParityDocument(
        model=model,
        against=reference.text,
        target=str(where),
        variant=suspect.variant.id,
        compute=compute,
        **{**fields, "verdict": verdict, "notes": (*notes, *found.notes)},
    )


def _reference(suspect: Model, against: str | None) -> Model:
    """What the model is compared with: named, the bundle's fp32 variant, or the graph itself."""
    if against is not None:
        return resolve_model(against, sealed=False)
    return (
        suspect if suspect.bundle is None else resolve_model(f"{suspect.bundle}@fp32", sealed=False)
    )


def _golden(bundle: Path) -> Golden:
    return {role: read_golden(bundle / path) for role, path in read_manifest(bundle).golden.items()}


def _export_notes(reference: Model, golden: Golden) -> tuple[str, ...]:
    """Say it where the fp32 graph itself is off the bundle's reference: that is no engine's."""
    if not golden:
        return ()
    worst_db = run_in_child(
        _golden_db, reference.variant.paths, golden, reference.card, what="the fp32 graph"
    )
    if worst_db >= SQNR_LIMIT_DB["fp32"]:
        return ()
    sentence = (
        f"The fp32 graph itself reaches {worst_db:.1f} dB against the bundle's reference outputs: "
        "the fault lies in the export, before any engine."
    )
    return (sentence,)


def _golden_db(paths: Mapping[str, Path], golden: Golden, card: ModelCard) -> float:
    got: dict[str, list[list[Outputs]]] = {}
    for role, (feeds, _) in golden.items():
        with open_plain(paths[role]) as session:
            got[role] = [run_sequence(session, one, card.graph(role)) for one in feeds]
    expected = {role: list(pair[1]) for role, pair in golden.items()}
    return min(one.sqnr_db for one in named_parity(card, expected, got).values())
