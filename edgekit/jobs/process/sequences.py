"""Runs of a graph over fixed inputs: one call, or several where state loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest

import msgspec
import numpy as np

from edgekit.benchmarks.rows import Rows
from edgekit.core.card import GraphCard
from edgekit.core.parity import ParityMeter, TensorParity
from edgekit.core.runtime import Array, Feeds, Session

__all__ = ["STEPS", "calibration_calls", "compare", "run_sequence", "sequence", "steps"]

# Calls in a row for a graph with state: enough for an error in the loop to grow.
STEPS = 4
# By how much a state may be larger after twice the calls: to have settled, and to be bounded at the
# last call followed. A sum grows by 2, a random walk by 1.4.
_SETTLED, _BOUNDED = 1.05, 1.2
_MOST_STEPS = 64
# Cases by which it is found out after how many calls the state settles.
_PROBES = 4

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
    return [outputs for _, outputs in sequence(session, feeds, graph)]


def sequence(session: Session, feeds: Feeds, graph: GraphCard) -> list[tuple[Feeds, Outputs]]:
    """Return inputs and outputs of the calls of run_sequence."""
    return list(islice(steps(session, feeds, graph), STEPS))


def steps(session: Session, feeds: Feeds, graph: GraphCard) -> Iterator[tuple[Feeds, Outputs]]:
    """Yield inputs and outputs of calls in a row, without end where there is state, else of one.

    Args:
        session: An opened graph.
        feeds: The inputs of the first call; those that are no state stay the same.
        graph: Its `state` says which output becomes which input.
    """
    current = dict(feeds)
    while True:
        outputs = session.run(current)
        yield current, outputs
        if not graph.state:
            return
        current = {**current, **{name: outputs[one] for one, name in graph.state.items()}}


def calibration_calls(
    session: Session, cases: Sequence[Feeds], graph: GraphCard, limit: int
) -> tuple[list[Feeds], tuple[str, ...]]:
    """Return inputs to calibrate on: each case, and later calls of some with what state becomes.

    Calls 1, 2, 4, … are taken, until the state no longer grows; a state that gets longer by each
    call, such as a cache, is followed as far as the certificate follows it.

    Args:
        session: The float graph.
        cases: The inputs of first calls.
        graph: Its state; without any, the cases come back.
        limit: Of later calls.

    Returns:
        The inputs, in an order that makes any number of the first a fair choice; and the inputs of
        state that still grow after the last call taken.
    """
    if not graph.state:
        return list(cases), ()
    probes = [_doublings(session, case, graph) for case in cases[:_PROBES]]
    taken = max(len(calls) for calls in probes)
    growing = tuple(
        name
        for name in graph.state.values()
        if any(_growth(calls, name) > _BOUNDED for calls in probes if len(calls) == taken)
    )
    followed = cases[_PROBES : max(limit // max(taken - 1, 1), 1)]
    probes += [_doublings(session, case, graph, taken) for case in followed]
    later = [
        calls[-1 - (number + turn) % len(calls)]
        for turn in range(taken)
        for number, calls in enumerate(probes)
    ]
    mixed = chain.from_iterable(zip_longest(later, cases))
    return [feeds for feeds in mixed if feeds is not None], growing


def _doublings(
    session: Session, case: Feeds, graph: GraphCard, taken: int | None = None
) -> list[Feeds]:
    """The inputs of calls 2, 3, 5, 9, …: the state after 1, 2, 4, 8, … calls.

    Args:
        session: The float graph.
        case: The first call's inputs.
        graph: Its state.
        taken: How many to return; None ends where the state has settled.
    """
    calls: list[Feeds] = []
    for number, (feeds, _) in enumerate(steps(session, case, graph)):
        if number & (number - 1) or not number:
            continue
        calls.append(feeds)
        longer = any(feeds[name].shape != case[name].shape for name in graph.state.values())
        settled = all(_growth(calls, name) <= _SETTLED for name in graph.state.values())
        least = number >= STEPS or (longer and 2 * number >= STEPS)
        done = len(calls) == taken if taken else least and (settled or longer)
        if done or number >= _MOST_STEPS:
            break
    return calls


def _growth(calls: Sequence[Feeds], name: str) -> float:
    """How much larger a state was when the number of calls last doubled than ever before."""
    if calls[0][name].dtype.kind != "f":
        return 0.0
    *before, last = (float(np.abs(feeds[name]).max(initial=0.0)) for feeds in calls)
    most = max(before, default=0.0)
    return last / most if most else np.inf if last else 0.0


def compare(
    reference: Mapping[str, list[list[Outputs]]],
    outputs: Mapping[str, list[list[Outputs]]],
    rows: Mapping[tuple[str, str], Rows] | None = None,
) -> dict[tuple[str, str], TensorParity]:
    """Compare sequences by role; the key of the result is (role, output name).

    Args:
        reference: Outputs of the reference.
        outputs: Of the other.
        rows: What matching rows came to, by the same key.
    """
    meters: dict[tuple[str, str], ParityMeter] = {}
    for role, sequences in reference.items():
        for expected, got in zip(sequences, outputs[role], strict=True):
            for step, call in zip(expected, got, strict=True):
                for name, array in step.items():
                    meter = meters.setdefault((role, name), ParityMeter())
                    meter.add(array, call[name])
    figures = {key: meter.result() for key, meter in meters.items()}
    for key, (moved, unjudged) in (rows or {}).items():
        figures[key] = msgspec.structs.replace(figures[key], moved=moved, unjudged=unjudged)
    return figures
