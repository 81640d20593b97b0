"""Data sets: images or arrays, their truths, and which of them calibrate and which score."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.core.opening import no_file
from edgekit.tasks.array_data import read_arrays
from edgekit.tasks.coco_data import read_coco
from edgekit.tasks.images import UnreadableImage
from edgekit.tasks.images_data import read_class_folders, read_labels_csv, read_plain
from edgekit.tasks.mask_data import read_masks
from edgekit.tasks.samples import Example, FoundSamples, Role, Sample, load, sample_id
from edgekit.tasks.yolo_data import read_yolo

__all__ = ["CALIBRATION_SHARE", "FORMATS", "Dataset", "open_dataset", "readable"]

# Of a data set that says nothing itself, this share calibrates and the rest scores.
CALIBRATION_SHARE = 0.25

Reader = Callable[[Path, ModelCard], FoundSamples | None]

# The formats of a task, tried in this order: the first that recognises the folder reads it.
FORMATS: dict[str, tuple[Reader, ...]] = {
    "classification": (read_labels_csv, read_class_folders, read_plain),
    "detection": (read_coco, read_yolo, read_plain),
    "segmentation": (read_masks, read_plain),
    "raw": (read_arrays,),
    "audio": (read_arrays,),
    "text": (read_arrays,),
}
_EXPECTED = {
    "classification": "labels.csv, a folder of images a class, or images",
    "detection": "images/ with instances.json, data.yaml, or images",
    "segmentation": "images/ with masks/, or images",
}
# What a format calls the two roles, where that is not role=calib and role=eval.
_ROLES: dict[str, dict[Role, str]] = {"yolo": {"calib": "`train`", "eval": "`val`"}}


@dataclass(frozen=True)
class Dataset:
    """What calibrates and what scores; the two are disjoint.

    Attributes:
        samples: All of them; `role` says what each is used for.
        labelled: Whether those that score have truths.
        split: How the roles came about: "role" (the data set says so), "folder" (a folder of its
            own calibrates), or "seeded 0.25 seed 0".
        fingerprint: sha256 over ids, sizes and roles of the samples and the annotation files.
        format: See samples.Found.
        seed: Of the split and of the order of calibration.
        folder: The data set as it was named; None where only one for calibration was.
        notes: Sentences worth telling.
    """

    samples: tuple[Sample, ...]
    labelled: bool
    split: str
    fingerprint: str
    format: str
    seed: int
    folder: Path | None = None
    notes: tuple[str, ...] = ()

    def missing(self, role: Role) -> tuple[str, str] | None:
        """Say why no sample has a role: a reason without a full stop, and a remedy.

        Returns:
            None where some sample has it.
        """
        if any(sample.role == role for sample in self.samples):
            return None
        if self.folder is None:
            return "only --calibration was given", "Give --data DIR."
        remedy = "Give --calibration DIR" if role == "calib" else "Give more samples with --data"
        if self.split == "role":
            names = _ROLES.get(self.format, {"calib": "role=calib", "eval": "role=eval"})
            other: Role = "eval" if role == "calib" else "calib"
            count = sum(sample.role == other for sample in self.samples)
            reason = f"no sample of {self.folder} has {names[role]} ({count} have {names[other]})"
            return reason, f"{remedy}, or some of them {names[role]}."
        if role == "calib":
            each = " of each graph" if len(self.samples) > 1 else ""
            return (
                f"{self.folder} holds one sample{each}, which scores",
                f"{remedy}, or more samples.",
            )
        return f"no sample of {self.folder} with a truth is left to score", f"{remedy}."

    def calibration(self, limit: int | None = None) -> tuple[Sample, ...]:
        """Return the samples that calibrate, in an order drawn by the seed.

        Args:
            limit: At most so many; the drawn order makes any number of them a fair choice.

        Raises:
            BadInput: There are none.
        """
        self._refuse_missing("calib", "calibrate")
        found = [sample for sample in self.samples if sample.role == "calib"]
        return tuple(sorted(found, key=lambda sample: _rank(sample, self.seed)))[:limit]

    def evaluation(self) -> tuple[Sample, ...]:
        """Return the samples that score, in the data set's order.

        Raises:
            BadInput: There are none.
        """
        self._refuse_missing("eval", "score")
        return tuple(sample for sample in self.samples if sample.role == "eval")

    def _refuse_missing(self, role: Role, use: str) -> None:
        missing = self.missing(role)
        if missing is not None:
            raise BadInput(f"Nothing is left to {use} on: {missing[0]}.", hint=missing[1])


def open_dataset(
    folder: Path | None,
    card: ModelCard,
    *,
    seed: int = 0,
    calibration: Path | None = None,
) -> Dataset:
    """Recognise a data set's format, read its truths, and settle what calibrates and what scores.

    Roles are the data set's own where it names them. With `calibration`, what is there calibrates
    and the rest of `folder` scores. Else a quarter, drawn by the seed, calibrates: of each graph's
    inputs, where the model has several graphs, and first of what cannot score. Samples without a
    truth never score in a labelled data set.

    Args:
        folder: The data set; None where only calibration is wanted.
        card: Task, labels and inputs of the model.
        seed: Of the draw.
        calibration: A data set used for calibration alone.

    Raises:
        BadInput: No such folder, nothing in it for this task, an annotation that does not fit, or
            images that would both calibrate and score, or a graph of the model without inputs.
    """
    if folder is None and calibration is None:
        raise BadInput("No data was given.", hint="Give --data DIR or --calibration DIR.")
    parts = []
    split = "folder"
    if folder is not None:
        found = _read(folder, card)
        if calibration is not None:
            samples = _without_calibration(found)
        elif any(sample.role for sample in found.samples):
            samples, split = found.samples, "role"
        else:
            samples, split = _drawn(found, card, seed), f"seeded {CALIBRATION_SHARE} seed {seed}"
        _check_graphs(folder, found, card)
        parts.append((folder, found, samples))
    if calibration is not None:
        found = _read(calibration, card)
        parts.append((calibration, found, _calibration_only(found)))
    if folder is not None and calibration is not None:
        _check_disjoint(parts[0][2], parts[1][2])
    return Dataset(
        samples=tuple(sample for _, _, samples in parts for sample in samples),
        labelled=parts[0][1].labelled,
        split=split,
        fingerprint=_fingerprint(parts),
        format=parts[0][1].format,
        seed=seed,
        folder=folder,
        notes=tuple(note for _, found, _ in parts for note in found.notes),
    )


def readable(
    samples: Sequence[Sample],
    *,
    limit: float = 0.05,
    skipped: list[str] | None = None,
    note: Callable[[str], None] | None = None,
) -> Iterator[Example]:
    """Read samples one by one; skip and name those whose image cannot be read.

    Args:
        samples: What to read.
        limit: Share of unreadable images above which the data set is refused; one is always let
            through.
        skipped: Receives the ids that were skipped.
        note: Receives a sentence for each, for instance Progress.note.

    Raises:
        BadInput: More than `limit` and more than one are unreadable, or all are.
    """
    bad: list[str] = []
    for number, sample in enumerate(samples, start=1):
        try:
            example = load(sample)
        except UnreadableImage as error:
            bad.append(sample.id)
            if skipped is not None:
                skipped.append(sample.id)
            if note is not None:
                note(f"Skipped: {error.message}")
            if len(bad) > max(1.0, limit * len(samples)) or len(bad) == len(samples):
                names = ", ".join(bad[:5]) + (", …" if len(bad) > 5 else "")
                raise BadInput(
                    f"{len(bad)} of the first {number} images cannot be read ({len(samples)} in "
                    f"all): {names}.",
                    hint="Replace or remove them; a few in a large data set are skipped.",
                ) from error
            continue
        yield example


def _read(folder: Path, card: ModelCard) -> FoundSamples:
    if not os.path.isdir(folder):  # noqa: PTH112 - Path's raises for a long name
        fault = no_file(folder)
        if fault:
            raise BadInput(f"The data folder {folder} {fault}.")
        if folder.suffix != ".npz" or card.task in _EXPECTED:
            raise BadInput(f"{folder} is a file, not a data folder.", hint="Give its folder.")
    for reader in FORMATS[card.task]:
        found = reader(folder, card)
        if found is not None and found.samples:
            return found
    expected = _EXPECTED.get(card.task, ".npz files of arrays by input name")
    state = "is empty" if folder.is_dir() and not any(folder.iterdir()) else "holds no samples"
    raise BadInput(f"The data folder {folder} {state}.", hint=f"For {card.task}: {expected}.")


def _drawn(found: FoundSamples, card: ModelCard, seed: int) -> tuple[Sample, ...]:
    """Give a share, drawn by the seed, the role "calib", and the rest with a truth "eval"."""
    graphs: dict[str, list[Sample]] = defaultdict(list)
    for sample in found.samples:
        graphs[_graph(sample, card)].append(sample)
    chosen: set[str] = set()
    for samples in graphs.values():
        count = len(samples)
        share = max(1, round(count * CALIBRATION_SHARE)) if count > 1 else 0
        # A sample without a truth is good for nothing else where others have one.
        ranked = sorted(samples, key=lambda one: (one.answer is not None, _rank(one, seed)))
        chosen.update(sample.id for sample in ranked[:share])
    return tuple(
        sample.with_role(
            "calib"
            if sample.id in chosen
            else "eval"
            if sample.answer is not None or not found.labelled
            else None
        )
        for sample in found.samples
    )


def _graph(sample: Sample, card: ModelCard) -> str:
    """Tell the inputs of one graph from another's; an image is the input of the only one."""
    if sample.arrays is None:
        return ""
    # Before the export a card may name no graphs; arrays of other names are another graph's.
    return sample.path.stem if card.graphs else " ".join(sorted(sample.arrays))


