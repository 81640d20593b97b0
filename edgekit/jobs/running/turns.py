"""Entries measured in turns: each opened in its own process, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from edgekit.benchmarks.interleave import mirrored_rounds
from edgekit.core.card import ModelCard
from edgekit.core.errors import EdgekitError
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds, Session
from edgekit.jobs.running.child import Child
from edgekit.jobs.running.worker import Measured, Worker

__all__ = ["Contestant", "measure_in_turns"]

_BLOCK_SECONDS = 0.5

T = TypeVar("T")


@dataclass(frozen=True)
class Contestant:
    """One entry to be measured.

    Attributes:
        name: For messages.
        opener: Opens its sessions by role.
        card: The model's.
        feeds: Inputs by role.
    """

    name: str
    opener: Callable[[], dict[str, Session]]
    card: ModelCard
    feeds: Mapping[str, Feeds]


def measure_in_turns(
    contestants: Sequence[Contestant], *, seconds: float, seed: int, progress: Progress
) -> list[Measured | EdgekitError]:
    """Measure all entries in mirrored rounds, so that drift strikes all of them alike.

    Args:
        contestants: Opened all at once; an idle engine waits without spinning on a core.
        seconds: Sampling time of each at most; one whose interval is narrow stops before.
        seed: Of the order.
        progress: Receives what is being done.

    Returns:
        In the order given: the figures, or the error that ended an entry. One that fails does not
        end the others.
    """
    results: dict[int, Measured | EdgekitError] = {}
    with ExitStack() as stack:
        children: dict[int, Child] = {}
        for index in progress.track(range(len(contestants)), "warm-up", total=len(contestants)):
            one = contestants[index]
            try:
                child = Child(
                    Worker, one.opener, one.card, Path(), False, what=one.name, progress=progress
                )
                stack.callback(child.close)
                child.call("start", dict(one.feeds), seconds)
                child.call("warm")
                children[index] = child
            except EdgekitError as error:
                results[index] = error
        blocks = max(1, round(seconds / _BLOCK_SECONDS))
        turns = chain.from_iterable(mirrored_rounds(sorted(children), seed=seed))
        steps = progress.track(
            range(blocks * len(children)), "blocks", total=blocks * len(children)
        )
        running = set(children)
        while running:
            index = next(turns)
            if index not in running:
                continue
            try:
                if children[index].call("block", _BLOCK_SECONDS):
                    running.discard(index)
                    results[index] = children[index].call("finish")
            except EdgekitError as error:
                running.discard(index)
                results[index] = error
            next(steps, None)
        for _ in steps:
            pass
    return [results[index] for index in range(len(contestants))]
