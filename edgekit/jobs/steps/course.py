"""Every stage of a deployment beforehand, and how long the last ones took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.core.documents import DeployStage
from edgekit.core.progress import Position
from edgekit.core.stage import StageRecord
from edgekit.jobs.steps.entries import Plan, variants_needed

__all__ = ["WARM_UP_SECONDS", "Course", "last_time"]

# Opening and warming up an entry, beside the time it is measured for.
WARM_UP_SECONDS = 3.0


@dataclass(frozen=True)
class Course:
    """The stages that a deployment goes through.

    Attributes:
        stages: By name and subject, in the order in which they are made.
        measuring_s: How long the measurement takes at most: its time is asked for, not found out.
    """

    stages: tuple[tuple[str, str], ...]
    measuring_s: float

    @classmethod
    def of(cls, name: str, plans: Sequence[Plan], *, baked: bool, seconds: float) -> Course:
        """Lay out the stages.

        Args:
            name: The source's.
            plans: The entries.
            baked: Whether the fp32 graph is a variant of its own.
            seconds: Of each entry's measurement, at most.
        """
        found = [("export", name), ("reference", name)]
        if any(plan.precision == "int8" for plan in plans):
            found.append(("calibration", name))
        found += [
            ("variant", f"{name}, {one}")
            for one in variants_needed(plans)
            if one != "fp32" or baked
        ]
        for plan in plans:
            found.append(("engine", f"{name}, {plan.variant} for {plan.target} in {plan.compute}"))
            found.append(("certificate", f"{name}, {plan}"))
        found.append(("measurement", name))
        return cls(tuple(found), len(plans) * (seconds + WARM_UP_SECONDS))

    def position(self, stage: str, subject: str) -> Position | None:
        """Return where a stage stands; None for one that was not foreseen."""
        if (stage, subject) not in self.stages:
            return None
        return Position(self.stages.index((stage, subject)) + 1, len(self.stages))

    def timed(
        self, position: Position, done: Sequence[DeployStage], history: Sequence[StageRecord]
    ) -> Position:
        """Add the times, by what was measured; they stay None where something never was.

        Args:
            position: Of a stage that is going to be made.
            done: The stages of this run so far.
            history: What the cache knows of earlier runs.
        """
        left = [
            self._seconds(stage, subject, done, history)
            for stage, subject in self.stages[position.number - 1 :]
        ]
        after = [seconds for seconds in left[1:] if seconds is not None]
        whole = sum(after) if len(after) == len(left) - 1 else None
        return Position(position.number, position.of, left[0], whole)

    def _seconds(
        self,
        stage: str,
        subject: str,
        done: Sequence[DeployStage],
        history: Sequence[StageRecord],
    ) -> float | None:
        """As the last time, else as the others of its kind in this run, else not known."""
        if stage == "measurement":
            return self.measuring_s
        last = last_time(stage, subject, history)
        if last is not None:
            return last.seconds
        alike = [one.seconds for one in done if one.stage == stage and not one.hit]
        return statistics.median(alike) if alike else None


def last_time(stage: str, subject: str, history: Sequence[StageRecord]) -> StageRecord | None:
    """Return the latest record of a stage made for the same subject."""
    same = [one for one in history if (one.stage, one.subject) == (stage, subject)]
    return max(same, key=lambda record: record.created, default=None)
