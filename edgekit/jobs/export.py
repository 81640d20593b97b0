"""`edgekit export`: a graph with its card inside, checked against the reference."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.core.certificate import worst
from edgekit.core.destination import FOLDER, GRAPH, Destination
from edgekit.core.documents import ExportDocument
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.source import Source
from edgekit.core.subject import works_on
from edgekit.core.temporary import scratch
from edgekit.jobs.process.feeds import Data, generated_feeds, open_data
from edgekit.jobs.steps.bake import bake_main, baked_parity, refuse_unbakeable
from edgekit.jobs.steps.delivery import Delivery, read_for
from edgekit.jobs.steps.export import (
    Exported,
    export_graphs,
    export_verdict,
    original_graphs,
    output_row,
    source_card,
)
from edgekit.tasks.baked import BAKES, baked_card, parse_bake

__all__ = ["run"]


# Real images that an export is checked on.
_IMAGES = 3


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
    progress.stage("export")
    with scratch("export") as name:
        exported = export_graphs(
            parsed,
            found,
            name,
            inputs=inputs,
            feeds=images.real_feeds(_IMAGES) if images is not None else {},
            opset=opset,
            trust_code=trust_code,
            trust_pickle=trust_pickle,
            min_parity=min_parity,
            seed=seed,
            progress=progress,
        )
        graphs: Mapping[str, Path] = exported.outcome.graphs
        if what:
            baked, exported = _bake(
                exported, what, images, min_parity=min_parity, seed=seed, progress=progress
            )
            graphs = {"main": baked}
        written = delivery.put(graphs)
    return ExportDocument(
        source=source,
        graphs={role: str(path) for role, path in written.items()},
        exporter=exported.outcome.exporter,
        opset=exported.outcome.opset,
        verdict=exported.verdict,
        parity=exported.parity,
        shapes={
            role: tuple(
                {name: tuple(array.shape) for name, array in feeds.items()} for feeds, _ in cases
            )
            for role, cases in exported.outcome.reference.items()
        },
        bake=tuple(word for word in BAKES if word in what),
        size_bytes=sum(path.stat().st_size for path in written.values()),
        notes=(*exported.notes, *filter(None, [exported.shapes.reason]), *delivery.notes),
    )


def _bake(
    exported: Exported,
    what: frozenset[str],
    images: Data | None,
    *,
    min_parity: float | None,
    seed: int,
    progress: Progress,
) -> tuple[Path, Exported]:
    """Bake the graph, and add how far it is from the plain one to what the export says."""
    progress.stage("bake")
    card = exported.outcome.card
    graphs = exported.outcome.graphs
    baked = next(iter(graphs.values())).with_suffix(".baked.onnx")
    bake_main(graphs, card, what, baked)
    if exported.verdict == "UNVERIFIED":
        return baked, exported
    inside = baked_card(card, what)
    feeds = Data(images.dataset, inside).real_feeds(_IMAGES) if images is not None else {}
    some: dict[str, list[Feeds]] = feeds or generated_feeds(inside, seed)
    figures = baked_parity(
        *(graphs["main"], baked, card, what, some["main"]),
        seed=seed,
        progress=progress,
    )
    parity = tuple(output_row("main", name, *figure) for name, figure in figures.items())
    verdict = worst((exported.verdict, export_verdict(parity, min_parity)))
    return baked, replace(exported, parity=(*exported.parity, *parity), verdict=verdict)
