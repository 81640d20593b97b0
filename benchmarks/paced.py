"""Frames at a camera's rate: how old a result is when it is there, and how many were left out."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from edgekit.benchmarks.blocks import no_collection
from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.measurement import BlockMeasurement
from edgekit.benchmarks.median import effective_samples
from edgekit.benchmarks.outliers import find_outliers
from edgekit.benchmarks.sensors import Observe, observe_machine
from edgekit.benchmarks.stability import unstable_stretches
from edgekit.benchmarks.statistics import samples_needed
from edgekit.benchmarks.steady import Steady, WarmUp, warm_up
from edgekit.benchmarks.summary import (
    Summary,
    half_width,
    latency_reasons,
    median_is_known,
    stage_figures,
    summarise,
    unstable_level,
)
from edgekit.benchmarks.timer import timer_resolution_ns
from edgekit.benchmarks.watch import Watch, read_machine
from edgekit.core.errors import BadInput
from edgekit.pipeline.answer import STAGES, Answer

__all__ = ["BOUNDARY", "Paced", "PacedRule", "PacedRunner"]

BOUNDARY = "age.e2e"

# A block begins with so many seconds of frames that are no samples, and one frame at least.
_REWARM_S = 0.1


class PacedRule(msgspec.Struct, frozen=True, kw_only=True):
    """At what rate frames come, and when sampling ends.

    Attributes:
        rate: Frames a second.
        seconds: Time of sampling at most, blocks added up.
        half_width: Half of the median's 95 % interval over the median, at most, to end before.
        samples: At least so many samples to end before; the default supports a p99.
    """

    rate: float = 30.0
    seconds: float = 10.0
    half_width: float = 0.01
    samples: int = samples_needed(99)

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.rate <= 0:
            raise BadInput(
                "The time and the rate of a measurement are above 0, not "
                f"{self.seconds} s and {self.rate} frames a second."
            )


class PacedRunner(Protocol):
    """What answers frames, the newest first and the overtaken never."""

    def put(self, captured_ns: int) -> int:
        """Hand the next frame over, without waiting, and return its number."""
        ...

    def settle(self) -> Sequence[Answer]:
        """Wait until each frame is answered or replaced; return the answers since the last call."""
        ...


class Paced(BlockMeasurement):
    """One entry's measurement, taken in blocks so that several entries can take turns.

    A frame falls due at every interval, whatever the machine does: a result that is late does not
    move the next frame. A sample is the age of a frame when its result is there, counted from the
    moment it fell due; a frame that a newer one replaced is counted, and is no sample.

    Args:
        rule: Rate, and when sampling ends; None means the defaults.
        steady: When the warm-up ends; None means the defaults.
        clock: Nanoseconds; the answers' must be the same.
        sleep: Waits for so many seconds.
        watch: Reads the machine's counters around each block.
        observe: Reads clocks and temperatures after each block.
        seed: Of the bootstrap.
    """

    def __init__(
        self,
        rule: PacedRule | None = None,
        *,
        steady: Steady | None = None,
        clock: Clock = monotonic_clock,
        sleep: Callable[[float], None] = time.sleep,
        watch: Watch = read_machine,
        observe: Observe = observe_machine,
        seed: int = 0,
    ) -> None:
        super().__init__(steady, clock=clock, watch=watch, observe=observe, seed=seed)
        self._rule = rule or PacedRule()
        self._sleep = sleep
        self._ages = array("q")
        self._stages = {name: array("q") for name in STAGES}
        self._sampled = 0

    def warm(self, stream: PacedRunner) -> WarmUp:
        """Answer one frame after the other until the speed is steady or the cap is reached."""

        def one() -> None:
            stream.put(self._clock())
            stream.settle()

        self._resolution_ns = timer_resolution_ns(self._clock)
        self._warm = warm_up(one, self._steady, self._clock)
        return self._warm

    def block(self, stream: PacedRunner, seconds: float) -> None:
        """Give frames for `seconds`, or until the time is up, after a few that are no samples.

        At least one frame is sampled. Python's garbage collector rests meanwhile.

        Args:
            stream: Must be what `warm` ran.
            seconds: Length of the block without what it discards.

        Raises:
            BadInput: `warm` was not called before.
        """
        self._refuse_cold()
        rate = self._rule.rate
        left = self._rule.seconds - self._sampled / rate
        frames = max(1, round(min(seconds, left) * rate))
        discarded = max(1, math.ceil(_REWARM_S * rate))
        with no_collection():
            start = self._clock()
            self._play(stream, start, range(discarded))
            with self._log.block(lambda: len(self._ages)):
                numbers = self._play(stream, start, range(discarded, discarded + frames))
                self._keep([one for one in stream.settle() if one.frame.number in numbers])
                self._sampled += frames
        self._rewarmup += discarded
        self._judge()

    def summary(self) -> Summary:
        """Return the figures so far, whether or not the measurement is done."""
        ages, blocks = self._ages, self._log.sizes
        latency, missing = summarise(ages, BOUNDARY, seed=self._seed)
        # The age swings where frames and inferences beat; the engine's level is that of inference.
        inferences = self._stages["inference"]
        stretches = unstable_stretches(inferences, blocks)
        reasons = [
            *latency_reasons(ages, latency, missing, (), None),
            *unstable_level(inferences, stretches),
        ]
        return self._summary(
            reasons,
            scenario="paced",
            latency=latency,
            missing=missing,
            throughput_per_s=self._rule.rate * len(ages) / self._sampled if self._sampled else None,
            samples_ns=tuple(ages),
            stages_ns={name: tuple(stage) for name, stage in self._stages.items()},
            stages=stage_figures(self._stages),
            dropped=self._sampled - len(ages),
            half_width=half_width(latency.p50_ms, latency.p50_low_ms, latency.p50_high_ms),
            effective_n=effective_samples(ages) if ages else None,
            outliers=find_outliers(ages, blocks, disturbed=bool(self._log.disturbances())),
            unstable=stretches,
        )

    def _play(self, stream: PacedRunner, start_ns: int, places: range) -> set[int]:
        """Give the frames as they fall due; return the numbers of those that were given."""
        interval_ns = 1e9 / self._rule.rate
        numbers = set()
        place = places.start
        while place < places.stop:
            early_ns = start_ns + place * interval_ns - self._clock()
            if early_ns > 0:
                self._sleep(early_ns / 1e9)
            else:
                # Whoever comes late finds the newest frame: those before it are overtaken.
                place = min(place + int(-early_ns / interval_ns), places.stop - 1)
            numbers.add(stream.put(start_ns + round(place * interval_ns)))
            place += 1
        return numbers

    def _keep(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self._ages.append(answer.age_ns)
            for name, stage in self._stages.items():
                stage.append(answer.stages_ns.get(name, 0))

    def _judge(self) -> None:
        known = len(self._ages) >= self._rule.samples and median_is_known(
            self._ages, self._rule.half_width, seed=self._seed
        )
        if known:
            self._stopped_by = "interval"
        elif self._sampled >= self._rule.seconds * self._rule.rate:
            self._stopped_by = "time"
