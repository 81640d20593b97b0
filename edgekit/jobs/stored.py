"""`edgekit results`: what was measured, found again, compared as to its machine, and handed on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from edgekit.benchmarks.environment import differences, observed_differences
from edgekit.core.destination import Destination
from edgekit.core.documents import (
    BenchDocument,
    EnvironmentDocument,
    ExportedDocument,
    ResultRun,
    ResultsDocument,
)
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.jobs.results.exporting import FORMATS, export_text
from edgekit.jobs.results.importing import import_path
from edgekit.jobs.results.reading import read_result
from edgekit.jobs.results.store import ResultStore, StoredRun
from edgekit.jobs.steps.delivery import results_read

__all__ = [
    "environment_of",
    "export_results",
    "import_results",
    "list_results",
    "prune_results",
    "show_result",
]


def list_results(*, model: str | None, limit: int | None) -> ResultsDocument:
    """See edgekit.api.results_list."""
    store = ResultStore()
    listing = store.runs()
    runs = [one for one in listing.runs if model is None or model in one.document.model]
    shown = runs if limit is None else runs[:limit]
    return ResultsDocument(
        folder=str(store.folder), runs=tuple(_line(one) for one in shown), damage=listing.damage
    )


def show_result(result: str, progress: Progress) -> BenchDocument:
    """See edgekit.api.results_show."""
    found = read_result(result)
    for sentence in found.damage:
        progress.note(sentence)
    return found.document


def environment_of(result: str, other: str | None) -> EnvironmentDocument:
    """See edgekit.api.results_environment."""
    here = read_result(result).document.environment
    if other is None:
        return EnvironmentDocument(result=result, environment=here)
    there = read_result(other).document.environment
    return EnvironmentDocument(
        result=result,
        environment=here,
        other=other,
        differences=tuple(differences(here, there)),
        observed=tuple(observed_differences(here, there)),
    )


def export_results(
    results: Sequence[str], *, form: str, output: Path | None, force: bool
) -> ExportedDocument:
    """See edgekit.api.results_export."""
    if form not in FORMATS:
        raise BadInput(f"There is no format {form!r}.", closest(form, FORMATS))
    if not results:
        raise BadInput("No result was given.", hint="See: edgekit results list")
    place = None
    if output is not None:
        place = Destination(output, FORMATS[form], force=force, inputs=results_read(results))
    text = export_text([read_result(one).document for one in results], form)
    if place is not None:
        place.write(text.encode())
    return ExportedDocument(
        format=form,
        results=tuple(results),
        output=str(place.path) if place is not None else None,
        text=text,
    )


def import_results(
    paths: Sequence[Path],
    *,
    form: str | None,
    model: str | None,
    target: str | None,
    progress: Progress,
) -> ResultsDocument:
    """See edgekit.api.results_import."""
    if not paths:
        raise BadInput("Nothing to import was given.", hint="Give a result's file or folder.")
    store = ResultStore()
    numbers: list[int] = []
    for path in paths:
        progress.stage(f"import {path}")
        numbers += import_path(
            store, path, form=form, model=model, target=target, progress=progress
        )
    imported = tuple(_line(store.run(number)) for number in numbers)
    return ResultsDocument(folder=str(store.folder), runs=(), imported=imported)


def prune_results(
    *, older_than_days: float | None, keep: int | None, invalid: bool, dry_run: bool
) -> ResultsDocument:
    """See edgekit.api.results_prune."""
    if older_than_days is None and keep is None and not invalid:
        raise BadInput(
            "Nothing says what may go.", hint="Give --older-than DAYS, --keep N or --invalid."
        )
    store = ResultStore()
    listing = store.runs()
    going = [
        one
        for place, one in enumerate(listing.runs)
        if (keep is not None and place >= keep)
        or (older_than_days is not None and _older(one, older_than_days))
        or (invalid and not any(entry.valid for entry in one.document.entries))
    ]
    if not dry_run:
        store.remove([one.number for one in going])
    gone = {one.number for one in going}
    return ResultsDocument(
        folder=str(store.folder),
        runs=tuple(_line(one) for one in listing.runs if one.number not in gone),
        removed=tuple(_line(one) for one in going),
        damage=listing.damage,
    )


def _older(run: StoredRun, days: float) -> bool:
    try:
        created = datetime.fromisoformat(run.document.created)
    except ValueError:
        # Of what has no date nobody can say that it is old.
        return False
    return created < datetime.now(timezone.utc) - timedelta(days=days)


def _line(run: StoredRun) -> ResultRun:
    document = run.document
    return ResultRun(
        run=run.number,
        created=document.created,
        model=document.model,
        tool=next((entry.tool for entry in document.entries), "edgekit"),
        targets=tuple(dict.fromkeys(entry.target for entry in document.entries)),
        entries=len(document.entries),
        valid=sum(entry.valid for entry in document.entries),
        machine=str(document.environment.identity.get("cpu") or ""),
        environment=document.environment.sha256,
    )
