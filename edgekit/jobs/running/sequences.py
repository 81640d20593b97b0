"""Runs of a graph over fixed inputs: one call, or several where state loops."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.core.card import GraphCard
from edgekit.core.parity import ParityMeter, TensorParity
from edgekit.core.runtime import Array, Feeds, Session

__all__ = ["STEPS", "compare", "run_sequence"]

# Calls in a row for a graph with state: enough for an error in the loop to grow.
STEPS = 4

Outputs = dict[str, Array]


def run_sequence(session: Session, feeds: Feeds, graph: GraphCard) -> list[Outputs]:
    """Run once, or STEPS times with each state output becoming the input it belongs to.

    Args:
        session: An opened graph.
        feeds: The inputs of the first call.
        graph: Its `state` says which output becomes which input.

    Returns:
        The outputs of each call.
    """
    outputs: list[Outputs] = []
    current = dict(feeds)
    for _ in range(STEPS if graph.state else 1):
        outputs.append(session.run(current))
        for output, name in graph.state.items():
            current[name] = outputs[-1][output]
    return outputs


def compare(
    reference: Mapping[str, list[list[Outputs]]], outputs: Mapping[str, list[list[Outputs]]]
) -> dict[tuple[str, str], TensorParity]:
    """Compare sequences by role; the key of the result is (role, output name)."""
    meters: dict[tuple[str, str], ParityMeter] = {}
    for role, sequences in reference.items():
        for expected, got in zip(sequences, outputs[role], strict=True):
            for step, call in zip(expected, got, strict=True):
                for name, array in step.items():
                    meter = meters.setdefault((role, name), ParityMeter())
                    meter.add(array, call[name])
    return {key: meter.result() for key, meter in meters.items()}
