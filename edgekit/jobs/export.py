"""`edgekit export`: a graph with its card inside, checked against the reference."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.core.certificate import worst
from edgekit.core.destination import FOLDER, GRAPH, Destination
from edgekit.core.documents import ExportDocument, OutputParity
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.source import Source
from edgekit.core.subject import works_on
from edgekit.core.variant import Variant
from edgekit.jobs.process.feeds import Data, generated_feeds, open_data
from edgekit.jobs.steps.bake import baked_parity, refuse_unbakeable
from edgekit.jobs.steps.delivery import Delivery, read_for
from edgekit.jobs.steps.export import (
    export_verdict,
    original_graphs,
    output_row,
    source_card,
)
from edgekit.jobs.steps.graphs import EXPORT_IMAGES, ExportedModel, exported, variant
from edgekit.jobs.steps.request import SourceRequest
from edgekit.jobs.steps.step import Stages
from edgekit.tasks.baked import BAKES, parse_bake

__all__ = ["run"]


@works_on
def run(
    source: str,
    output: Path,
    *,
    arch: str | None,
    card: Path | None,
    options: Mapping[str, str] | None,
    inputs: Mapping[str, str] | None,
    data: Path | None,
    opset: int | None,
    bake: Sequence[str],
    trust_code: bool,
    trust_pickle: bool,
    min_parity: float | None,
    seed: int,
    force: bool,
    progress: Progress,
) -> ExportDocument:
    """See edgekit.api.export."""
    parsed = Source.parse(source, arch)
    # How many graphs there will be, only the network says where the user makes it.
    there = os.path.isdir(output)  # noqa: PTH112 - not for a name that is too long
    several = len(original_graphs(parsed)) > 1 or (there and not parsed.single)
    place = Destination(
        output,
        FOLDER if several else GRAPH,
        force=force,
        inputs=read_for(source, arch, card, data),
    )
    what = parse_bake(bake)
    found, folder = source_card(
        parsed, card, options, inputs=inputs, trust_code=trust_code, trust_pickle=trust_pickle
    )
    delivery = Delivery(place, found, folder)
    found = delivery.card
    refuse_unbakeable(found, what, place.path)
    images = open_data(data, found, seed=seed) if data is not None else None
    stages = Stages(progress)
    request = SourceRequest(
        source=parsed,
        bake=bake,
        inputs=inputs or {},
        opset=opset,
        trust_code=trust_code,
        trust_pickle=trust_pickle,
        min_parity=min_parity,
        seed=seed,
    )
    model = exported(stages, request, found, images)
    graphs = model.variant
    parity, verdict = model.parity, model.verdict
    if what:
        graphs, _ = variant(stages, parsed.name, "fp32", model.variant, model.card, {}, what, {})
        if verdict != "UNVERIFIED":
            baked = _baked_parity(model, graphs, what, images, seed=seed, progress=progress)
            parity = (*parity, *baked)
            verdict = worst((verdict, export_verdict(baked, min_parity)))
    written = delivery.put(graphs.paths)
    return ExportDocument(
        source=source,
        graphs={role: str(path) for role, path in written.items()},
        exporter=model.exporter,
        opset=model.opset,
        verdict=verdict,
        parity=parity,
        shapes=dict(model.tried),
        bake=tuple(word for word in BAKES if word in what),
        size_bytes=sum(path.stat().st_size for path in written.values()),
        notes=(*model.notes, *filter(None, [model.shapes.reason]), *delivery.notes),
    )


def _baked_parity(
    model: ExportedModel,
    graphs: Variant,
    what: frozenset[str],
    images: Data | None,
    *,
    seed: int,
    progress: Progress,
) -> tuple[OutputParity, ...]:
    """How far a graph with what is baked in is from the plain one, with the same outside it."""
    progress.stage("bake")
    feeds = (
        Data(images.dataset, model.final_card).real_feeds(EXPORT_IMAGES)
        if images is not None
        else {}
    )
    some: dict[str, list[Feeds]] = feeds or generated_feeds(model.final_card, seed)
    plain, baked = model.variant.paths["main"], graphs.paths["main"]
    figures = baked_parity(
        plain, baked, model.card, what, some["main"], seed=seed, progress=progress
    )
    return tuple(output_row("main", name, *figure) for name, figure in figures.items())
