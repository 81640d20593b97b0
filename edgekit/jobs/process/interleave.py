"""Entries measured in turns: each opened in its own process, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from edgekit.benchmarks.interleave import mirrored_rounds
from edgekit.core.card import ModelCard
from edgekit.core.errors import EdgekitError
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds, Session
from edgekit.jobs.process.child import Child
from edgekit.jobs.process.gauge import Conditions
from edgekit.jobs.process.interrupts import Interruption
from edgekit.jobs.process.worker import EntryFigures, Worker
from edgekit.tasks.task import Image

__all__ = ["MeasurementCase", "measure_alone", "measure_in_turns"]

_BLOCK_SECONDS = 0.5


@dataclass(frozen=True)
class MeasurementCase:
    """One entry to be measured.

    Attributes:
        name: For messages.
        opener: Opens its sessions by role.
        card: The model's.
        feeds: Inputs by role.
        conditions: Scenario, boundary, time.
        images: For an end-to-end latency.
        folder: Where a user's decoder is looked for.
        trust_code: Whether that decoder may run.
    """

    name: str
    opener: Callable[[], dict[str, Session]]
    card: ModelCard
    feeds: Mapping[str, Feeds]
    conditions: Conditions
    images: Sequence[Image] = ()
    folder: Path = Path()
    trust_code: bool = False

    def open(self, progress: Progress, seconds: float | None = None) -> Child:
        """Start a process of its own that has opened the model.

        Args:
            progress: Told of what happens in it.
            seconds: It is killed after so long; None lets it live.
        """
        return Child(
            Worker,
            self.opener,
            self.card,
            self.folder,
            self.trust_code,
            what=self.name,
            progress=progress,
            seconds=seconds,
        )


def measure_alone(
    one: MeasurementCase,
    *,
    timeout: float | None,
    progress: Progress,
    interruption: Interruption | None = None,
) -> EntryFigures | EdgekitError:
    """Measure one entry in a process of its own, from opening to the last block.

    Args:
        one: What is measured.
        timeout: Seconds after which the process is killed; None lets it take its time.
        progress: Told of what happens.
        interruption: Where it is asked for, the entry ends with the figures it has.

    Raises:
        KeyboardInterrupt: It was asked for before there was any figure.
    """
    noted = interruption or Interruption()
    try:
        with one.open(progress, timeout) as child:
            child.call("start", dict(one.feeds), one.conditions, one.images)
            child.call("warm")
            if noted.asked:
                raise KeyboardInterrupt
            while not noted.asked and not child.call("block", _BLOCK_SECONDS):
                pass
            figures: EntryFigures = child.call("finish")
            return figures
    except EdgekitError as error:
        return error


def measure_in_turns(
    contestants: Sequence[MeasurementCase],
    *,
    seed: int,
    progress: Progress,
    timeout: float | None = None,
    interruption: Interruption | None = None,
) -> list[EntryFigures | EdgekitError]:
    """Measure all entries in mirrored rounds, so that drift strikes all of them alike.

    Args:
        contestants: Opened all at once; an idle engine waits without spinning on a core.
        seed: Of the order.
        progress: Receives what is being done.
        timeout: Seconds for each entry; all together they may take so many times as long, and what
            still runs then is killed. None lets them take their time.
        interruption: Where it is asked for, every entry ends with the figures it has.

    Returns:
        In the order given: the figures, or the error that ended an entry. One that fails does not
        end the others.

    Raises:
        KeyboardInterrupt: It was asked for before there was any figure.
    """
    noted = interruption or Interruption()
    limit = None if timeout is None else timeout * len(contestants)
    results: dict[int, EntryFigures | EdgekitError] = {}
    with ExitStack() as stack:
        children: dict[int, Child] = {}
        for index in progress.track(range(len(contestants)), "warm-up", total=len(contestants)):
            one = contestants[index]
            try:
                child = one.open(progress, limit)
                stack.callback(child.close)
                child.call("start", dict(one.feeds), one.conditions, one.images)
                child.call("warm")
                children[index] = child
            except EdgekitError as error:
                results[index] = error
            if noted.asked:
                raise KeyboardInterrupt
        turns = chain.from_iterable(mirrored_rounds(sorted(children), seed=seed))
        rounds = [
            max(1, round(contestants[index].conditions.seconds / _BLOCK_SECONDS))
            for index in children
        ]
        steps = progress.track(range(sum(rounds)), "blocks", total=sum(rounds))
        running = set(children)
        while running:
            index = next(turns)
            if index not in running:
                continue
            try:
                if noted.asked or children[index].call("block", _BLOCK_SECONDS):
                    running.discard(index)
                    results[index] = children[index].call("finish")
            except EdgekitError as error:
                running.discard(index)
                results[index] = error
            next(steps, None)
        for _ in steps:
            pass
    return [results[index] for index in range(len(contestants))]