def _check_graphs(folder: Path, found: FoundSamples, card: ModelCard) -> None:
    """Refuse a graph without inputs: the model would be judged without having looked at it."""
    for role in card.graphs if found.format == "npz" else ():
        if not any(sample.path.stem == role for sample in found.samples):
            raise BadInput(
                f"{folder} holds no inputs of the graph {role!r}.",
                hint=f"Put them into {role}.npz, by input name.",
            )


def _without_calibration(found: FoundSamples) -> tuple[Sample, ...]:
    return tuple(
        sample.with_role(
            None if sample.role == "calib" or (found.labelled and sample.answer is None) else "eval"
        )
        for sample in found.samples
    )


def _calibration_only(found: FoundSamples) -> tuple[Sample, ...]:
    """Return what calibrates: the samples of that role, or all where the data set names none."""
    named = [sample for sample in found.samples if sample.role == "calib"]
    return tuple(sample.with_role("calib") for sample in (named or found.samples))


def _check_disjoint(scoring: Sequence[Sample], calibrating: Sequence[Sample]) -> None:
    scored = {_place(sample) for sample in scoring if sample.role == "eval"}
    both = next((sample for sample in calibrating if _place(sample) in scored), None)
    if both is not None:
        raise BadInput(
            f"{both.path} would both calibrate and score.",
            hint="Give --calibration a folder that shares no images with --data, or leave it out.",
        )


def _place(sample: Sample) -> tuple[Path, str]:
    return sample.path.resolve(), "" if sample.arrays is None else sample.id


def _rank(sample: Sample, seed: int) -> bytes:
    # A hash and not a generator: the draw stays the same on every platform and version, and a new
    # image does not move the others.
    return hashlib.sha256(f"{seed}:{sample.id}".encode()).digest()


def _fingerprint(parts: Sequence[tuple[Path, FoundSamples, tuple[Sample, ...]]]) -> str:
    digest = hashlib.sha256()
    for folder, found, samples in parts:
        for sample in samples:
            size = sample.path.stat().st_size
            digest.update(f"{sample.id}\0{size}\0{sample.role}\n".encode())
        for path in found.annotations:
            digest.update(f"{sample_id(path, folder)}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()
