"""What the scenarios have in common: warmed up once, then taken in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.benchmarks.blocks import BlockLog
from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.sensors import Observe, observe_machine
from edgekit.benchmarks.steady import Steady, WarmUp
from edgekit.benchmarks.summary import Summary, validity
from edgekit.benchmarks.watch import Watch, read_machine
from edgekit.core.errors import BadInput

__all__ = ["BlockMeasurement"]


class BlockMeasurement:
    """Base of one entry's measurement, taken in blocks so that several entries can take turns.

    Args:
        steady: When the warm-up ends; None means the defaults.
        clock: Nanoseconds.
        watch: Reads the machine's counters around each block.
        observe: Reads clocks and temperatures after each block.
        seed: Of the bootstrap.
    """

    def __init__(
        self,
        steady: Steady | None = None,
        *,
        clock: Clock = monotonic_clock,
        watch: Watch = read_machine,
        observe: Observe = observe_machine,
        seed: int = 0,
    ) -> None:
        self._steady = steady or Steady()
        self._clock = clock
        self._seed = seed
        self._log = BlockLog(clock, watch, observe)
        self._warm: WarmUp | None = None
        self._rewarmup = 0
        self._stopped_by = ""
        self._resolution_ns: float | None = None

    @property
    def done(self) -> bool:
        """Whether the interval is narrow enough or the time is up."""
        return bool(self._stopped_by)

    def _refuse_cold(self) -> None:
        if self._warm is None:
            raise BadInput("A block was asked for before the warm-up.", hint="Call warm() first.")

    def _summary(self, reasons: Sequence[str], **figures: Any) -> Summary:
        """Lay figures together with how they were taken.

        Args:
            reasons: What the figures themselves say against them.
            figures: Fields of Summary.
        """
        warm = self._warm or WarmUp(samples=0, steady=False, medians_ns=())
        reasons = validity(reasons, warm, self._steady, self._log.disturbances())
        return Summary(
            blocks=tuple(self._log.sizes),
            block_starts_ns=tuple(self._log.starts_ns),
            warmup=warm.samples,
            warmup_ns=warm.elapsed_ns,
            rewarmup=self._rewarmup,
            steady=warm.steady,
            stopped_by=self._stopped_by,
            resolution_ns=self._resolution_ns,
            observed=self._log.observed,
            valid=not reasons,
            reasons=reasons,
            **figures,
        )
