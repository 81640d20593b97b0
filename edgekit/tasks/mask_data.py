"""Segmentation data sets: images, and masks of the same name."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.tasks.images import image_files
from edgekit.tasks.samples import FoundSamples, MaskFile, Sample

__all__ = ["read_masks"]

_FOLDERS = ("masks", "voc_masks")


def read_masks(folder: Path, card: ModelCard) -> FoundSamples | None:
    """Read `images/` and, beside it, `masks/` or `voc_masks/` of PNG files named like the images.

    Images without a mask are not scored, but may calibrate.

    Raises:
        BadInput: There are two folders of masks, or a mask without an image, or no pair.
    """
    found = [folder / name for name in _FOLDERS if (folder / name).is_dir()]
    if not found:
        return None
    if len(found) > 1:
        raise BadInput(f"{folder} holds both {found[0].name}/ and {found[1].name}/.")
    masks = {path.stem: path for path in image_files(found[0]) if path.suffix.lower() == ".png"}
    root = folder / "images"
    images = {path.stem: path for path in image_files(root)} if root.is_dir() else {}
    lone = next((path for stem, path in masks.items() if stem not in images), None)
    if lone is not None:
        raise BadInput(f"The mask {lone} has no image of the same name in {root}.")
    if not masks:
        raise BadInput(f"{found[0]} holds no PNG masks.")
    samples = tuple(
        Sample(
            path.relative_to(folder).as_posix(),
            path,
            MaskFile(masks[stem], len(card.labels)) if stem in masks else None,
        )
        for stem, path in images.items()
    )
    bare = len(images) - len(masks)
    notes = (f"{bare} of {len(images)} images of {folder} have no mask.",) if bare else ()
    return FoundSamples("masks", samples, True, tuple(masks.values()), notes)
