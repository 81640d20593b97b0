"""A deployment as the subject of a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.report.gallery import shown_images
from edgekit.benchmarks.report.records import Subject, name_of
from edgekit.core.card import ModelCard
from edgekit.core.details import Details, DifferingImage
from edgekit.core.documents import DeployDocument

__all__ = ["deployed", "wanted_images"]


def deployed(
    document: DeployDocument,
    *,
    name: str,
    bundle: Path | None,
    card: ModelCard | None = None,
    created: str = "",
    version: str = "",
    source: Mapping[str, str] | None = None,
    samples: Mapping[str, npt.NDArray[np.int64]] | None = None,
    details: Details | None = None,
    recipe: str = "",
    damage: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Subject:
    """Return the subject of a deployment.

    Args:
        document: What deploy said.
        name: What the page calls it.
        bundle: Its folder; None for the document alone.
        card: The model's.
        created: As in Subject, and so are the others.
        version: Of the edgekit that made it.
        source: What the model came from.
        samples: Raw latencies.
        details: By class and by image.
        recipe: That repeats it.
        damage: What is wrong with the bundle.
        notes: More sentences worth telling than the document holds.
    """
    return Subject(
        name=name,
        kind="deploy" if bundle is None else "bundle",
        model=document.source,
        entries=document.entries,
        task=card.task if card is not None else "",
        labels=card.labels if card is not None else (),
        recommended=document.recommended,
        best=document.best,
        reference=document.reference,
        reference_metric=document.reference_metric,
        environment=document.environment,
        created=created,
        version=version,
        source=source or {},
        samples=samples or {},
        details=details or Details(),
        recipe=recipe,
        commands=_commands(bundle) if bundle is not None else (),
        damage=damage,
        notes=(*document.notes, *notes),
    )


def wanted_images(subject: Subject) -> list[DifferingImage]:
    """Return the images that a page about a subject shows."""
    return shown_images(subject.details, [name_of(entry) for entry in subject.in_focus()])


def _commands(bundle: Path) -> list[tuple[str, str]]:
    place = shlex.quote(str(bundle))
    recipe = shlex.quote(str(bundle / "recipe.yaml"))
    return [
        ("Deploy again, as here", f"edgekit deploy --config {recipe} -o again"),
        ("Check the bundle where it arrives", f"edgekit verify {place}"),
        ("This page with the pictures", f"edgekit report {place} --data DIR -o report.html"),
        ("What the device needs in one folder", f"edgekit pack {place} --target TARGET -o DIR"),
    ]
