"""`edgekit inspect`: card and graph facts of a model or a bundle, or facts of engines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.card import ModelCard, card_from_dict, card_to_dict
from edgekit.core.documents import GraphFacts, InspectDocument
from edgekit.core.errors import BadInput
from edgekit.core.manifest import Manifest
from edgekit.core.no_model import refuse_no_model
from edgekit.export.facts import facts_of
from edgekit.export.metadata import card_of, with_card
from edgekit.export.onnx_file import read_onnx
from edgekit.export.ultralytics_card import is_ultralytics, ultralytics_card
from edgekit.jobs.model.bundle import is_bundle, read_manifest, verify_command
from edgekit.jobs.model.engine_folder import (
    COMPILED,
    ReadyEngine,
    is_carried,
    read_carried,
    read_compiled,
)
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.opening.engine_facts import engine_facts, plan_facts
from edgekit.jobs.process.plain import run_once
from edgekit.runtimes.limits import graph_limits, runtime_limits
from edgekit.runtimes.trt_plan import is_plan, read_plan
from edgekit.tasks import cards

__all__ = ["graph_files", "run"]


def run(model: str, *, top: int) -> InspectDocument:
    """See edgekit.api.inspect."""
    path = Path(model)
    if is_bundle(path):
        return _inspected_bundle(model, path, top)
    if is_plan(path):
        return _inspected_plan(model, path, top)
    if is_carried(path):
        _, card, engines = read_carried(path)
        return _inspected_engines(model, card, engines, top)
    if (path / COMPILED).is_file():
        engines = {"main": ReadyEngine(path, read_compiled(path))}
        return _inspected_engines(model, ModelCard(), engines, top)
    files = graph_files(path)
    if not files:
        # BUNDLE@VARIANT, or the sentence that says why not.
        resolved = resolve_model(model, sealed=False)
        facts = [
            _facts(Path(file), role, resolved.card)
            for role, file in resolved.variant.graphs.items()
        ]
        return _document(model, resolved.card, facts, top)
    models = {role: read_onnx(file) for role, file in files.items()}
    first = next(iter(files))
    sidecar = cards.find_card(path)
    if sidecar:
        written: ModelCard | None = cards.read_card(sidecar)
    else:
        run = partial(run_once, files[first])
        written = card_of(models[first], str(files[first]), run=run)
    card = written or ModelCard()
    card = card.with_graphs(
        {
            role: with_card(models[role], card.graph(role), str(file))[0]
            for role, file in files.items()
        }
    )
    facts = [facts_of(models[role], file, role, card=card) for role, file in files.items()]
    return _document(model, card, facts, top)


def graph_files(path: Path) -> dict[str, Path]:
    """Role to file of an ONNX file or of a folder of them; empty where it is neither."""
    if path.exists():
        refuse_no_model(str(path), "graph")
    if path.is_file():
        return {"main": path}
    return {file.stem: file for file in sorted(path.glob("*.onnx"))}


def _inspected_bundle(model: str, bundle: Path, top: int) -> InspectDocument:
    manifest = read_manifest(bundle)
    card = card_from_dict(manifest.card, str(bundle / "manifest.json"))
    facts = []
    for variant in manifest.variants:
        for role, name in variant.graphs.items():
            if not (bundle / name).is_file():
                raise BadInput(
                    f"{name} is missing from the bundle.",
                    hint=f"See: {verify_command(bundle)}",
                )
            found = _facts(bundle / name, role, card)
            facts.append(msgspec.structs.replace(found, file=name, variant=variant.id))
    return msgspec.structs.replace(
        _document(model, card, facts, top), card=manifest.card, bundle=_summary(manifest)
    )


def _inspected_engines(
    model: str, card: ModelCard, engines: Mapping[str, ReadyEngine], top: int
) -> InspectDocument:
    return InspectDocument(
        model=model,
        card=card_to_dict(card),
        graphs=(),
        top=top,
        engines=tuple(engine_facts(engine, role) for role, engine in engines.items()),
    )


def _inspected_plan(model: str, path: Path, top: int) -> InspectDocument:
    plan = read_plan(path)
    metadata = plan.metadata or {}
    card = ultralytics_card(metadata, model, shapes=None) if is_ultralytics(metadata) else None
    return InspectDocument(
        model=model,
        card=card_to_dict(card or ModelCard()),
        graphs=(),
        top=top,
        engines=(plan_facts(path, plan),),
    )


def _facts(path: Path, role: str, card: ModelCard) -> GraphFacts:
    return facts_of(read_onnx(path), path, role, card=card)


def _document(model: str, card: ModelCard, facts: list[GraphFacts], top: int) -> InspectDocument:
    limits = runtime_limits()
    return InspectDocument(
        model=model,
        card=card_to_dict(card),
        graphs=tuple(
            msgspec.structs.replace(
                fact, limits=tuple(graph_limits(fact.opset, fact.ir_version, limits))
            )
            for fact in facts
        ),
        top=top,
    )


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "created": manifest.created,
        "edgekit": manifest.edgekit,
        "source": manifest.source,
        "reference": manifest.reference,
        "variants": [variant.id for variant in manifest.variants],
        "engines": sorted(
            {f"{engine.target} {engine.variant} {engine.compute}" for engine in manifest.engines}
        ),
        "files": len(manifest.files),
        "size_bytes": sum(file.size_bytes for file in manifest.files.values()),
    }
