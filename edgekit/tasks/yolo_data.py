"""Detection data sets in YOLO form: data.yaml, and a text file of boxes beside each image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.opening import TABLE_BYTES, no_file, placed
from edgekit.core.reading import read_text
from edgekit.core.texts import shown
from edgekit.core.yaml_text import read_yaml
from edgekit.tasks.class_names import class_list, classes_of, match_classes
from edgekit.tasks.images import image_files
from edgekit.tasks.samples import FoundSamples, RelativeBoxes, Role, Sample, sample_id

__all__ = ["read_yolo"]

_PLACES = 1000  # in a list of folders, each of which is walked through
_HINT = (
    "Put data.yaml into the folder of its images, or a symbolic link to these into the folder of "
    "data.yaml."
)

_ROLES: tuple[tuple[str, Role], ...] = (("train", "calib"), ("val", "eval"))


def read_yolo(folder: Path, card: ModelCard) -> FoundSamples | None:
    """Read data.yaml: `names`, `train` (for calibration) and `val` (for scoring).

    `train` and `val` are a folder, a text file of image paths, or a list of these, relative to
    `path`, which is relative to data.yaml. All of them lie in the folder of data.yaml, or beside
    it. The boxes of images/…/NAME.jpg are in labels/…/NAME.txt, an object a line: class, centre x,
    centre y, width, height as fractions of the image, or class and the corners of an outline. An
    image without such a file has no objects.

    Raises:
        BadInput: A key, folder or image is missing, or a line is wrong; names it.
    """
    path = folder / "data.yaml"
    if not os.path.lexists(path):
        return None
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds no keys.", hint="It needs `names` and `val`.")
    indices, note = _indices(content.get("names"), card, path)
    root = folder / str(content.get("path") or ".")
    if not os.path.isdir(root):  # noqa: PTH112 - Path's raises for a long name
        # `path` is often left as it was on the machine where the data set was made.
        root = folder
    samples: list[Sample] = []
    annotations = [path]
    notes = [note] if note else []
    for key, role in _ROLES:
        if content.get(key) is None:
            continue
        images = _images(content[key], root, folder, path, key)
        if images is None:
            if role == "eval":
                raise BadInput(f"{path}: `val` is {shown(content[key])}, which does not exist.")
            notes.append(f"`train` of {path} does not exist here, so `val` is split.")
            continue
        for image in images:
            answer = None
            if role == "eval":
                truth = _label_file(image)
                annotations += [truth] if os.path.lexists(truth) else []
                answer = _boxes(truth, indices)
            samples.append(Sample(sample_id(image, folder), image, answer, role))
    if not any(sample.role == "eval" for sample in samples):
        raise BadInput(f"{path} names no images under `val`.")
    if not any(sample.role == "calib" for sample in samples):
        samples = [sample.with_role(None) for sample in samples]
    return FoundSamples("yolo", tuple(samples), True, tuple(annotations), tuple(notes))


def _indices(names: object, card: ModelCard, path: Path) -> tuple[dict[int, int], str]:
    """Return the label's index for each class of `names`, and a sentence worth telling."""
    named = classes_of(names, f"{path}: `names`")
    whole = class_list(named)
    if len(whole) > len(named) and set(named.values()) <= set(card.labels):
        # Classes without a name are no label's; the others are matched by theirs.
        whole = tuple(named.values())
    else:
        named = dict(enumerate(whole))
    labels, note = match_classes(whole, card.labels, str(path))
    return dict(zip(named, labels, strict=True)), note


def _images(
    value: object, root: Path, folder: Path, path: Path, key: str
) -> tuple[Path, ...] | None:
    """Return the images that `train` or `val` names; None where it does not exist."""
    images: list[Path] = []
    entries = value if isinstance(value, list) else [value]
    if len(entries) > _PLACES:
        raise BadInput(f"{path}: `{key}` lists {len(entries)} paths, and {_PLACES} are read.")
    for entry in entries:
        if not isinstance(entry, str):
            raise BadInput(f"{path}: `{key}` is {shown(entry)}, not a path.")
        place = _place(entry, root, folder, f"{path}: `{key}`")
        if place is None:
            return None
        images += _listed(place, folder) if place.suffix == ".txt" else image_files(place)
    return tuple(images)


def _place(entry: str, root: Path, folder: Path, by: str) -> Path | None:
    """Return the first place where an entry of data.yaml may be meant; None where it is nowhere."""
    # Some exporters write paths relative to a folder that is not shipped: "../valid/images".
    for way in (root / entry, folder / entry, folder / entry.removeprefix("../")):
        if os.path.exists(way):  # noqa: PTH110 - Path's raises for a long name
            return placed(str(way.absolute()), folder, by, beside=True, links=True, hint=_HINT)
    return None


def _listed(path: Path, folder: Path) -> list[Path]:
    images = []
    for number, line in enumerate(read_text(path, limit=TABLE_BYTES).splitlines(), start=1):
        if line.strip():
            where, name = f"{path}, line {number}", line.strip()
            image = path.parent / name
            placed(str(image.absolute()), folder, where, beside=True, links=True, hint=_HINT)
            missing = no_file(image)
            if missing:
                raise BadInput(f"{where}: the image {shown(name)} {missing}.")
            images.append(image)
    return images


def _label_file(image: Path) -> Path:
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _boxes(path: Path, indices: Mapping[int, int]) -> RelativeBoxes:
    boxes, classes = [], []
    lines = read_text(path).splitlines() if os.path.lexists(path) else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            values = [float(word) for word in line.split()]
        except ValueError as error:
            raise BadInput(f"{where}: {shown(line.strip())} is not a row of numbers.") from error
        if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
            raise BadInput(
                f"{where}: {len(values)} numbers are neither class and box (5) nor class and "
                "outline (an odd number from 7)."
            )
        if values[0] not in indices:
            raise BadInput(
                f"{where}: class {values[0]:g} is out of range of `names`, which has "
                f"{len(indices)} up to {max(indices)}."
            )
        if not all(-0.01 <= value <= 1.01 for value in values[1:]):
            raise BadInput(f"{where}: coordinates are fractions of the image, 0 to 1.")
        boxes.append(_corners(values[1:]))
        classes.append(indices[int(values[0])])
    return RelativeBoxes(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64).reshape(-1)
    )


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
