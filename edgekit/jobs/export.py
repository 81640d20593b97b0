"""`edgekit export`: a graph with its card inside, checked against the reference."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.certificate import Verdict, worst
from edgekit.core.documents import ExportDocument, OutputParity
from edgekit.core.errors import Unavailable
from edgekit.core.parity import SQNR_LIMIT_DB
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.source import Source
from edgekit.export.builtin.catalogue import builtin_card
from edgekit.export.worker import ExportOutcome, ExportRequest, export_model
from edgekit.jobs.child import run_in_child
from edgekit.jobs.delivery import deliver_graphs, refuse_existing
from edgekit.jobs.feeds import Data, generated_feeds, open_data
from edgekit.jobs.models import choose_card, with_options
from edgekit.jobs.plain import Runs, plain_is_usable, run_file, run_plain
from edgekit.jobs.sequences import compare

__all__ = ["Exported", "export_graphs", "original_graphs", "output_parity", "run", "source_card"]

# Real images that an export is checked on.
_IMAGES = 3


@dataclass(frozen=True)
class Exported:
    """Graphs written into a folder, and how near they are to the reference.

    Attributes:
        outcome: What the export side says.
        parity: The worst case of every output over all shapes.
        verdict: UNVERIFIED where no engine is installed to run the graphs.
        notes: Sentences worth telling.
    """

    outcome: ExportOutcome
    parity: tuple[OutputParity, ...]
    verdict: Verdict
    notes: tuple[str, ...]


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
    trust_code: bool,
    trust_pickle: bool,
    seed: int,
    force: bool,
    progress: Progress,
) -> ExportDocument:
    """See edgekit.api.export."""
    parsed = Source.parse(source, arch)
    refuse_existing(output, force=force)
    found, _ = source_card(parsed, card, options)
    images = open_data(data, found, seed=seed) if data is not None else None
    with tempfile.TemporaryDirectory(prefix="edgekit-export-") as name:
        exported = export_graphs(
            parsed,
            found,
            Path(name),
            inputs=inputs,
            data=images,
            opset=opset,
            trust_code=trust_code,
            trust_pickle=trust_pickle,
            seed=seed,
            progress=progress,
        )
        written = deliver_graphs(exported.outcome.graphs, output, force=force)
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
        size_bytes=sum(path.stat().st_size for path in written.values()),
        notes=exported.notes,
    )


def source_card(
    source: Source, card: Path | None, options: Mapping[str, str] | None = None
) -> tuple[ModelCard, Path]:
    """The card of a source, and the folder where a user's decoder is looked for."""
    if source.kind == "edgekit" and card is None:
        return with_options(builtin_card(source.location), options), Path()
    graph = source.path if source.kind == "onnx" else None
    return choose_card(source.path, graph, card, options)


def original_graphs(source: Source) -> dict[str, Path]:
    """Role to file of every graph that a source brings as ONNX already."""
    path = source.path
    if path is not None and source.kind == "onnx":
        return {"main": path}
    if path is not None and source.kind == "folder":
        return {file.stem: file for file in sorted(path.glob("*.onnx"))}
    return {}


def export_graphs(
    source: Source,
    card: ModelCard,
    folder: Path,
    *,
    inputs: Mapping[str, str] | None,
    data: Data | None,
    opset: int | None,
    trust_code: bool,
    trust_pickle: bool,
    seed: int,
    progress: Progress,
) -> Exported:
    """Export into `folder`, one ROLE.onnx a role, and compare with the reference."""
    progress.stage("export")
    feeds = data.feeds(_IMAGES) if data is not None else {}
    request = ExportRequest(
        source=source,
        card=card,
        inputs=dict(inputs or {}),
        folder=folder,
        opset=opset,
        trust_code=trust_code,
        trust_pickle=trust_pickle,
        feeds=feeds,
        seed=seed,
        runner=run_file if plain_is_usable() else None,
    )
    # One export a process: the exporter keeps state that spoils the next model's.
    outcome = run_in_child(
        export_model, request, what=f"exporting {source.name}", progress=progress
    )
    reference: Runs = outcome.reference
    notes = list(outcome.notes)
    progress.stage("parity")
    try:
        originals = original_graphs(source)
        if originals:
            # What is a graph already: what was cleaned must equal what was given.
            some: dict[str, list[Feeds]] = feeds or generated_feeds(outcome.card, seed)
            reference = {
                **reference,
                **run_plain(originals, {role: some[role] for role in originals}),
            }
        got = run_plain(
            outcome.graphs,
            {role: [case[0] for case in cases] for role, cases in reference.items()},
        )
    except Unavailable as error:
        notes.append(f"Parity was not checked: {error.message}")
        return Exported(outcome, (), "UNVERIFIED", tuple(notes))
    parity = output_parity(reference, got)
    limit = SQNR_LIMIT_DB["fp32"]
    verdict = worst("PASS" if one.sqnr_db >= limit else "FAIL" for one in parity)
    return Exported(outcome, parity, verdict, tuple(notes))


def output_parity(reference: Runs, got: Runs) -> tuple[OutputParity, ...]:
    """Worst case of every output over all cases of two runs."""
    figures = compare(
        {role: [[outputs] for _, outputs in cases] for role, cases in reference.items()},
        {role: [[outputs] for _, outputs in cases] for role, cases in got.items()},
    )
    return tuple(
        OutputParity(
            role=role,
            output=name,
            shape=tuple(reference[role][0][1][name].shape),
            max_abs=_finite(one.max_abs),
            max_rel=_finite(one.max_rel),
            cosine=one.cosine,
            sqnr_db=one.sqnr_db,
        )
        for (role, name), one in figures.items()
    )


def _finite(figure: float) -> float | None:
    """JSON knows no infinity."""
    return figure if math.isfinite(figure) else None
