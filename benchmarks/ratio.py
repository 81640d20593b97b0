"""The ratio of two systems that took turns: its interval, when to stop, and the verdict.

Everything is done on logarithms, so that exchanging the two systems inverts every figure exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.statistics import Samples
from edgekit.core.documents.ratio import RatioVerdict
from edgekit.core.errors import BadInput

__all__ = [
    "MARGIN",
    "RatioCourse",
    "RatioInterval",
    "RatioRule",
    "judge",
    "quad_log_ratio",
    "ratio_interval",
    "rounds_needed",
]

# Two systems that differ by less are the same for what they are used for.
MARGIN = 0.03
# A longer run that lacks rounds for any interval ends after so many times the time asked for.
_PATIENCE = 5
# Up to so many rounds the distribution of the signed-rank sum is counted out.
_EXACT = 60
# More rounds than this are averaged in groups of neighbours: the Walsh averages grow with n^2.
_MOST_UNITS = 512


class RatioRule(msgspec.Struct, frozen=True, kw_only=True):
    """How two systems take turns, and when that ends.

    A round is one quad of blocks (new, base, base, new) or several in a row; its ratio is the unit
    that the interval is made from, because samples of one block depend on each other.

    `half_width` is at most a third of `margin`. An interval that is narrow enough and holds the
    truth then lies within the margin of two equal systems (SAME), and excludes 1 for two that
    differ by more than twice the half width: the measurement ends with an answer, and a false alarm
    needs an error of twice the interval's half width. The width does not know the verdict, so
    looking again and again does not favour one.

    Attributes:
        seconds: Time of sampling at most, both systems added up; up to five times as long where
            that is what the smallest number of rounds takes.
        half_width: Half of the interval of the ratio over the ratio, at most, to end before.
        confidence: Of the interval.
        margin: SAME means that the whole interval lies between 1 / (1 + margin) and 1 + margin.
        rounds: At least so many rounds to end before.
        block_seconds: Length of a block without its re-warm-up; a block has one sample at least.
        rewarm_runs: Runs that a block discards at its start, at least,
        rewarm_seconds: for at least so long: the other system has the caches, and its threads may
            still be awake.
    """

    seconds: float = 120.0
    half_width: float = 0.01
    confidence: float = 0.99
    margin: float = MARGIN
    rounds: int = 12
    block_seconds: float = 0.04
    rewarm_runs: int = 1
    rewarm_seconds: float = 0.004

    def __post_init__(self) -> None:
        for name in ("seconds", "margin", "half_width", "block_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise BadInput(f"{name} of a comparison is above 0, not {getattr(self, name)}.")
        if not 0.5 <= self.confidence < 1:
            raise BadInput(
                f"The confidence of a comparison lies from 0.5 to below 1, not {self.confidence}."
            )
        if self.rounds < 1:
            raise BadInput(f"A comparison takes one round at least, not {self.rounds}.")


class RatioInterval(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio and its interval; None where there are too few rounds for the confidence."""

    ratio: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the interval over the ratio, by logarithms: exp(half) - 1."""
        if self.low is None or self.high is None:
            return None
        return math.expm1((math.log(self.high) - math.log(self.low)) / 2)


def judge(low: float | None, high: float | None, margin: float = MARGIN) -> RatioVerdict:
    """Say what the interval of a ratio of times proves.

    SAME goes before the others: an interval from 1.002 to 1.01 proves that the new system is
    slower, and that it is by less than the margin, which is what counts.

    Args:
        low: Lower end of the interval of time(new) / time(base); None proves nothing.
        high: Upper end.
        margin: See RatioRule.
    """
    if low is None or high is None:
        return "UNCLEAR"
    if low >= 1 / (1 + margin) and high <= 1 + margin:
        return "SAME"
    if low > 1:
        return "SLOWER"
    return "FASTER" if high < 1 else "UNCLEAR"


def quad_log_ratio(
    new_first: Samples, base_first: Samples, base_last: Samples, new_last: Samples
) -> float:
    """Return ln(time(new) / time(base)) of one quad of blocks, taken in this order.

    A block counts by its median, which no single disturbed sample can move far. The mean of the
    outer blocks' logarithms against that of the inner ones takes off a linear drift of ln(time).

    Args:
        new_first: Samples of the block, in any unit; likewise the others.
        base_first: Second block.
        base_last: Third block.
        new_last: Fourth block.
    """
    one, two, three, four = (
        math.log(max(float(np.median(np.asarray(block))), 1.0))
        for block in (new_first, base_first, base_last, new_last)
    )
    return (one + four - two - three) / 2


def ratio_interval(log_ratios: Sequence[float], confidence: float) -> RatioInterval | None:
    """Return the ratio and its interval from the log ratios of rounds.

    The estimate of Hodges and Lehmann (Annals of Mathematical Statistics 34, 1963): the median of
    all Walsh averages (x_i + x_j) / 2, i <= j. Its interval inverts Wilcoxon's signed-rank test
    (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 2014, section
    3.3): the k-th smallest and the k-th largest average, k the largest with P(T < k) <= (1 -
    confidence) / 2. It asks that rounds be independent and symmetric about the true ratio, which
    the order new, base, base, new gives, and no more: no variance has to exist, so the heavy tails
    of a disturbed machine do not break it.

    Args:
        log_ratios: (n,) ln(time(new) / time(base)) of each round, in order of time.
        confidence: Between 0.5 and 1.

    Returns:
        None without rounds; without ends where n is below `rounds_needed(confidence)`.
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    if not values.size:
        return None
    if values.size > _MOST_UNITS:
        values = np.array([group.mean() for group in np.array_split(values, _MOST_UNITS)])
    n = values.size
    first, second = np.triu_indices(n)
    walsh = np.sort((values[first] + values[second]) / 2)
    ratio = math.exp(float(np.median(walsh)))
    rank = _signed_rank(n, (1 - confidence) / 2)
    if rank < 1:
        return RatioInterval(ratio=ratio)
    return RatioInterval(
        ratio=ratio, low=math.exp(float(walsh[rank - 1])), high=math.exp(float(walsh[-rank]))
    )


