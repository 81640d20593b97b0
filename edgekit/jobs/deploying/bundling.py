"""What a deploy puts into the bundle: card, graphs, engines, certificates, samples, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np

from edgekit.benchmarks.report.page import render
from edgekit.benchmarks.report.records import Subject
from edgekit.core.card import ModelCard, card_to_dict
from edgekit.core.certificate import Certificate
from edgekit.core.details import Details, DifferingImage, EntryDetails
from edgekit.core.documents import DeployDocument, DeployEntry
from edgekit.core.errors import BadInput
from edgekit.core.files import pretty_json, sha256_file, write_bytes, write_text
from edgekit.core.manifest import Engine, Manifest
from edgekit.core.source import Source
from edgekit.core.variant import Variant
from edgekit.core.version import __version__
from edgekit.jobs.deploying.recipe import write_recipe
from edgekit.jobs.measuring.entries import raw_samples
from edgekit.jobs.model.bundle import entry_name, seal
from edgekit.jobs.process.golden import write_golden
from edgekit.jobs.process.worker import EntryFigures
from edgekit.jobs.reporting.pictures import with_pictures, without_pictures
from edgekit.jobs.reporting.reading import DETAILS
from edgekit.jobs.reporting.subjects import deployed
from edgekit.jobs.results.writing import write_samples
from edgekit.jobs.steps.cache import RECORD
from edgekit.jobs.steps.engine import CachedEngine
from edgekit.jobs.steps.entries import Plan
from edgekit.jobs.steps.examine import Truths
from edgekit.jobs.steps.failures import sentence_of
from edgekit.jobs.steps.request import DeployRequest
from edgekit.tasks import cards
from edgekit.tasks.decoders import carried

__all__ = ["BundleContents", "Made", "deploy_entry", "write_bundle"]


@dataclass(frozen=True)
class Made:
    """What became of one plan.

    Attributes:
        engines: By role; empty where the engine refused the graph.
        certificate: None where the entry could not be run; `error` says why.
        golden_sqnr_db: On the golden inputs, the worst output.
        details: By class and by image; of a report, never of a verdict.
        images: What is known of the images that `details` names.
    """

    plan: Plan
    engines: Mapping[str, CachedEngine]
    certificate: Certificate | None = None
    golden_sqnr_db: float | None = None
    error: str = ""
    details: EntryDetails = field(default_factory=EntryDetails)
    images: Sequence[DifferingImage] = ()


@dataclass(frozen=True)
class BundleContents:
    """Everything that goes into a bundle.

    Attributes:
        request: What was asked for.
        source: What the model came from.
        card: With the tensors of every graph.
        card_folder: Where a decoder that it names lies.
        variants: By id; their graphs lie in the cache.
        decisions: What calibration decided, by role, in the cache.
        truths: What the reference answered.
        made: Every entry.
        figures: Entry to its figures, or to why there are none.
        document: The whole.
        reported: Whether there is to be a report page.
    """

    request: DeployRequest
    source: Source
    card: ModelCard
    card_folder: Path
    variants: Mapping[str, Variant]
    decisions: Mapping[str, Path]
    truths: Truths
    made: Sequence[Made]
    figures: Mapping[str, EntryFigures | str]
    document: DeployDocument
    reported: bool


def write_bundle(folder: Path, contents: BundleContents) -> DeployDocument:
    """Write a bundle into an empty folder: every file, then the manifest over them.

    Returns:
        The document as it stands in the bundle; where the page failed, a note says so.
    """
    card = _write_card(folder, contents.card, contents.card_folder)
    for variant in contents.variants.values():
        for role, path in variant.paths.items():
            _copy(path, folder / _graph(variant.id, role))
    for path in contents.decisions.values():
        _copy(path, folder / "quantization" / path.name)
    for role, feeds in contents.truths.golden_feeds.items():
        write_golden(folder / "golden" / f"{role}.npz", feeds, contents.truths.golden[role])
    for one in contents.made:
        if one.certificate is not None:
            name = _name(one.plan)
            write_bytes(folder / "certificates" / f"{name}.json", pretty_json(one.certificate))
            for role, engine in one.engines.items():
                place = folder / _engine_folder(one.plan, role)
                shutil.copytree(engine.folder, place, ignore=shutil.ignore_patterns(RECORD))
                place.chmod(0o755)  # in the cache it is the user's own
        figures = contents.figures.get(str(one.plan))
        if isinstance(figures, EntryFigures):
            write_samples(folder / "measurements" / f"{_name(one.plan)}.npz", raw_samples(figures))
    write_recipe(folder / "recipe.yaml", contents.request)
    write_bytes(folder / "deploy.json", pretty_json(contents.document))
    details = _details(contents.made)
    write_bytes(folder / DETAILS, pretty_json(details))
    manifest = _manifest(folder, contents, card)
    document = contents.document
    if contents.reported:
        try:
            page = render([_subject(folder, contents, card, manifest, details)])
        except Exception as error:
            note = f"report.html was left out: {sentence_of(error)}"
            document = msgspec.structs.replace(document, notes=(*document.notes, note))
            write_bytes(folder / "deploy.json", pretty_json(document))
        else:
            write_text(folder / "report.html", page)
    seal(folder, manifest)
    return document


def _write_card(folder: Path, card: ModelCard, card_folder: Path) -> ModelCard:
    """Write the card, and the user's decoder beside it.

    Returns:
        The card as it stands in the bundle, its decoder named as it lies there.
    """
    card, decoder, missing = carried(card, card_folder)
    if missing:
        raise BadInput(missing, hint="A bundle is whole: put the file there, or change the card.")
    if decoder is not None:
        write_bytes(folder / decoder.name, decoder.read_bytes())
    write_text(folder / "card.yaml", cards.dump_card(card))
    return card


def _copy(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)


def deploy_entry(
    made: Made, found: EntryFigures | str | None, variant: Variant | None, measured_at: str
) -> DeployEntry:
    """Lay everything known of an entry into the document.

    Args:
        made: The entry.
        found: Its figures, or why there are none.
        variant: With its graphs; None where it failed.
        measured_at: UTC, ISO 8601.
    """
    certificate = made.certificate
    measured = found if isinstance(found, EntryFigures) else None
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
        throughput_low_per_s=stream.throughput_low_per_s if stream else None,
        throughput_high_per_s=stream.throughput_high_per_s if stream else None,
        size_bytes=sum(path.stat().st_size for path in variant.paths.values()) if variant else 0,
        load_ms=measured.load_ns / 1e6 if measured else None,
        first_ms=measured.first_ns / 1e6 if measured else None,
        rss_peak_bytes=measured.rss_peak_bytes if measured else None,
        energy_j=None,
        valid=stream.valid if stream else False,
        reasons=stream.reasons if stream else (str(found or "It was not measured."),),
        error=made.error,
        measured_at=measured_at if measured else "",
    )


def _manifest(folder: Path, contents: BundleContents, card: ModelCard) -> Manifest:
    source, made, document = contents.source, contents.made, contents.document
    origin: dict[str, str] = {"text": source.text, "kind": source.kind}
    if source.path is not None and source.path.is_file():
        origin["sha256"] = sha256_file(source.path)
    relative = {
        name: msgspec.structs.replace(
            variant, graphs={role: _graph(name, role) for role in variant.graphs}
        )
        for name, variant in contents.variants.items()
    }
    return Manifest(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgekit=__version__,
        source=origin,
        reference=document.reference,
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
        stages={f"{one.stage} of {one.subject}": one.key for one in document.stages},
    )


def _details(made: Sequence[Made]) -> Details:
    """By class and by image, of every entry that answered images."""
    told = [one for one in made if one.details.images]
    return Details(
        entries={_name(one.plan): one.details for one in told},
        images={image.id: image for one in told for image in one.images},
    )


def _subject(
    folder: Path, contents: BundleContents, card: ModelCard, manifest: Manifest, details: Details
) -> Subject:
    """What the page shows; pictures only where the user asked for them."""
    request = contents.request
    subject = deployed(
        contents.document,
        name=request.output.resolve().name,
        bundle=request.output,
        card=card,
        created=manifest.created,
        version=manifest.edgekit,
        source=manifest.source,
        samples={
            _name(one.plan): np.array(found.stream.samples_ns, np.int64)
            for one in contents.made
            if isinstance(found := contents.figures.get(str(one.plan)), EntryFigures)
        },
        details=details,
        recipe=(folder / "recipe.yaml").read_text(encoding="utf-8"),
    )
    if not request.report_images:
        return without_pictures(subject, request.output)
    files: dict[str, list[Path]] = {}
    for sample in contents.truths.samples:
        files.setdefault(sample.path.name, []).append(sample.path)
    return with_pictures(subject, files)


def _name(plan: Plan) -> str:
    return entry_name(str(plan.target), plan.variant, plan.compute)


def _engine_folder(plan: Plan, role: str) -> str:
    return f"engines/{_name(plan)}/{role}"


def _graph(variant: str, role: str) -> str:
    return f"variants/{variant}/{role}.onnx"
