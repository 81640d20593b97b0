"""Results from elsewhere into the store: edgekit's own, trtexec's, benchmark_app's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from edgekit.core.documents import BenchDocument, BenchEntry, Environment
from edgekit.core.errors import BadInput
from edgekit.core.json_text import read_json
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.core.texts import shown
from edgekit.jobs.results.benchmark_app import (
    benchmark_app_entry,
    benchmark_app_model,
    is_benchmark_app,
)
from edgekit.jobs.results.raw import RawSamples, read_samples
from edgekit.jobs.results.reading import read_result
from edgekit.jobs.results.record import read_record
from edgekit.jobs.results.store import ResultStore
from edgekit.jobs.results.trtexec import is_trtexec, trtexec_entries

__all__ = ["FORMATS", "import_path"]

# Bytes; the times of 600,000 inferences by trtexec.
_LIMIT = 128 << 20

FORMATS = ("edgekit", "trtexec", "benchmark_app")


@dataclass(frozen=True)
class _Found:
    document: BenchDocument
    entries: list[tuple[BenchEntry, RawSamples | None]]


def import_path(
    store: ResultStore,
    path: Path,
    *,
    form: str | None,
    model: str | None,
    target: str | None,
    progress: Progress,
) -> list[int]:
    """Store what a file or folder holds.

    Args:
        store: Where it goes.
        path: A result of `edgekit bench`, a file of trtexec or benchmark_app, or a folder of raw
            samples that a store wrote.
        form: One of FORMATS; None looks at the content.
        model: Name of the model, where the file does not say it.
        target: Where it ran, likewise.
        progress: Told what is skipped.

    Returns:
        Numbers of the runs that were added.

    Raises:
        BadInput: It is none of these, or damaged.
    """
    if form is not None and form not in FORMATS:
        raise BadInput(f"There is no format {form!r}.", closest(form, FORMATS))
    if path.is_dir() and not (path / "bench.json").is_file():
        return _rebuild(store, path, progress)
    found = _read(path, form, model, target)
    run = store.begin(found.document, progress=progress)
    for entry, samples in found.entries:
        store.add(run, entry, samples, progress=progress)
    return [run]


def _read(path: Path, form: str | None, model: str | None, target: str | None) -> _Found:
    if path.is_dir() or form == "edgekit":
        return _own(path)
    content = read_json(path, limit=_LIMIT, hint="Give a result's file.")
    if form == "trtexec" or (form is None and is_trtexec(content)):
        if not is_trtexec(content):
            raise BadInput(f"{path} holds no times of trtexec --exportTimes.")
        times = trtexec_entries(
            content, target=target or "tensorrt:cuda", variant="imported", place=str(path)
        )
        return _Found(_foreign(model or path.stem), list(times))
    if form == "benchmark_app" or (form is None and is_benchmark_app(content)):
        if not is_benchmark_app(content):
            raise BadInput(f"{path} holds no report of benchmark_app -json_stats.")
        entry = benchmark_app_entry(
            content, target=target or "", variant="imported", place=str(path)
        )
        name = model or benchmark_app_model(content) or path.stem
        return _Found(_foreign(name), [(entry, None)])
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema is None or str(schema).startswith("edgekit.bench/"):
        return _own(path)
    raise BadInput(
        f"{path} is {shown(schema)}, and results are edgekit.bench/1.",
        hint="Give what `edgekit bench`, trtexec or benchmark_app wrote.",
    )


def _own(path: Path) -> _Found:
    read = read_result(str(path))
    entries = [
        (msgspec.structs.replace(entry, samples=None), read.samples.get(place))
        for place, entry in enumerate(read.document.entries)
    ]
    return _Found(read.document, entries)


def _foreign(model: str) -> BenchDocument:
    """A run of another tool: its machine is not known."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return BenchDocument(
        model=model, environment=Environment(identity={}, observed={}), entries=(), created=now
    )


def _rebuild(store: ResultStore, folder: Path, progress: Progress) -> list[int]:
    """Take in the samples files of a store, by what each says that it belongs to."""
    files = sorted(folder.rglob("*.npz"))
    if not files:
        raise BadInput(
            f"{folder} holds neither bench.json nor files of raw samples.",
            hint="Give the folder of a result, or the folder `samples` of a store.",
        )
    known = {key for run in store.runs().runs for key in run.keys}
    uids = {run.uid: run.number for run in store.runs().runs}
    records = [(file, record) for file in files if (record := read_record(file)) is not None]
    skipped = len(files) - len(records)
    if skipped:
        progress.note(f"{skipped} of {len(files)} files are damaged or do not say what they are.")
    added: list[int] = []
    for file, record in sorted(records, key=lambda one: one[1].added):
        if record.key in known:
            continue
        if record.uid not in uids:
            uids[record.uid] = store.begin_as(record.uid, record.document, progress=progress)
            added.append(uids[record.uid])
        (entry,) = record.document.entries
        store.add(uids[record.uid], entry, read_samples(file), key=record.key, progress=progress)
        if uids[record.uid] not in added:
            added.append(uids[record.uid])
    return added
