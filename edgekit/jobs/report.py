"""`edgekit report`: one page about one or several bundles or results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.benchmarks.report.measured import BenchSubject, Compared, render_measured
from edgekit.benchmarks.report.page import render
from edgekit.benchmarks.report.records import Subject
from edgekit.benchmarks.report.summary import lead
from edgekit.benchmarks.report.template import load_libraries
from edgekit.core.destination import PAGE, Destination
from edgekit.core.documents import ReportChoice, ReportDocument
from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress
from edgekit.jobs.reporting.measurements import measurements
from edgekit.jobs.reporting.pictures import images_below, with_pictures, without_pictures
from edgekit.jobs.reporting.reading import names, read_subject
from edgekit.jobs.steps.delivery import results_read

__all__ = ["run"]


def run(
    sources: Sequence[Path], output: Path, *, data: Path | None, force: bool, progress: Progress
) -> ReportDocument:
    """See edgekit.api.report."""
    if not sources:
        raise BadInput("Nothing to report on was given.", hint="Give a bundle or a result.")
    place = Destination(output, PAGE, force=force, inputs=[*results_read(sources), data])
    load_libraries()
    measured = measurements(sources)
    if measured is not None:
        progress.stage("write the page")
        return _measured(sources, place, measured)
    files = images_below(data) if data is not None else None
    subjects: list[Subject] = []
    for path, name in zip(sources, names(sources), strict=True):
        progress.stage(f"read {name}")
        subject = read_subject(path, name)
        if files is None:
            subjects.append(without_pictures(subject, path))
        else:
            subjects.append(with_pictures(subject, files))
    progress.stage("write the page")
    place.write(render(subjects).encode())
    damaged = [sentence for subject in subjects for sentence in subject.damage]
    return ReportDocument(
        output=str(place.path),
        bundles=tuple(str(path) for path in sources),
        recommended=tuple(
            _choice(str(path), one) for path, one in zip(sources, subjects, strict=True)
        ),
        size_bytes=place.path.stat().st_size,
        pictures=sum(len(subject.pictures) for subject in subjects),
        damaged=tuple(damaged),
        notes=tuple(note for one in subjects for note in (*one.notes, one.pictures_note) if note),
    )


def _measured(
    sources: Sequence[Path], place: Destination, measured: Sequence[BenchSubject | Compared]
) -> ReportDocument:
    """Write the page of measurements: they are shown, and nothing is recommended."""
    place.write(render_measured(measured).encode())
    notes = [note for one in measured if isinstance(one, BenchSubject) for note in one.damage]
    kinds = ["bench" if isinstance(one, BenchSubject) else "compare" for one in measured]
    return ReportDocument(
        output=str(place.path),
        bundles=tuple(str(path) for path in sources),
        recommended=tuple(
            ReportChoice(bundle=str(path), reason=f"A result of edgekit {kind} has no certificate.")
            for path, kind in zip(sources, kinds, strict=True)
        ),
        size_bytes=place.path.stat().st_size,
        notes=tuple(notes),
    )


def _choice(source: str, subject: Subject) -> ReportChoice:
    entry = lead(subject).entry if subject.certified else None
    if entry is not None:
        reason = subject.best.reason if subject.best else ""
        return ReportChoice(
            bundle=source,
            target=entry.target,
            variant=entry.variant,
            compute=entry.compute,
            verdict=entry.verdict,
            reason=reason,
            settled=subject.best is None or subject.best.settled,
        )
    if not subject.certified:
        reason = f"A result of edgekit {subject.kind} has no certificate."
    else:
        reason = " ".join(one.reason for one in subject.recommended) or "Nothing could be made."
    return ReportChoice(bundle=source, reason=reason)
