"""The pictures of a page: found by name below a folder, proven by their sha256, made small."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import cv2

from edgekit.benchmarks.report.records import Subject
from edgekit.core.details import DifferingImage
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.jobs.reporting.subjects import wanted_images
from edgekit.tasks.images import UnreadableImage, image_files, read_image

__all__ = ["images_below", "with_pictures", "without_pictures"]

# Long side of a picture on the page, pixels.
_SIDE = 320
_QUALITY = 82


def images_below(folder: Path) -> dict[str, list[Path]]:
    """Return the image files below a folder by their names.

    Raises:
        BadInput: There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise BadInput(
            f"{folder} is not a folder.", hint="Give --data the folder that the images are in."
        )
    found: dict[str, list[Path]] = {}
    for path in image_files(folder):
        found.setdefault(path.name, []).append(path)
    if not found:
        raise BadInput(
            f"{folder} holds no image.", hint="Give --data the folder that the images are in."
        )
    return found


def with_pictures(subject: Subject, files: Mapping[str, Iterable[Path]]) -> Subject:
    """Return the subject with the pictures that are there, and a sentence on those that are not.

    Args:
        subject: Its details name images.
        files: Name of a file to those of that name.
    """
    wanted = wanted_images(subject)
    pictures: dict[str, bytes] = {}
    other = 0
    for image in wanted:
        candidates = list(files.get(PurePosixPath(image.id).name, ()))
        content = next((small for path in candidates if (small := _small(path, image))), None)
        if content is not None:
            pictures[image.id] = content
        elif candidates:
            other += 1
    missing = len(wanted) - len(pictures)
    note = ""
    if missing:
        note = (
            f"{missing} of the {len(wanted)} pictures below are blank: no file of that name "
            "and sha256 is in the folder given by --data"
        )
        note += f" ({other} of that name, but with other content)." if other else "."
    return dataclasses.replace(subject, pictures=pictures, pictures_note=note)


def without_pictures(subject: Subject, bundle: Path) -> Subject:
    """Return the subject with a sentence on how to get the pictures; itself where it has none.

    Args:
        subject: Its details name images.
        bundle: Its folder.
    """
    if not wanted_images(subject):
        return subject
    note = (
        "The pictures are not on this page: a bundle carries none of yours unless it is told to. "
        f"To see them: edgekit report {shlex.quote(str(bundle))} --data DIR -o report.html, where "
        "DIR is the folder of the images that scored; or edgekit deploy … --report-images."
    )
    return dataclasses.replace(subject, pictures_note=note)


def _small(path: Path, image: DifferingImage) -> bytes | None:
    """A JPEG of a file; None where it is not the image that was scored."""
    try:
        if sha256_file(path) != image.sha256:
            return None
        pixels = read_image(path)
    except (OSError, UnreadableImage):
        return None
    height, width = pixels.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    if scale < 1:
        size = max(1, round(scale * width)), max(1, round(scale * height))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    else:
        small = pixels
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
