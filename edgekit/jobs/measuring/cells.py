"""The cells of a measurement: every combination of targets, computes and swept axes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.benchmarks.offline import BOUNDARY as OFFLINE
from edgekit.benchmarks.paced import BOUNDARY as PACED
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.jobs.process.gauge import BOUNDARIES, SCENARIOS, Boundary, Scenario

__all__ = ["AXES", "Cell", "lay_out"]

# What --sweep may vary, in the order in which a cell's name says it.
AXES = ("batch", "threads", "streams", "concurrency", "rate")
# Those that a scenario has.
_SINGLE = ("batch", "threads")
_OFFLINE = ("batch", "threads", "streams", "concurrency")
_PACED = ("threads", "rate")
# Frames a second of a usual camera.
_RATE = 30


@dataclass(frozen=True)
class Cell:
    """One thing to be measured.

    Attributes:
        target: As text, complete.
        compute: Float precision that the engine may compute in.
        scenario: By MLPerf's name, or "paced".
        boundary: Of single-stream's latencies.
        batch: Size of the batch axis.
        threads: Of a CPU engine; None means all physical cores.
        streams: Of the engine; None means its own choice.
        concurrency: Requests in flight in offline; None means the engine's own choice.
        rate: Frames a second in paced; else None.
    """

    target: str
    compute: str = "fp32"
    scenario: Scenario = "single-stream"
    boundary: Boundary = "latency.host"
    batch: int = 1
    threads: int | None = None
    streams: int | None = None
    concurrency: int | None = None
    rate: int | None = None

    @property
    def measures(self) -> str:
        """The boundary of what comes out: a scenario may leave no choice."""
        return {"offline": OFFLINE, "paced": PACED}.get(self.scenario, self.boundary)

    @property
    def conditions(self) -> str:
        """What is not as usual, "offline, batch 4, threads 2"; empty where all is."""
        words: list[str] = [] if self.scenario == "single-stream" else [self.scenario]
        words += [] if self.boundary == "latency.host" else [self.boundary]
        values = {axis: getattr(self, axis) for axis in AXES}
        usual = {"batch": 1}
        words += [
            f"{axis} {value}"
            for axis, value in values.items()
            if value is not None and value != usual.get(axis)
        ]
        return ", ".join(words)


def lay_out(
    targets: Sequence[str],
    computes: Sequence[str],
    *,
    scenario: str,
    boundaries: Sequence[str],
    sweep: Mapping[str, Sequence[int]],
    batch: int,
    threads: int | None,
    streams: int | None,
    concurrency: int | None,
    rate: int | None,
) -> list[Cell]:
    """Return every cell, the last axis of the sweep changing first.

    Args:
        targets: One or several, complete.
        computes: One or several.
        scenario: By MLPerf's name, or "paced".
        boundaries: One or several; of single-stream's latencies alone.
        sweep: Axis to its values; an axis that is swept is not given singly as well.
        batch: Where it is not swept.
        threads: Where they are not swept.
        streams: Where they are not swept.
        concurrency: Where it is not swept.
        rate: Of paced, where it is not swept; None means 30 frames a second.

    Raises:
        BadInput: A word or a number that is none of those there are.
    """
    if scenario not in SCENARIOS:
        raise BadInput(f"There is no scenario {scenario!r}.", closest(scenario, SCENARIOS))
    unknown = next((one for one in boundaries if one not in BOUNDARIES), None)
    if unknown is not None:
        raise BadInput(f"There is no boundary {unknown!r}.", closest(unknown, BOUNDARIES))
    _refuse_boundary(scenario, boundaries)
    if scenario == "paced" and rate is None and "rate" not in sweep:
        rate = _RATE
    given = {
        "batch": batch,
        "threads": threads,
        "streams": streams,
        "concurrency": concurrency,
        "rate": rate,
    }
    for axis, values in sweep.items():
        if axis not in AXES:
            raise BadInput(f"--sweep has no axis {axis!r}.", closest(axis, AXES))
        if not values or len(set(values)) != len(values):
            raise BadInput(f"--sweep {axis} needs values that differ from each other.")
        if given[axis] not in (None, 1):
            raise BadInput(f"{axis} is swept and given as {given[axis]} as well.")
    swept: dict[str, Any] = {axis: tuple(values) for axis, values in sweep.items()}
    for axis, one in given.items():
        for value in swept.get(axis, () if one is None else (one,)):
            if value < 1:
                raise BadInput(f"{axis} is 1 or more, not {value}.")
    # One input at a time is what a batch is where nobody asks for another.
    named = {axis for axis, one in given.items() if one is not None and (axis, one) != ("batch", 1)}
    _refuse_idle(scenario, named | set(swept))
    plain: dict[str, Any] = {axis: one for axis, one in given.items() if axis not in swept}
    plain["scenario"] = scenario
    cells = [
        Cell(target=target, compute=compute, boundary=boundary, **plain)
        for target in dict.fromkeys(targets)
        for compute in dict.fromkeys(computes)
        for boundary in BOUNDARIES
        if boundary in boundaries
    ]
    changes: list[dict[str, Any]] = [
        dict(zip(swept, values, strict=True)) for values in itertools.product(*swept.values())
    ]
    return [dataclasses.replace(cell, **change) for cell in cells for change in changes]


def _refuse_boundary(scenario: str, boundaries: Sequence[str]) -> None:
    wrong = next((one for one in boundaries if one != "latency.host"), None)
    if scenario == "single-stream" or wrong is None:
        return
    has = "has no latency" if scenario == "offline" else f"measures {PACED}"
    raise BadInput(f"The scenario {scenario} {has}, so not {wrong}.", hint="Leave --boundary out.")


def _refuse_idle(scenario: str, named: Collection[str]) -> None:
    """Refuse an axis without effect, for whoever names one expects it to have one."""
    takes = {"single-stream": _SINGLE, "offline": _OFFLINE, "paced": _PACED}
    for axis in AXES:
        if axis in named and axis not in takes[scenario]:
            has = " or ".join(name for name, axes in takes.items() if axis in axes)
            raise BadInput(
                f"In {scenario}, {axis} would change nothing.", hint=f"Use --scenario {has}."
            )
