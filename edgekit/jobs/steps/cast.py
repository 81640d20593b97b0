"""Graphs cast to fp16: what their nodes are tried on, and the cast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.runtime import Feeds
from edgekit.export.fp16 import write_fp16
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.feeds import Data, generated_feeds, roles
from edgekit.jobs.process.plain import run_many

__all__ = ["cast_feeds", "write_fp16_graph"]

# Inputs on which the nodes of a cast to fp16 are tried.
_CAST_CASES = 8


def cast_feeds(
    card: ModelCard, data: Data | None, seed: int
) -> tuple[dict[str, list[Feeds]], list[str]]:
    """Inputs by role on which the nodes of a cast to fp16 are tried.

    Those that calibrate; a graph for which there are none gets generated ones.

    Args:
        card: With the tensors of every graph.
        data: None where there is none.
        seed: Of what is generated.

    Returns:
        The inputs, without a graph for which none can be generated; and a sentence where they are
        not those that calibrate.
    """
    found: dict[str, list[Feeds]] = {}
    said: dict[str, None] = {}
    for role in roles(card):
        try:
            if data is None:
                raise BadInput("There is no data.")
            found[role] = data.calibration_feeds(role, _CAST_CASES)
        except BadInput:
            try:
                found[role] = generated_feeds(card, seed)[role]
                said["What fp16 spoils was looked for on generated inputs."] = None
            except BadInput as error:
                said[f"What fp16 spoils was looked for on no inputs: {error}"] = None
    return found, list(said)


def write_fp16_graph(role: str, graph: Path, feeds: Sequence[Feeds], output: Path) -> list[str]:
    """Cast one graph to fp16, in a child process.

    Args:
        role: Of the graph.
        graph: In fp32.
        feeds: Inputs on which its nodes are tried.
        output: The file to write.

    Returns:
        A sentence for everything that a user should know of the cast.
    """
    notes = run_in_child(write_fp16, graph, output, feeds, run_many, what=f"casting {role} to fp16")
    return list(notes)
