"""Finished graphs put where the user wants them, and the paths that must not be overwritten."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.destination import CODE, FOLDER, GRAPH, Destination
from edgekit.core.errors import BadInput
from edgekit.tasks.cards import find_card
from edgekit.tasks.decoders import carried

__all__ = ["Delivery", "read_for", "results_read"]


def read_for(*texts: str | Path | None) -> list[Path]:
    """Return the files and folders that are read for a model, a source, code or data, as typed.

    What does not exist is left out. A card that is found beside a model is among them.
    """
    found: dict[Path, None] = {}
    for text in (str(text) for text in texts if text is not None):
        bundle, _, _ = text.rpartition("@")  # of BUNDLE@VARIANT
        _, _, file = text.partition(":")  # of SCHEME:FILE
        code, _, _ = text.rpartition(":")  # of FILE:FACTORY
        pipeline = re.findall(r"""location=["']?([^\s"']+)""", text)  # of GStreamer
        for path in map(Path, filter(None, (text, bundle, file, code, *pipeline))):
            if os.path.exists(path):  # noqa: PTH110 - a name too long for a path is none
                found[path] = None
                card = find_card(path)
                if card is not None:
                    found[card] = None
    return list(found)


def results_read(results: Iterable[str | Path]) -> list[Path]:
    """Return the files of results, each named by its file or its folder.

    The folder itself is not among them: what is made of a result may lie beside it.
    """
    found: list[Path] = []
    for path in read_for(*results):
        found += path.glob("*.json") if path.is_dir() else [path]
    return found


class Delivery:
    """Graphs on their way to where the user wants them, with the decoder that their card names.

    Args:
        output: The file for a single graph, the folder for several.
        card: Of the model.
        folder: Where a decoder that the card names lies.

    Attributes:
        card: To be written into the graphs: it names the decoder beside them.
        notes: Sentences worth telling.

    Raises:
        BadInput: Another file of the decoder's name lies where it must go.
    """

    def __init__(self, output: Destination, card: ModelCard, folder: Path) -> None:
        self._output = output
        self.card, self._decoder, missing = carried(card, folder)
        self.notes = (missing,) if missing else ()
        self._beside: Destination | None = None
        if self._decoder is not None and output.form is GRAPH:
            place = output.path.with_name(self._decoder.name)
            same = place.is_file() and place.read_bytes() == self._decoder.read_bytes()
            if os.path.lexists(place) and not same:
                # --force is about the file that -o names, and this one may be the user's work.
                raise BadInput(
                    f"{place} is another file than the decoder {self._decoder}, which must lie "
                    f"beside {output.path}.",
                    hint="Choose another folder with -o, or move that file away.",
                )
            if not same:
                self._beside = dataclasses.replace(output, path=place, form=CODE)

    def put(self, graphs: Mapping[str, Path]) -> dict[str, Path]:
        """Copy graphs to their place, whole or not at all.

        Args:
            graphs: Role to file.

        Returns:
            Role to the path written.
        """
        output = dataclasses.replace(self._output, form=GRAPH if len(graphs) == 1 else FOLDER)
        if output.form is GRAPH:
            if self._decoder is not None and self._beside is not None:
                self._beside.write(self._decoder.read_bytes())
            with output.writing() as temporary:
                shutil.copyfile(next(iter(graphs.values())), temporary)
            return dict.fromkeys(graphs, output.path)
        with output.writing() as temporary:
            for path in (*graphs.values(), *filter(None, [self._decoder])):
                shutil.copyfile(path, temporary / path.name)
        return {role: output.path / path.name for role, path in graphs.items()}
