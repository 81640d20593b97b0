"""MLPerf's single-stream scenario: one query after the other, the latency of each."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping

import msgspec

from edgekit.benchmarks.blocks import no_collection
from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.measurement import BlockMeasurement
from edgekit.benchmarks.median import effective_samples
from edgekit.benchmarks.outliers import find_outliers
from edgekit.benchmarks.rate import rate_interval
from edgekit.benchmarks.sampling import take_host, take_staged, take_told
from edgekit.benchmarks.sensors import Observe, observe_machine
from edgekit.benchmarks.stability import unstable_stretches
from edgekit.benchmarks.statistics import samples_needed
from edgekit.benchmarks.steady import Run, Steady, WarmUp, idle_runs, warm_up
from edgekit.benchmarks.summary import (
    Summary,
    half_width,
    latency_reasons,
    median_is_known,
    stage_figures,
    summarise,
)
from edgekit.benchmarks.timer import measuring_overhead_ns, timer_resolution_ns
from edgekit.benchmarks.watch import Watch, read_machine
from edgekit.core.errors import BadInput

__all__ = ["SingleStream", "SingleStreamRule"]

# A model too slow for a median in the time asked for gets so many times as much.
_PATIENCE = 5


class SingleStreamRule(msgspec.Struct, frozen=True, kw_only=True):
    """When sampling ends.

    Attributes:
        seconds: Time of sampling at most, blocks added up; up to five times as long where that is
            what a median (11 samples) takes.
        half_width: Half of the median's 95 % interval over the median, at most, to end before.
        samples: At least so many samples to end before; the default supports a p99.
        rewarm_runs: Runs that a block discards at its start, at least,
        rewarm_seconds: for at least so long (a pause lets caches, clocks and threads cool down).
    """

    seconds: float = 10.0
    half_width: float = 0.01
    samples: int = samples_needed(99)
    rewarm_runs: int = 3
    rewarm_seconds: float = 0.05

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise BadInput(f"The time of a measurement is above 0 s, not {self.seconds} s.")


class SingleStream(BlockMeasurement):
    """One entry's measurement, taken in blocks so that several entries can take turns.

    Example:
        stream = SingleStream(SingleStreamRule(seconds=5))
        stream.warm(binding.run)
        while not stream.done:
            stream.block(binding.run, 0.5)
        print(stream.summary().latency)

    Args:
        rule: When sampling ends; None means the defaults.
        steady: When the warm-up ends; None means the defaults.
        boundary: What lies between two clock readings, see core.measurement.Latency.
        told_ns: What the engine tells of the last run, nanoseconds; a sample is then that.
        steps: The steps of one inference by name, in order; each is then timed as well.
        clock: Nanoseconds.
        watch: Reads the machine's counters around each block.
        observe: Reads clocks and temperatures after each block.
        seed: Of the bootstrap.
    """

    def __init__(
        self,
        rule: SingleStreamRule | None = None,
        *,
        steady: Steady | None = None,
        boundary: str = "latency.host",
        told_ns: Callable[[], int] | None = None,
        steps: Mapping[str, Run] | None = None,
        clock: Clock = monotonic_clock,
        watch: Watch = read_machine,
        observe: Observe = observe_machine,
        seed: int = 0,
    ) -> None:
        super().__init__(steady, clock=clock, watch=watch, observe=observe, seed=seed)
        self._rule = rule or SingleStreamRule()
        self._boundary = boundary
        self._told_ns = told_ns
        self._steps = dict(steps or {})
        self._samples = array("q")
        self._stages = {name: array("q") for name in self._steps}
        self._judged_at = 0
        self._overhead_ns: float | None = None

    def warm(self, run: Run) -> WarmUp:
        """Run until the speed is steady or the cap is reached; the runs are no samples."""
        self._resolution_ns = timer_resolution_ns(self._clock)
        self._overhead_ns = measuring_overhead_ns(self._clock)
        self._warm = warm_up(run, self._steady, self._clock)
        return self._warm

    def block(self, run: Run, seconds: float) -> None:
        """Discard a short re-warm-up, then sample for `seconds`, or until the time is up.

        At least one sample is taken. Python's garbage collector rests meanwhile.

        Args:
            run: One inference; must be what `warm` ran.
            seconds: Length of the block without its re-warm-up.

        Raises:
            BadInput: `warm` was not called before.
        """
        self._refuse_cold()
        left_ns = round(self._limit * 1e9) - self._log.elapsed_ns
        length_ns = max(0, min(round(seconds * 1e9), left_ns))
        with no_collection():
            self._rewarmup += idle_runs(
                run, self._clock, seconds=self._rule.rewarm_seconds, runs=self._rule.rewarm_runs
            )
            with self._log.block(lambda: len(self._samples)) as opened:
                self._sample(run, opened + length_ns)
        self._judge()

    def summary(self) -> Summary:
        """Return the figures so far, whether or not the measurement is done."""
        samples, blocks = self._samples, self._log.sizes
        latency, missing = summarise(samples, self._boundary, seed=self._seed)
        seconds = self._log.elapsed_ns / 1e9
        rate = rate_interval(samples, seed=self._seed) if samples else None
        stretches = unstable_stretches(samples, blocks)
        return self._summary(
            latency_reasons(samples, latency, missing, stretches, self._overhead_ns),
            latency=latency,
            missing=missing,
            throughput_per_s=len(samples) / seconds if seconds else None,
            throughput_low_per_s=rate.low if rate else None,
            throughput_high_per_s=rate.high if rate else None,
            samples_ns=tuple(samples),
            stages_ns={name: tuple(stage) for name, stage in self._stages.items()},
            stages=stage_figures(self._stages),
            half_width=half_width(latency.p50_ms, latency.p50_low_ms, latency.p50_high_ms),
            effective_n=effective_samples(samples) if samples else None,
            outliers=find_outliers(samples, blocks, disturbed=bool(self._log.disturbances())),
            unstable=stretches,
            overhead_ns=self._overhead_ns,
        )

    def _sample(self, run: Run, deadline_ns: int) -> None:
        if self._steps:
            steps, stages = tuple(self._steps.values()), tuple(self._stages.values())
            take_staged(steps, self._clock, self._samples, stages, deadline_ns)
        elif self._told_ns is not None:
            take_told(run, self._told_ns, self._clock, self._samples, deadline_ns)
        else:
            take_host(run, self._clock, self._samples, deadline_ns)

    def _judge(self) -> None:
        n = len(self._samples)
        # The bootstrap costs time that other entries wait for: judge again after growth only.
        if n >= self._rule.samples and n >= 1.1 * self._judged_at:
            self._judged_at = n
            if median_is_known(self._samples, self._rule.half_width, seed=self._seed):
                self._stopped_by = "interval"
                return
        if self._log.elapsed_ns >= round(self._limit * 1e9):
            self._stopped_by = "time"

    @property
    def _limit(self) -> float:
        """Seconds of sampling at most: more than asked for, within reason, to have a median."""
        enough = len(self._samples) >= samples_needed(50)
        return self._rule.seconds * (1 if enough else _PATIENCE)
