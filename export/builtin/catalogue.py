"""Built-in models and data sets by name; importing this needs neither torch nor the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import ModelCard, card_from_dict
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.yaml_text import read_yaml
from edgekit.export.builtin.digits import write_digits
from edgekit.export.builtin.scenes.dataset import write_scenes

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
        writer: Writes the data set into an existing folder: how many images that score (None: as
            many as it has by itself), and the seed (None: 0); returns images by role.
    """

    name: str
    factory: str
    weights: Path
    card: Path
    writer: Callable[[Path, int | None, int | None], dict[str, int]]


BUILTIN = {
    "digits": Builtin(
        name="digits",
        factory="edgekit.export.builtin.lenet5:lenet5",
        weights=_FOLDER / "digits.safetensors",
        card=_FOLDER / "digits.yaml",
        writer=write_digits,
    ),
    "shapes": Builtin(
        name="shapes",
        factory="edgekit.export.builtin.shapes_network:shapes_network",
        weights=_FOLDER / "shapes.safetensors",
        card=_FOLDER / "shapes.yaml",
        writer=write_scenes,
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
    return card_from_dict(read_yaml(path), path.name)


def write_data(
    name: str, folder: Path, *, count: int | None = None, seed: int | None = None
) -> dict[str, int]:
    """Write a built-in data set into an existing folder.

    Args:
        name: Of the data set.
        folder: Receives `images/`, and labels.csv (digits) or instances.json (shapes).
        count: Images that score; None means as many as the data set has by itself.
        seed: Of drawn scenes; None means 0.

    Returns:
        Number of images by role, "calib" and "eval".

    Raises:
        BadInput: There is none of that name, or count or seed do not fit it.
    """
    return builtin(name).writer(folder, count, seed)
