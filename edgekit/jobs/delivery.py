"""Finished graphs put where the user wants them, and the paths that must not be overwritten."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgekit.core.destination import FOLDER, GRAPH, Destination
from edgekit.tasks.cards import find_card

__all__ = ["deliver_graphs", "read_for"]


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


def deliver_graphs(graphs: Mapping[str, Path], output: Destination) -> dict[str, Path]:
    """Copy graphs to their place, whole or not at all.

    Args:
        graphs: Role to file.
        output: The file for a single graph, the folder for several.

    Returns:
        Role to the path written.
    """
    output = dataclasses.replace(output, form=GRAPH if len(graphs) == 1 else FOLDER)
    with output.writing() as temporary:
        if output.form is GRAPH:
            shutil.copyfile(next(iter(graphs.values())), temporary)
            return dict.fromkeys(graphs, output.path)
        for path in graphs.values():
            shutil.copyfile(path, temporary / path.name)
    return {role: output.path / path.name for role, path in graphs.items()}
