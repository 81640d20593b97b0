"""Built-in models and data sets by name; importing this needs neither torch nor the weights."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

from edgekit.core.card import ModelCard, card_from_dict
from edgekit.core.errors import BadInput
from edgekit.core.names import closest

__all__ = ["BUILTIN", "Builtin", "builtin", "builtin_card", "write_data"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Builtin:
    """One built-in model with its data.

    Attributes:
        name: As in `edgekit:NAME` and `edgekit data NAME`.
        factory: "module:function" that builds the network.
        weights: safetensors file.
        card: YAML file.
        data: .npz with `images` (N, H, W) uint8, `labels` (N,) uint8 and `roles` (N,) str.
    """

    name: str
    factory: str
    weights: Path
    card: Path
    data: Path


BUILTIN = {
    "digits": Builtin(
        name="digits",
        factory="edgekit.export.builtin.lenet5:lenet5",
        weights=_FOLDER / "digits.safetensors",
        card=_FOLDER / "digits.yaml",
        data=_FOLDER / "digits.npz",
    ),
}


def builtin(name: str) -> Builtin:
    """Return a built-in model by name.

    Raises:
        BadInput: There is none of that name.
    """
    if name not in BUILTIN:
        raise BadInput(f"There is no built-in model {name!r}.", hint=closest(name, BUILTIN))
    return BUILTIN[name]


def builtin_card(name: str) -> ModelCard:
    """Return a built-in model's card.

    Raises:
        BadInput: There is none of that name.
    """
    path = builtin(name).card
    return card_from_dict(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)


def write_data(name: str, folder: Path) -> dict[str, int]:
    """Write a built-in data set into an existing folder: PNG images and labels.csv.

    Args:
        name: Of the data set.
        folder: Receives `images/` and `labels.csv` (columns file, class_index, role).

    Returns:
        Number of images by role, "calib" and "eval".

    Raises:
        BadInput: There is none of that name.
    """
    with np.load(builtin(name).data) as data:
        images, labels, roles = data["images"], data["labels"], data["roles"]
    (folder / "images").mkdir()
    counts: dict[str, int] = {}
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "class_index", "role"))
        for index, (image, label, role) in enumerate(zip(images, labels, roles, strict=True)):
            file = f"images/{role}-{index:04d}.png"
            written = cv2.imwrite(str(folder / file), image)
            if not written:
                raise BadInput(f"{folder / file} cannot be written.")
            writer.writerow((file, int(label), str(role)))
            counts[str(role)] = counts.get(str(role), 0) + 1
    return counts
