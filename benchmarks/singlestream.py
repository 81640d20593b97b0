"""MLPerf's single-stream scenario: one query after the other, the latency of each."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.median import median_interval
from edgekit.benchmarks.statistics import Samples, missing_samples, percentile, samples_needed
from edgekit.benchmarks.steady import Run, Steady, WarmUp, warm_up
from edgekit.benchmarks.watch import Reading, Watch, disturbances, read_machine
from edgekit.core.errors import BadInput
from edgekit.core.measurement import Latency

__all__ = ["SingleStream", "SingleStreamRule", "SingleStreamSummary", "summarise"]

# A model too slow for a median in the time asked for gets so many times as much.
_PATIENCE = 5

_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0}


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


class SingleStreamSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a single-stream measurement found.

    Attributes:
        latency: Summary of the samples.
        missing: Percentile to the samples it lacks, for those that are refused.
        throughput_per_s: Inferences a second over the sampled time; None without samples.
        samples_ns: Raw samples in order, none dropped.
        blocks: Samples of each block, in order.
        warmup: Runs spent warming up.
        rewarmup: Runs that blocks discarded at their start.
        steady: Whether the warm-up's last windows agreed before the cap.
        stopped_by: "interval" (narrow enough), "time", or "" where it was not finished.
        half_width: Half of the median's 95 % interval over the median; None where refused.
        valid: Whether nothing speaks against the figures.
        reasons: What does, each a sentence.
    """

    latency: Latency
    missing: dict[str, int]
    throughput_per_s: float | None
    samples_ns: tuple[int, ...]
    blocks: tuple[int, ...]
    warmup: int
    rewarmup: int
    steady: bool
    stopped_by: str
    half_width: float | None
    valid: bool
    reasons: tuple[str, ...]


class SingleStream:
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
        clock: Nanoseconds.
        watch: Reads the machine's counters around each block.
        seed: Of the bootstrap.
    """

    def __init__(
        self,
        rule: SingleStreamRule | None = None,
        *,
        steady: Steady | None = None,
        boundary: str = "latency.host",
        clock: Clock = monotonic_clock,
        watch: Watch = read_machine,
        seed: int = 0,
    ) -> None:
        self._rule = rule or SingleStreamRule()
        self._steady = steady or Steady()
        self._boundary = boundary
        self._clock = clock
        self._watch = watch
        self._seed = seed
        self._samples = array("q")
        self._blocks: list[int] = []
        self._elapsed_ns = 0
        self._warm: WarmUp | None = None
        self._rewarmup = 0
        self._machine: Reading | None = None
        self._judged_at = 0
        self._stopped_by = ""

    @property
    def done(self) -> bool:
        """Whether the interval is narrow enough or the time is up."""
        return bool(self._stopped_by)

    def warm(self, run: Run) -> WarmUp:
        """Run until the speed is steady or the cap is reached; the runs are no samples."""
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
        if self._warm is None:
            raise BadInput("A block was asked for before the warm-up.", hint="Call warm() first.")
        clock, samples, before = self._clock, self._samples, len(self._samples)
        left_ns = round(self._limit * 1e9) - self._elapsed_ns
        length_ns = max(0, min(round(seconds * 1e9), left_ns))
        with _no_collection():
            self._rewarm(run)
            watched = self._watch()
            opened = end = clock()
            deadline = opened + length_ns
            while True:
                start = clock()
                run()
                end = clock()
                samples.append(end - start)
                if end >= deadline:
                    break
            span = self._watch().since(watched)
        self._machine = span if self._machine is None else self._machine.plus(span)
        self._elapsed_ns += end - opened
        self._blocks.append(len(samples) - before)
        self._judge()

    def summary(self) -> SingleStreamSummary:
        """Return the figures so far, whether or not the measurement is done."""
        latency, missing = summarise(self._samples, self._boundary, seed=self._seed)
        warm = self._warm or WarmUp(samples=0, steady=False, medians_ns=())
        reasons = self._reasons(warm, latency, missing)
        seconds = self._elapsed_ns / 1e9
        return SingleStreamSummary(
            latency=latency,
            missing=missing,
            throughput_per_s=len(self._samples) / seconds if seconds else None,
            samples_ns=tuple(self._samples),
            blocks=tuple(self._blocks),
            warmup=warm.samples,
            rewarmup=self._rewarmup,
            steady=warm.steady,
            stopped_by=self._stopped_by,
            half_width=_half_width(latency),
            valid=not reasons,
            reasons=tuple(reasons),
        )

    def _rewarm(self, run: Run) -> None:
        deadline = self._clock() + round(self._rule.rewarm_seconds * 1e9)
        runs = 0
        while runs < self._rule.rewarm_runs or self._clock() < deadline:
            run()
            runs += 1
        self._rewarmup += runs

    def _judge(self) -> None:
        n = len(self._samples)
        # The bootstrap costs time that other entries wait for: judge again after growth only.
        if n >= self._rule.samples and n >= 1.1 * self._judged_at:
            self._judged_at = n
            latency, _ = summarise(self._samples, self._boundary, seed=self._seed)
            width = _half_width(latency)
            if width is not None and width <= self._rule.half_width:
                self._stopped_by = "interval"
                return
        if self._elapsed_ns >= round(self._limit * 1e9):
            self._stopped_by = "time"

    @property
    def _limit(self) -> float:
        """Seconds of sampling at most: more than asked for, within reason, to have a median."""
        enough = len(self._samples) >= samples_needed(50)
        return self._rule.seconds * (1 if enough else _PATIENCE)

    def _reasons(self, warm: WarmUp, latency: Latency, missing: dict[str, int]) -> list[str]:
        reasons = []
        if "p50" in missing:
            reasons.append(
                f"{latency.n} samples are too few for a median: {missing['p50']} are missing."
            )
        if not warm.steady:
            reasons.append(
                f"The speed was not steady after {warm.samples} warm-up runs "
                f"(the last {self._steady.windows} windows differ by more than "
                f"{self._steady.tolerance:.0%})."
            )
        if self._machine is not None:
            reasons += disturbances(self._machine)
        return reasons


def summarise(
    samples_ns: Samples, boundary: str, *, seed: int = 0
) -> tuple[Latency, dict[str, int]]:
    """Return percentiles with the median's 95 % interval, and what the refused ones lack.

    Args:
        samples_ns: (n,) in order of time, nanoseconds.
        boundary: See core.measurement.Latency.
        seed: Of the bootstrap.

    Returns:
        The summary in milliseconds, and percentile ("p50", "p90", "p99") to the number of samples
        it lacks, empty where none is refused.
    """
    n = len(samples_ns)
    found = {name: percentile(samples_ns, percent) for name, percent in _PERCENTILES.items()}
    missing = {
        name: missing_samples(n, _PERCENTILES[name])
        for name, value in found.items()
        if value is None
    }
    milliseconds = {f"{name}_ms": value / 1e6 for name, value in found.items() if value is not None}
    if "p50" not in missing:
        low, high = median_interval(samples_ns, seed=seed)
        milliseconds |= {"p50_low_ms": low / 1e6, "p50_high_ms": high / 1e6}
    return Latency(boundary=boundary, n=n, **milliseconds), missing


def _half_width(latency: Latency) -> float | None:
    if latency.p50_ms is None or latency.p50_low_ms is None or latency.p50_high_ms is None:
        return None
    if latency.p50_ms == 0:
        return 0.0
    return (latency.p50_high_ms - latency.p50_low_ms) / 2 / latency.p50_ms


@contextmanager
def _no_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
