"""What a deploy puts into the bundle: card, engines, certificates, samples, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.core.card import ModelCard, card_to_dict
from edgekit.core.certificate import Certificate
from edgekit.core.documents import DeployDocument, DeployEntry
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file, write_bytes, write_text
from edgekit.core.manifest import Engine, Manifest
from edgekit.core.source import Source
from edgekit.core.variant import Variant
from edgekit.jobs.bench import write_samples
from edgekit.jobs.bundle import entry_name, seal
from edgekit.jobs.engines import CachedEngine
from edgekit.jobs.entries import Plan
from edgekit.jobs.worker import Measured
from edgekit.tasks import cards
from edgekit.tasks.decoders import decoder_file

__all__ = ["Made", "deploy_entry", "finish_bundle", "keep_card", "keep_entry"]


@dataclass(frozen=True)
class Made:
    """What became of one plan so far.

    Attributes:
        engines: By role; empty where the engine refused the graph.
        certificate: None where the entry could not be run; `error` says why.
        golden_sqnr_db: On the golden inputs, the worst output.
    """

    plan: Plan
    engines: dict[str, CachedEngine]
    certificate: Certificate | None = None
    golden_sqnr_db: float | None = None
    error: str = ""


def keep_card(folder: Path, card: ModelCard, card_folder: Path) -> ModelCard:
    """Write the card into the bundle, and the user's decoder beside it.

    Returns:
        The card as it stands in the bundle, its decoder named as it lies there.
    """
    head = card.postprocess
    file = decoder_file(head.decode, card_folder) if head is not None else None
    if head is not None and file is not None:
        if not file.is_file():
            raise BadInput(f"{file}, which the card names as its decoder, does not exist.")
        write_bytes(folder / file.name, file.read_bytes())
        decode = f"{file.name}:{head.decode.rpartition(':')[2]}"
        card = msgspec.structs.replace(
            card, postprocess=msgspec.structs.replace(head, decode=decode)
        )
    write_text(folder / "card.yaml", cards.dump_card(card))
    return card


def keep_entry(folder: Path, made: Made) -> None:
    """Write an entry's certificate and engines as soon as it has them."""
    write_bytes(folder / "certificates" / f"{_name(made.plan)}.json", _json(made.certificate))
    for role, engine in made.engines.items():
        shutil.copytree(engine.folder, folder / _engine_folder(made.plan, role))


def deploy_entry(made: Made, measured: Measured | None, variant: Variant) -> DeployEntry:
    """Lay everything known of an entry into the document."""
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


def finish_bundle(
    folder: Path,
    source: Source,
    card: ModelCard,
    variants: Mapping[str, Variant],
    made: Sequence[Made],
    measured: Sequence[Measured | None],
    document: DeployDocument,
) -> None:
    """Write raw samples and the document, then the manifest over every file.

    Args:
        folder: The bundle.
        source: What the model came from.
        card: As it stands in the bundle.
        variants: By id, their graphs inside the bundle.
        made: Every entry.
        measured: Its figures, None where it was not measured.
        document: The whole.
    """
    for one, figures in zip(made, measured, strict=True):
        if figures is not None:
            write_samples(folder / "measurements" / f"{_name(one.plan)}.npz", figures)
    write_bytes(folder / "deploy.json", _json(document))
    seal(folder, _manifest(folder, source, card, variants, made, document))


def _manifest(
    folder: Path,
    source: Source,
    card: ModelCard,
    variants: Mapping[str, Variant],
    made: Sequence[Made],
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
    )


def _name(plan: Plan) -> str:
    return entry_name(str(plan.target), plan.variant, plan.compute)


def _engine_folder(plan: Plan, role: str) -> str:
    return f"engines/{_name(plan)}/{role}"


def _json(record: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record)) + b"\n"
