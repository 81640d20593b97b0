"""What an fp16 variant answers in fp16 arithmetic, on a machine whose engine computes wider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.parity import ParityMeter, TensorParity
from edgekit.core.runtime import Feeds
from edgekit.core.temporary import scratch
from edgekit.core.variant import Variant
from edgekit.export.fp16_simulation import write_simulation
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.plain import PLAIN, open_graphs
from edgekit.jobs.process.sequences import Outputs, run_sequence
from edgekit.jobs.process.targets import usable

__all__ = ["Narrow", "narrow_runs", "simulation"]

# Inputs on which the two ways of adding up are compared.
_NARROW_CASES = 8

Runs = dict[str, list[list[Outputs]]]


class Narrow(msgspec.Struct, frozen=True):
    """Sums added up in fp32 and in fp16, on the same inputs.

    Attributes:
        wide: Outputs by role, added up in fp32.
        narrow: Likewise, in fp16.
        nodes: Name of each reduction, in the graph's order, to how far its result is apart.
    """

    wide: Runs
    narrow: Runs
    nodes: dict[str, TensorParity]


@contextmanager
def simulation(
    variant: Variant, *, narrow: bool = False, taps: bool = False
) -> Iterator[tuple[dict[str, Path], dict[str, str]]]:
    """Write the simulation of every graph of an fp16 variant into a folder that goes at the end.

    Args:
        variant: Its graphs hold fp16.
        narrow: See write_simulation.
        taps: Likewise.

    Returns:
        The graphs by role; and what `taps` adds to their outputs, each with its node's name.

    Raises:
        BadInput: An operator is not known; names the node.
        Unavailable: ONNX Runtime, which runs it, is not installed.
        MissingLibrary: onnx is not installed.
    """
    usable(PLAIN)
    with scratch("fp16") as name:
        graphs: dict[str, Path] = {}
        nodes: dict[str, str] = {}
        for role, path in variant.paths.items():
            graphs[role] = name / f"{role}.onnx"
            nodes |= run_in_child(
                write_simulation,
                path,
                graphs[role],
                narrow=narrow,
                taps=taps,
                what=f"simulating {variant.id}",
            )
        yield graphs, nodes


def narrow_runs(
    variant: Variant,
    card: ModelCard,
    feeds: Mapping[str, Sequence[Feeds]],
) -> Narrow:
    """Run an fp16 variant with sums added up in fp32 and in fp16, in a child process.

    Args:
        variant: Its graphs hold fp16.
        card: The model's; its state loops.
        feeds: By role; the first of each are used.

    Raises:
        BadInput: As for simulation; likewise the others.
    """
    with (
        simulation(variant, taps=True) as (wide, nodes),
        simulation(variant, narrow=True, taps=True) as (narrow, _),
    ):
        some = {role: list(several[:_NARROW_CASES]) for role, several in feeds.items()}
        found: Narrow = run_in_child(
            _compare,
            wide,
            narrow,
            nodes,
            card,
            some,
            what=f"{variant.id} with sums in fp16",
        )
    return found


def _compare(
    wide: Mapping[str, Path],
    narrow: Mapping[str, Path],
    nodes: Mapping[str, str],
    card: ModelCard,
    feeds: Mapping[str, Sequence[Feeds]],
) -> Narrow:
    runs: tuple[Runs, Runs] = ({}, {})
    meters: dict[str, ParityMeter] = {}
    lost: set[str] = set()
    with scratch("fp16") as name:
        sessions = [
            open_graphs(graphs, name / way) for way, graphs in (("wide", wide), ("narrow", narrow))
        ]
        for role, several in feeds.items():
            for one in several:
                steps = [run_sequence(each[role], one, card.graph(role)) for each in sessions]
                # What reductions give is as large as activations: it is compared and let go.
                for expected, got in zip(*steps, strict=True):
                    for tensor in [tensor for tensor in expected if tensor in nodes]:
                        node, first, second = nodes[tensor], expected[tensor], got[tensor]
                        meters.setdefault(node, ParityMeter()).add(first, second)
                        if (np.isfinite(first) & ~np.isfinite(second)).any():
                            lost.add(node)
                outputs = card.graph(role).outputs
                for kept, sequence in zip(runs, steps, strict=True):
                    kept.setdefault(role, []).append(
                        [
                            {key: out for key, out in call.items() if key in outputs}
                            for call in sequence
                        ]
                    )
    return Narrow(
        *runs,
        {
            node: msgspec.structs.replace(meters[node].result(), finite=node not in lost)
            for node in dict.fromkeys(nodes.values())
            if node in meters
        },
    )
