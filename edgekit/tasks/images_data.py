"""Data sets of images without a truth, and of images with a class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.opening import TABLE_BYTES, no_file, placed
from edgekit.core.reading import read_text
from edgekit.core.texts import shown, whole_number
from edgekit.tasks.class_names import match_classes
from edgekit.tasks.images import LINK, image_files
from edgekit.tasks.samples import FoundSamples, Role, Sample
from edgekit.tasks.tables import table

# ruff: noqa: ARG001  (the arguments of a reader are fixed)

__all__ = ["read_class_folders", "read_labels_csv", "read_plain"]

_CSV = "labels.csv"
_CLASSES = 10**9


def read_plain(folder: Path, card: ModelCard) -> FoundSamples | None:
    """Find images without a truth: those below `images/`, else those below the folder."""
    root = folder / "images" if (folder / "images").is_dir() else folder
    paths = image_files(root)
    samples = tuple(Sample(path.relative_to(folder).as_posix(), path) for path in paths)
    return FoundSamples("images", samples, labelled=False) if samples else None


def read_labels_csv(folder: Path, card: ModelCard) -> FoundSamples | None:
    """Read labels.csv: columns `file` (relative to the folder), `class_index`, optionally `role`.

    Raises:
        BadInput: A column or a file is missing, an index is out of range, a role is unknown, or a
            file is there twice; names the line.
    """
    path = folder / _CSV
    if not os.path.lexists(path):
        return None
    columns, rows = table(read_text(path, limit=TABLE_BYTES), path, ("file", "class_index"))
    samples: dict[str, Sample] = {}
    for where, row in rows:
        sample = _sample(row, folder, card, where, "role" in columns)
        if sample.id in samples:
            raise BadInput(f"{where}: {shown(sample.id)} is there twice.")
        samples[sample.id] = sample
    return FoundSamples(_CSV, tuple(samples.values()), labelled=True, annotations=(path,))


def read_class_folders(folder: Path, card: ModelCard) -> FoundSamples | None:
    """Read one folder of images a class, named like the labels or in their order.

    Raises:
        BadInput: The folders match the labels neither by name nor by number.
    """
    folders = sorted(
        each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    )
    if not folders or [each.name for each in folders] == ["images"]:
        return None
    names = [each.name for each in folders]
    indices, note = match_classes(names, card.labels, f"The data set {folder}")
    by_order = bool(note) or not card.labels
    if by_order and all(name.isdecimal() for name in names) and sorted(names, key=int) != names:
        # Sorted as text, 10 comes before 2. Which of the two orders is meant only the user knows.
        raise BadInput(
            f"The class folders of {folder} are numbers whose order as text and as numbers differ.",
            hint="Name the folders as the card's labels, or write labels.csv.",
        )
    samples = tuple(
        Sample(path.relative_to(folder).as_posix(), path, index)
        for each, index in zip(folders, indices, strict=True)
        for path in image_files(each)
    )
    return FoundSamples("class folders", samples, labelled=True, notes=(note,) if note else ())


def _sample(row: dict[str, str], folder: Path, card: ModelCard, where: str, roles: bool) -> Sample:
    name = row["file"]
    path = placed(name, folder, where, links=True, hint=LINK)
    missing = no_file(path)
    if missing:
        raise BadInput(f"{where}: the file {shown(name)} {missing} (in {folder}).")
    index = whole_number(row["class_index"])
    if index is None or index >= _CLASSES:
        said = shown(row["class_index"])
        raise BadInput(f"{where}: class_index {said} is not a whole number from 0.")
    if card.labels and index >= len(card.labels):
        raise BadInput(
            f"{where}: class_index {index} is out of range; the card names {len(card.labels)} "
            "labels."
        )
    role = row["role"] if roles else ""
    if roles and role not in ("calib", "eval"):
        raise BadInput(f"{where}: the role {shown(role)} is unknown.", hint="Known: calib, eval.")
    return Sample(name, path, index, cast("Role", role) if roles else None)
