"""Engines in a folder of their own, with their card: what `compile -o` writes and others take.

engines.json      schema, the model, its card, and the folder of each role
ROLE/             compiled.json (with the engine's checksum), tensors.json, the engine
FILE.py           the user's own decoder, where the card names one
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgekit.core.card import ModelCard, card_from_dict, card_to_dict
from edgekit.core.destination import Destination
from edgekit.core.errors import BadInput
from edgekit.core.files import pretty_json, write_bytes
from edgekit.core.json_text import read_json
from edgekit.core.opening import no_file, placed
from edgekit.core.runtime import Compiled
from edgekit.core.texts import shown
from edgekit.tasks.decoders import carried

__all__ = [
    "COMPILED",
    "Carried",
    "ReadyEngine",
    "carry_engines",
    "is_carried",
    "read_carried",
    "read_compiled",
]

# Beside every engine: what the runtime said of it.
COMPILED = "compiled.json"
_FILE = "engines.json"


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What `engines.json` says.

    Attributes:
        model: As it was typed where the engines were compiled.
        variant: Id of the variant.
        precision: Of the variant.
        target: As text.
        card: Of the model.
        engines: Role to its folder's name.
    """

    schema: Literal["edgekit.engines/1"] = "edgekit.engines/1"
    model: str
    variant: str
    precision: str
    target: str
    card: dict[str, Any]
    engines: dict[str, str]


@dataclass(frozen=True)
class ReadyEngine:
    """One compiled graph that is taken as it lies: nothing is compiled for it here.

    Attributes:
        folder: Where it lies.
        compiled: What the runtime that made it said.
    """

    folder: Path
    compiled: Compiled


def carry_engines(
    folders: Mapping[str, Path],
    card: ModelCard,
    output: Destination,
    *,
    card_folder: Path,
    model: str,
    variant: str,
    precision: str,
    target: str,
) -> dict[str, Path]:
    """Copy engines out of the cache into a folder, whole or not at all.

    Args:
        folders: Role to the engine's folder in the cache.
        card: Of the model.
        output: The folder to make.
        card_folder: Where a decoder that the card names lies.
        model: See Carried; likewise the next three.
        variant: Id.
        precision: Of the variant.
        target: As text.

    Returns:
        Role to the folder written.
    """
    with output.writing(private=True) as temporary:
        card, decoder, _ = carried(card, card_folder)
        if decoder is not None:
            shutil.copyfile(decoder, temporary / decoder.name)
        for role, folder in folders.items():
            (temporary / role).mkdir()
            for file in folder.iterdir():
                # The cache's own record of how the engine was found says nothing elsewhere.
                if file.name != "stage.json":
                    shutil.copyfile(file, temporary / role / file.name)
        said = Carried(
            model=model,
            variant=variant,
            precision=precision,
            target=target,
            card=card_to_dict(card),
            engines={role: role for role in folders},
        )
        write_bytes(temporary / _FILE, pretty_json(said))
    return {role: output.path / role for role in folders}


def is_carried(path: Path) -> bool:
    """Whether a path is a folder that `carry_engines` wrote."""
    return (path / _FILE).is_file()


def read_carried(path: Path) -> tuple[Carried, ModelCard, dict[str, ReadyEngine]]:
    """Read a folder of engines: what it says, the card, and the engine of each role.

    Raises:
        BadInput: It is damaged, or a folder is missing or lies elsewhere.
    """
    file = path / _FILE
    said = read_json(file, Carried, hint="Copy the folder again, or compile it again.")
    engines = {}
    for role, name in said.engines.items():
        placed(name, path, f"{file}: `engines`", hint="Copy the folder again, whole.")
        # In the folder, and neither the folder itself nor deeper.
        if Path(name).name != name or no_file(path / name / COMPILED):
            raise BadInput(
                f"{path} holds no engine {shown(name)}.", hint="Copy the folder again, whole."
            )
        engines[role] = ReadyEngine(path / name, read_compiled(path / name))
    if not engines:
        raise BadInput(f"{path} holds no engine.", hint="Copy the folder again, whole.")
    return said, card_from_dict(said.card, str(file)), engines


def read_compiled(folder: Path) -> Compiled:
    """Read what the runtime said of the engine in a folder.

    Raises:
        BadInput: It is missing or damaged.
    """
    return read_json(folder / COMPILED, Compiled, hint="Compile the model again.")