def rounds_needed(confidence: float) -> int:
    """Return the smallest number of rounds that has an interval: 2^(1 - n) <= 1 - confidence."""
    n = 1
    while _signed_rank(n, (1 - confidence) / 2) < 1:
        n += 1
    return n


class RatioCourse:
    """Takes the rounds of a comparison one by one and says when it ends.

    Args:
        rule: When that is.
    """

    def __init__(self, rule: RatioRule) -> None:
        self._rule = rule
        self._log_ratios: list[float] = []
        self._seconds = 0.0
        self._judged_at = 0
        self._stopped_by = ""

    def add(self, quads: Sequence[float], seconds: float) -> None:
        """Take one round.

        Args:
            quads: Log ratio of each of its quads; their median counts, as one unit.
            seconds: That were sampled, both systems added up.
        """
        self._log_ratios.append(float(np.median(quads)))
        self._seconds += seconds
        self._judge()

    @property
    def stopped_by(self) -> str:
        """What ended it: "interval" or "time"; empty while it goes on."""
        return self._stopped_by

    @property
    def rounds(self) -> int:
        """Rounds so far."""
        return len(self._log_ratios)

    @property
    def seconds(self) -> float:
        """Seconds of sampling so far, both systems added up."""
        return self._seconds

    def interval(self) -> RatioInterval | None:
        """The ratio and its interval so far; None before the first round."""
        return ratio_interval(self._log_ratios, self._rule.confidence)

    def _judge(self) -> None:
        n = len(self._log_ratios)
        # Each look is a chance to stop on an interval that is narrow by accident: look again after
        # growth only.
        if n >= self._rule.rounds and n >= 1.1 * self._judged_at:
            self._judged_at = n
            found = self.interval()
            width = None if found is None else found.half_width
            if width is not None and width <= self._rule.half_width:
                self._stopped_by = "interval"
                return
        enough = n >= rounds_needed(self._rule.confidence)
        if self._seconds >= self._rule.seconds * (1 if enough else _PATIENCE):
            self._stopped_by = "time"


@lru_cache(maxsize=512)
def _signed_rank(n: int, tail: float) -> int:
    """The largest k with P(T < k) <= tail, T the signed-rank sum of n; 0 where there is none."""
    if n > _EXACT:
        # Normal approximation with the correction for continuity.
        spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return math.floor(n * (n + 1) / 4 + 0.5 + NormalDist().inv_cdf(tail) * spread)
    chances: npt.NDArray[np.float64] = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, n + 1):
        moved = np.zeros_like(chances)
        moved[rank:] = chances[:-rank]
        chances = (chances + moved) / 2
    return int(np.searchsorted(np.cumsum(chances), tail * (1 + 1e-12), side="right"))
