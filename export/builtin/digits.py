"""The data of `edgekit:digits`: pictures of digits that its network has not seen."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from edgekit.core.errors import BadInput

__all__ = ["ARCHIVE", "write_digits"]

# `images` (N, H, W) uint8, `labels` (N,) uint8 and `roles` (N,) str.
ARCHIVE = Path(__file__).parent / "digits.npz"


def write_digits(folder: Path, count: int | None, seed: int | None) -> dict[str, int]:
    """Write PNG images and labels.csv (columns file, class_index, role) into an existing folder.

    Args:
        folder: Receives `images/` and `labels.csv`.
        count: So many that score, the first ones; None means all.
        seed: Must be None: these are pictures that somebody wrote, and always the same.

    Returns:
        Number of images by role, "calib" and "eval".

    Raises:
        BadInput: A seed, or more images than there are.
    """
    if seed is not None:
        raise BadInput("The digits are always the same ones.", hint="Leave --seed out.")
    with np.load(ARCHIVE) as data:
        images, labels, roles = data["images"], data["labels"], data["roles"]
    most = int((roles == "eval").sum())
    if count is not None and count > most:
        raise BadInput(f"There are {most} digits to score on, not {count}.", hint="Lower -n.")
    (folder / "images").mkdir()
    counts: dict[str, int] = {}
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "class_index", "role"))
        for index, (image, label, role) in enumerate(zip(images, labels, roles, strict=True)):
            if role == "eval" and count is not None and counts.get("eval", 0) == count:
                continue
            file = f"images/{role}-{index:04d}.png"
            written = cv2.imwrite(str(folder / file), image)
            if not written:
                raise BadInput(f"{folder / file} cannot be written.")
            writer.writerow((file, int(label), str(role)))
            counts[str(role)] = counts.get(str(role), 0) + 1
    return counts
