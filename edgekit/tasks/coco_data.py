"""Detection data sets in COCO form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.tasks.class_names import match_classes
from edgekit.tasks.samples import Found, Sample, make_boxes

__all__ = ["read_coco"]


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    role: Literal["calib", "eval"] | None = None


class _Annotation(msgspec.Struct):
    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: int = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _Coco(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(folder: Path, card: ModelCard) -> Found | None:
    """Read instances.json (or the one annotations/instances*.json) and its images.

    Only the images that it lists are samples. Their files lie in `images/` or in the folder itself.
    Categories are the card's labels by name, else by the order of their ids. An image may name its
    `role`, "calib" or "eval", which COCO does not know.

    Raises:
        BadInput: The file is not of that form (names the key), an image file is missing, or an
            annotation names an image or a category that is not there.
    """
    path = _find(folder)
    if path is None:
        return None
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_Coco)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a COCO instances file: {error}.") from error
    categories = sorted(content.categories, key=lambda each: each.id)
    indices, note = match_classes([each.name for each in categories], card.labels, str(path))
    index_of = {each.id: index for each, index in zip(categories, indices, strict=True)}
    if len(index_of) < len(categories):
        raise BadInput(f"{path} has two categories of one id.")
    objects: dict[int | str, list[_Annotation]] = {image.id: [] for image in content.images}
    for number, annotation in enumerate(content.annotations):
        if annotation.image_id not in objects:
            raise BadInput(
                f"{path}: annotation {number} belongs to image {annotation.image_id!r}, which "
                "`images` does not list."
            )
        if annotation.category_id not in index_of:
            raise BadInput(
                f"{path}: annotation {number} has category {annotation.category_id}, which "
                "`categories` does not list."
            )
        objects[annotation.image_id].append(annotation)
    samples = []
    for image in content.images:
        file = _image_file(folder, image.file_name, path)
        found = objects[image.id]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (each.bbox for each in found)]
        truth = make_boxes(
            corners,
            [index_of[each.category_id] for each in found],
            [each.bbox[2] * each.bbox[3] if each.area is None else each.area for each in found],
            [bool(each.iscrowd) for each in found],
        )
        name = file.relative_to(folder).as_posix()
        samples.append(Sample(name, file, truth, role=image.role))
    return Found("coco", tuple(samples), True, (path,), (note,) if note else ())


def _find(folder: Path) -> Path | None:
    own = folder / "instances.json"
    if own.is_file():
        return own
    found = sorted((folder / "annotations").glob("instances*.json"))
    if len(found) > 1:
        raise BadInput(
            f"{folder / 'annotations'} holds several instances files: "
            f"{', '.join(each.name for each in found)}.",
            hint="Put the one to use beside `images/` as instances.json.",
        )
    return found[0] if found else None


def _image_file(folder: Path, name: str, annotations: Path) -> Path:
    for path in (folder / "images" / name, folder / name):
        if path.is_file():
            return path
    raise BadInput(f"{annotations} lists the image {name!r}, which {folder} does not hold.")
