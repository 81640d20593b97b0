"""Two systems measured against each other in one process, taking turns in quads of blocks."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

import msgspec

from edgekit.benchmarks.blocks import no_collection
from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.ratio import FEWEST_ROUNDS, RatioCourse, RatioRule, Ratios
from edgekit.benchmarks.sampling import take_host
from edgekit.benchmarks.stability import unstable_stretches
from edgekit.benchmarks.steady import Run, Steady, WarmUp, idle_runs, warm_up
from edgekit.benchmarks.summary import latency_reasons, summarise, validity
from edgekit.benchmarks.timer import measuring_overhead_ns
from edgekit.benchmarks.watch import Reading, Watch, disturbances, read_machine
from edgekit.core.errors import BadInput
from edgekit.core.measurement import Latency

__all__ = ["Duel", "DuelSide", "DuelSummary", "quads_per_opening"]

# Opening both anew is left out where it would take more than this part of the time of a round, were
# the smallest number of rounds to fill the time of sampling.
_OPENING_PART = 0.5


class DuelSide(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one of the two.

    Attributes:
        samples_ns: Raw samples in order, none dropped.
        blocks: Samples of each block, in order.
        block_starts_ns: When each block began, from the first block of the two on.
        latency: As of a measurement of its own; without a median where there are too few samples.
        mean_ms: Mean of the samples; None before the first round.
        invalid: What makes a measurement of it INVALID, each a sentence.
    """

    samples_ns: array[int]
    blocks: array[int]
    block_starts_ns: array[int]
    latency: Latency
    mean_ms: float | None
    invalid: tuple[str, ...]


class DuelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What two systems taking turns found.

    Attributes:
        ratios: Of time(new) / time(base); None before the first round.
        rounds: Units behind the intervals.
        quads: Quads of blocks, one or several a round.
        seconds: That were sampled, both added up.
        stopped_by: "interval", "time", or "" where it was not finished.
        base: Figures of the base.
        new: Figures of what is held against it.
        invalid: What makes it INVALID as it would a measurement of either, each a sentence.
        reasons: What weakens it besides, each a sentence.
    """

    ratios: Ratios | None
    rounds: int
    quads: int
    seconds: float
    stopped_by: str
    base: DuelSide
    new: DuelSide
    invalid: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass
class _Side:
    samples: array[int] = field(default_factory=lambda: array("q"))
    blocks: array[int] = field(default_factory=lambda: array("q"))
    starts: array[int] = field(default_factory=lambda: array("q"))
    warm: WarmUp | None = None


class Duel:
    """Two systems that take turns in rounds of quads: new, base, base, new; then base, new, ...

    Example:
        duel = Duel(RatioRule(seconds=5))
        duel.warm(base.run, new.run)
        while not duel.done:
            duel.round(base.run, new.run)
        print(duel.summary().ratios)

    Args:
        rule: How they take turns and when it ends; None means the defaults.
        steady: When a warm-up ends; None means the defaults.
        clock: Nanoseconds.
        watch: Reads the machine's counters around each round.
    """

    def __init__(
        self,
        rule: RatioRule | None = None,
        *,
        steady: Steady | None = None,
        clock: Clock = monotonic_clock,
        watch: Watch = read_machine,
    ) -> None:
        self._rule = rule or RatioRule()
        self._steady = steady or Steady()
        self._clock = clock
        self._watch = watch
        self._course = RatioCourse(self._rule)
        self._base, self._new = _Side(), _Side()
        self._quads = 0
        self._round_ns = 0
        self._began_ns: int | None = None
        self._machine: Reading | None = None
        self._overhead_ns: float | None = None

    @property
    def done(self) -> bool:
        """Whether the intervals are narrow enough or the time is up."""
        return bool(self._course.stopped_by)

    @property
    def seconds(self) -> float:
        """Seconds of sampling so far, both added up."""
        return self._course.seconds

    @property
    def quads(self) -> int:
        """Quads so far."""
        return self._quads

    @property
    def quad_seconds(self) -> float:
        """What a quad takes, re-warm-ups included; 0 before the first."""
        return self._round_ns / 1e9 / self._quads if self._quads else 0.0

    def warm(self, base: Run, new: Run) -> None:
        """Run each until its speed is steady or the cap is reached; the runs are no samples."""
        self._overhead_ns = measuring_overhead_ns(self._clock)
        self._base.warm = warm_up(base, self._steady, self._clock)
        self._new.warm = warm_up(new, self._steady, self._clock)

    def settle(self, run: Run, seconds: float = 0.02, runs: int = 2) -> None:
        """Run one of the two for a short while; the runs are no samples."""
        idle_runs(run, self._clock, seconds=seconds, runs=runs)

    def round(self, base: Run, new: Run, quads: int = 1) -> None:
        """Sample one round. Python's garbage collector rests meanwhile.

        Args:
            base: One inference of the base.
            new: One inference of the other.
            quads: Quads of blocks in a row; together they are one unit of the intervals.

        Raises:
            BadInput: `warm` was not called before.
        """
        if self._base.warm is None:
            raise BadInput("A round was asked for before the warm-up.", hint="Call warm() first.")
        with no_collection():
            watched = self._watch()
            opened = self._clock()
            if self._began_ns is None:
                self._began_ns = opened
            first, first_of_base = len(self._new.samples), len(self._base.samples)
            sampled_ns = sum(
                self._block(side, new if side is self._new else base)
                for number in range(self._quads, self._quads + quads)
                for side in self._quad(number)
            )
            self._round_ns += self._clock() - opened
            span = self._watch().since(watched)
        self._quads += quads
        self._machine = span if self._machine is None else self._machine.plus(span)
        self._course.add(
            self._new.samples[first:], self._base.samples[first_of_base:], sampled_ns / 1e9
        )

    def summary(self) -> DuelSummary:
        """Return the figures so far, whether or not the measurement is done."""
        base, new = self._summary(self._base), self._summary(self._new)
        invalid = [
            f"The {name} is INVALID: {reason}"
            for name, side in (("base", base), ("new model", new))
            for reason in side.invalid
        ]
        return DuelSummary(
            ratios=self._course.ratios(),
            rounds=self._course.rounds,
            quads=self._quads,
            seconds=self._course.seconds,
            stopped_by=self._course.stopped_by,
            base=base,
            new=new,
            invalid=(*invalid, *(disturbances(self._machine) if self._machine else ())),
            reasons=tuple(self._reasons()),
        )

    def _summary(self, side: _Side) -> DuelSide:
        samples, warm = side.samples, side.warm
        latency, missing = summarise(samples, "latency.host")
        # Its blocks are shorter than a window, and follow each other without long pauses.
        stretches = unstable_stretches(samples, (len(samples),))
        found = latency_reasons(samples, latency, missing, stretches, self._overhead_ns)
        return DuelSide(
            samples_ns=samples,
            blocks=side.blocks,
            block_starts_ns=side.starts,
            latency=latency,
            mean_ms=sum(samples) / len(samples) / 1e6 if samples else None,
            invalid=validity(found, warm, self._steady, ()) if warm else (),
        )

    def _quad(self, number: int) -> tuple[_Side, ...]:
        """The order of a quad's blocks: whoever has the inner two has the caches in the second."""
        outer, inner = (self._base, self._new) if number % 2 else (self._new, self._base)
        return outer, inner, inner, outer

    def _block(self, side: _Side, run: Run) -> int:
        """Sample one block and return its length in nanoseconds."""
        self.settle(run, self._rule.rewarm_seconds, self._rule.rewarm_runs)
        before = len(side.samples)
        opened = self._clock()
        take_host(run, self._clock, side.samples, opened + round(self._rule.block_seconds * 1e9))
        length_ns = self._clock() - opened
        assert self._began_ns is not None
        side.starts.append(opened - self._began_ns)
        side.blocks.append(len(side.samples) - before)
        return length_ns

    def _reasons(self) -> list[str]:
        missing = FEWEST_ROUNDS - self._course.rounds
        found = []
        if missing > 0:
            found.append(
                f"{self._course.rounds} rounds are too few for an interval: {missing} are "
                "missing; give it a longer --time."
            )
        elif self._course.stopped_by == "time":
            found.append(
                "The time was up before both intervals were within "
                f"{self._rule.half_width:.1%} of their ratios."
            )
        return found


def quads_per_opening(
    rule: RatioRule, opening_seconds: float, quad_seconds: float, sampled_seconds: float
) -> int:
    """Return how many quads share an opening of both, or 0 where both stay as they are.

    Two openings of one model differ: where its weights and buffers come to lie in memory decides
    what falls out of the caches together. For a model of microseconds that is a percent or more,
    which no number of quads in one opening averages out (docs/comparing.md). So every round opens
    both anew where that is affordable, with as many quads in it as make the opening no longer than
    the quads.

    Args:
        rule: Of the comparison.
        opening_seconds: Opening, binding and settling both.
        quad_seconds: One quad, re-warm-ups included.
        sampled_seconds: Of one quad without them.
    """
    if quad_seconds <= 0 or sampled_seconds <= 0:
        return 1
    if opening_seconds > _OPENING_PART * rule.seconds / rule.rounds:
        return 0
    wanted = max(1, math.ceil(opening_seconds / quad_seconds))
    # The smallest number of rounds has to fit into the time.
    return max(1, min(wanted, math.floor(rule.seconds / rule.rounds / sampled_seconds)))
