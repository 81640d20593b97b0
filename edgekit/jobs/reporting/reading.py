"""Bundles and results read from disk, as the subjects of a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.report.records import Subject, name_of
from edgekit.core.card import card_from_dict
from edgekit.core.certificate import Metric
from edgekit.core.details import Details
from edgekit.core.documents import (
    BenchEntry,
    DeployDocument,
    DeployEntry,
    EvalDocument,
)
from edgekit.core.errors import BadInput
from edgekit.core.json_text import as_kind, parse_json, read_json
from edgekit.core.manifest import Manifest
from edgekit.core.measurement import Latency
from edgekit.core.texts import shown
from edgekit.jobs.model.bundle import damage, sealed_content
from edgekit.jobs.model.certified import Certified
from edgekit.jobs.reporting.subjects import deployed
from edgekit.jobs.results.raw import RawSamples, read_samples
from edgekit.jobs.results.reading import read_result

__all__ = ["DETAILS", "names", "read_subject"]

DETAILS = "details.json"
_BENCH = "bench.json"
_TAKEN = "A report takes bundles, and what `deploy`, `bench` and `eval` write with --json."
_AGAIN = "Make it again."


def read_subject(path: Path, name: str) -> Subject:
    """Read a bundle, the folder of a measurement, or a JSON document.

    Args:
        path: As it was typed.
        name: What the page calls it.

    Raises:
        BadInput: There is no such thing, it is damaged beyond reading, or of another kind.
    """
    if path.is_dir() and (path / _BENCH).is_file() and not (path / "manifest.json").exists():
        return _document(path / _BENCH, name)
    if path.is_file():
        return _document(path, name)
    return _bundle(path, name)


@dataclass
class _Reader:
    """Reads files of a bundle that it can do without, and keeps a sentence on each it must."""

    bundle: Path
    manifest: Manifest
    notes: list[str]

    def content(self, name: str) -> bytes | None:
        """Bytes of a file; None where it is missing or was changed."""
        try:
            return sealed_content(self.bundle, self.manifest, name)
        except BadInput:
            self.notes.append(f"{name} is missing or was changed, so the page does without it.")
            return None

    def samples(self, entry: DeployEntry) -> npt.NDArray[np.int64] | None:
        """Raw latencies of an entry, ns; None where there are none."""
        name = f"measurements/{name_of(entry)}.npz"
        if entry.latency is None or self.content(name) is None:
            return None
        found = _samples(self.bundle / name)
        if found is None:
            self.notes.append(f"{name} holds no samples, so the page does without it.")
        return found

    def details(self) -> Details:
        """By class and by image; empty for a bundle that was made before they were kept."""
        content = self.content(DETAILS) if DETAILS in self.manifest.files else None
        if content is None:
            return Details()
        try:
            return parse_json(content, DETAILS, Details)
        except BadInput as error:
            self.notes.append(f"The page does without {DETAILS}. {error.message}")
            return Details()


def _bundle(path: Path, name: str) -> Subject:
    certified = Certified.read(path)
    manifest, document = certified.manifest, certified.document
    reader = _Reader(certified.folder, manifest, [])
    samples = {name_of(entry): reader.samples(entry) for entry in document.entries}
    recipe = reader.content("recipe.yaml")
    return deployed(
        document,
        name=name,
        bundle=path,
        card=card_from_dict(manifest.card, str(path / "manifest.json")),
        created=manifest.created,
        version=manifest.edgekit,
        source={key: str(value) for key, value in manifest.source.items()},
        samples={key: found for key, found in samples.items() if found is not None},
        details=reader.details(),
        recipe="" if recipe is None else recipe.decode("utf-8", "replace"),
        damage=damage(certified.folder, manifest),
        notes=reader.notes,
    )


def _document(path: Path, name: str) -> Subject:
    """A JSON document; its schema says of which kind."""
    found = read_json(path, hint=_TAKEN)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema == "edgekit.deploy/1":
        return deployed(as_kind(found, path, DeployDocument, hint=_AGAIN), name=name, bundle=None)
    if schema == "edgekit.bench/1":
        return _benched(path, name)
    if schema == "edgekit.eval/1":
        return _evaluated(as_kind(found, path, EvalDocument, hint=_AGAIN), name)
    kind = shown(schema) if isinstance(schema, str) else "not told"
    raise BadInput(f"{path} cannot be shown: its schema is {kind}.", hint=_TAKEN)


def _benched(path: Path, name: str) -> Subject:
    result = read_result(str(path))
    document = result.document
    entries = [_timed(entry) for entry in document.entries]
    drawable = {place: _drawable(raw) for place, raw in result.samples.items()}
    return Subject(
        name=name,
        kind="bench",
        model=document.model,
        entries=entries,
        environment=document.environment,
        samples={
            name_of(entries[place]): found for place, found in drawable.items() if found is not None
        },
    )


def _evaluated(document: EvalDocument, name: str) -> Subject:
    entry = _entry(document.target, document.variant, document.compute, metric=document.metric)
    skipped = [f"Skipped: {sentence}" for sentence in document.skipped]
    return Subject(
        name=name,
        kind="eval",
        model=document.model,
        entries=[entry],
        reference_metric=None,
        notes=skipped,
    )


def _timed(entry: BenchEntry) -> DeployEntry:
    latency = Latency(
        boundary=entry.boundary,
        n=entry.n,
        p50_ms=entry.p50_ms,
        p50_low_ms=entry.p50_low_ms,
        p50_high_ms=entry.p50_high_ms,
        p90_ms=entry.p90_ms,
        p99_ms=entry.p99_ms,
    )
    made = _entry(entry.target, entry.variant, entry.compute)
    return msgspec.structs.replace(
        made,
        executed_precision=entry.executed_precision,
        latency=latency if entry.n else None,
        throughput_per_s=entry.throughput_per_s,
        throughput_low_per_s=entry.throughput_low_per_s,
        throughput_high_per_s=entry.throughput_high_per_s,
        load_ms=entry.load_ms,
        first_ms=entry.first_ms,
        rss_peak_bytes=entry.rss_peak_bytes,
        valid=entry.valid,
        reasons=entry.reasons,
    )


def _entry(target: str, variant: str, compute: str, *, metric: Metric | None = None) -> DeployEntry:
    return DeployEntry(
        target=target,
        variant=variant,
        compute=compute,
        verdict="UNVERIFIED",
        executed_precision="",
        checks={},
        metric=metric,
        latency=None,
        throughput_per_s=None,
        size_bytes=0,
        load_ms=None,
        first_ms=None,
        rss_peak_bytes=None,
        energy_j=None,
    )


def _samples(path: Path) -> npt.NDArray[np.int64] | None:
    """Raw latencies, ns, above 0; None where the file holds none."""
    return _drawable(read_samples(path))


def _drawable(raw: RawSamples | None) -> npt.NDArray[np.int64] | None:
    if raw is None or int(raw.samples_ns.min()) <= 0:
        return None
    return raw.samples_ns


def names(paths: Sequence[Path]) -> list[str]:
    """Return what a page calls several bundles or results: the shortest names that differ.

    The last part of each path, or all of it where two would be called the same.
    """
    # Path.resolve raises where links go round in a circle.
    ends = [Path(os.path.realpath(path)).name or str(path) for path in paths]
    return [
        end if ends.count(end) == 1 else str(path) for path, end in zip(paths, ends, strict=True)
    ]
