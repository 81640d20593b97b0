"""The ratio of two systems that took turns: its intervals, when to stop, and the verdict.

A comparison has two ratios of times, new over base: the typical one, of the medians of all samples
of each, and that of their means, which is how much either does in equal time. The figures are those
of a measurement of one entry (nearest-rank median, mean), so that a ratio is the quotient of the
figures beside it. Everything else is done on logarithms: exchanging the two systems inverts every
figure exactly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.autocorrelation import dependence
from edgekit.benchmarks.median import resampled_medians
from edgekit.benchmarks.statistics import Samples, percentile
from edgekit.core.documents.ratio import RatioVerdict
from edgekit.core.errors import BadInput

__all__ = [
    "FEWEST_ROUNDS",
    "MARGIN",
    "Judgement",
    "RatioCourse",
    "RatioInterval",
    "RatioRule",
    "Ratios",
    "judge",
    "judge_both",
    "ratios",
]

# Two systems that differ by less are the same for what they are used for.
MARGIN = 0.03
# Fewer say next to nothing of how much rounds differ, and have no interval.
FEWEST_ROUNDS = 8
# A longer run that lacks rounds for any interval ends after so many times the time asked for.
_PATIENCE = 5
# More rounds than this are laid together with their neighbours: it bounds time and memory.
_MOST_UNITS = 512
_RESAMPLES = 1000
# A resample has so many runs of neighbours at least: with fewer their spread is not known;
_FEWEST_RUNS = 6
# and so many at most, because the autocorrelation of few rounds sees little of what lasts.
_MOST_RUNS = 10


class RatioRule(msgspec.Struct, frozen=True, kw_only=True):
    """How two systems take turns, and when that ends.

    A round is one quad of blocks (new, base, base, new; the next one base, new, new, base) or
    several in a row, and the unit that the intervals are made from, because samples of one block
    depend on each other.

    `half_width` is at most a third of `margin`. A ratio whose interval is narrow enough and holds
    the truth then lies within the margin of two equal systems (SAME), and excludes 1 for two that
    differ by more than twice the half width. Both ratios have to be so narrow. The width does not
    know the verdict, so looking again and again does not favour one.

    Attributes:
        seconds: Time of sampling at most, both systems added up; up to five times as long where
            that is what the smallest number of rounds takes.
        half_width: Half of the interval of a ratio over the ratio, at most, to end before.
        confidence: Of the intervals.
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
    rounds: int = 24
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

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.ratio:.3f}"
        return f"{self.ratio:.3f} ({self.low:.3f}–{self.high:.3f})"


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


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What both ratios of a comparison say together.

    Attributes:
        verdict: What each of them says; UNCLEAR where they do not say the same.
        typical: Of the ratio of the medians; None where there is none.
        mean: Of the ratio of the means; None where there is none.
        reason: Why it is UNCLEAR although one of them is not, a sentence; else empty.
    """

    verdict: RatioVerdict
    typical: RatioVerdict | None
    mean: RatioVerdict | None
    reason: str = ""


def judge_both(
    typical: RatioInterval | None, mean: RatioInterval | None, margin: float = MARGIN
) -> Judgement:
    """Judge both ratios by the same margin and say what they say together.

    A system that answers sooner at the median and does less in equal time is neither faster nor
    slower, so a verdict takes both. Where only one of the two ratios is known, it stands alone.

    Args:
        typical: Ratio of the medians, new over base.
        mean: Ratio of the means.
        margin: See RatioRule.
    """
    one = None if typical is None else judge(typical.low, typical.high, margin)
    other = None if mean is None else judge(mean.low, mean.high, margin)
    said: set[RatioVerdict] = {word for word in (one, other) if word is not None}
    if len(said) == 1:
        return Judgement(verdict=said.pop(), typical=one, mean=other)
    reason = ""
    if typical is not None and mean is not None:
        reason = (
            f"By the medians the new one is {one}, at {typical} times the base's time; by the "
            f"means it is {other}, at {mean}: together UNCLEAR."
        )
    return Judgement(verdict="UNCLEAR", typical=one, mean=other, reason=reason)


class Ratios(msgspec.Struct, frozen=True, kw_only=True):
    """Both ratios of two systems that took turns.

    Attributes:
        typical: Median of all samples of the new one over that of the base's; None where either
            has too few samples for a median.
        mean: Mean over mean.
    """

    typical: RatioInterval | None
    mean: RatioInterval

    @property
    def half_width(self) -> float | None:
        """The wider one's; None where one of them has none."""
        widths = [one.half_width if one else None for one in (self.typical, self.mean)]
        known = [width for width in widths if width is not None]
        return max(known) if len(known) == len(widths) else None


def ratios(
    new: Sequence[Samples], base: Sequence[Samples], confidence: float, seed: int = 0
) -> Ratios:
    """Return the ratios of two systems that took turns, with their intervals.

    Rounds are resampled, both systems' samples of a round together, so that what disturbed a round
    disturbs both figures of a resample: the circular block bootstrap (Politis and Romano, 1992)
    over rounds, with runs of neighbours as long as the autocorrelation of what the rounds add to
    the estimates asks for, and a tenth of all at least, as in the method of batch means (Schmeiser,
    Operations Research 30, 1982). Each resample gives both ratios of its pooled samples. An
    interval is that of Student's t on the logarithm with the resamples' standard deviation, n / run
    - 1 degrees of freedom (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
    12). Percentiles of the resamples instead missed the truth of the mean several times as often as
    they say with some dozen rounds.

    Args:
        new: Samples of each round, nanoseconds, in order of time, one at least.
        base: The same rounds of the base.
        confidence: Between 0.5 and 1.
        seed: The same seed gives the same intervals.

    Returns:
        Without ends where there are fewer than 8 rounds.
    """
    sides = [_Pooled(_grouped(new)), _Pooled(_grouped(base))]
    means = sides[0].mean / sides[1].mean
    known = sides[0].median is not None and sides[1].median is not None
    medians = (sides[0].median or 1.0) / (sides[1].median or 1.0)
    if len(new) < FEWEST_ROUNDS:
        typical = RatioInterval(ratio=medians) if known else None
        return Ratios(typical=typical, mean=RatioInterval(ratio=means))
    units = sides[0].sizes.size
    run = max(
        math.ceil(units / _MOST_RUNS),
        dependence(sides[0].mean_influence - sides[1].mean_influence).block,
        dependence(sides[0].median_influence - sides[1].median_influence).block,
    )
    run = min(run, max(1, units // _FEWEST_RUNS))
    times = _resampled(units, run, np.random.default_rng(seed))

    def spread(ratio: float, of_new: _Figures, of_base: _Figures) -> RatioInterval:
        runs = units / run
        error = float(np.std(np.log(of_new / of_base))) * math.sqrt(runs / (runs - 1))
        reach = _student((1 + confidence) / 2, runs - 1) * error
        return RatioInterval(
            ratio=ratio, low=ratio * math.exp(-reach), high=ratio * math.exp(reach)
        )

    return Ratios(
        typical=spread(medians, *(side.medians(times, run) for side in sides)) if known else None,
        mean=spread(means, *(side.means(times) for side in sides)),
    )


class RatioCourse:
    """Takes the rounds of a comparison one by one and says when it ends.

    Args:
        rule: When that is.
    """

    def __init__(self, rule: RatioRule) -> None:
        self._rule = rule
        self._new: list[Samples] = []
        self._base: list[Samples] = []
        self._seconds = 0.0
        self._judged_at = 0
        self._stopped_by = ""

    def add(self, new: Samples, base: Samples, seconds: float) -> None:
        """Take one round.

        Args:
            new: Its samples of the new system, nanoseconds, one at least.
            base: Its samples of the base.
            seconds: That were sampled, both systems added up.
        """
        self._new.append(new)
        self._base.append(base)
        self._seconds += seconds
        self._judge()

    @property
    def stopped_by(self) -> str:
        """What ended it: "interval" or "time"; empty while it goes on."""
        return self._stopped_by

    @property
    def rounds(self) -> int:
        """Rounds so far."""
        return len(self._new)

    @property
    def seconds(self) -> float:
        """Seconds of sampling so far, both systems added up."""
        return self._seconds

    def ratios(self) -> Ratios | None:
        """Both ratios and their intervals so far; None before the first round."""
        return ratios(self._new, self._base, self._rule.confidence) if self._new else None

    def _judge(self) -> None:
        n = self.rounds
        # Each look is a chance to stop on intervals that are narrow by accident: look again after
        # growth only.
        if n >= self._rule.rounds and n >= 1.2 * self._judged_at:
            self._judged_at = n
            found = self.ratios()
            width = None if found is None else found.half_width
            if width is not None and width <= self._rule.half_width:
                self._stopped_by = "interval"
                return
        enough = n >= FEWEST_ROUNDS
        if self._seconds >= self._rule.seconds * (1 if enough else _PATIENCE):
            self._stopped_by = "time"


_Figures = npt.NDArray[np.float64]


class _Pooled:
    """All samples of one system by unit, its figures, and what each unit adds to them."""

    def __init__(self, units: Sequence[Samples]) -> None:
        arrays = [np.asarray(unit, dtype=np.float64) for unit in units]
        self.sizes = np.array([unit.size for unit in arrays], dtype=np.int64)
        self._values = np.concatenate(arrays)
        self._sums = np.array([unit.sum() for unit in arrays])
        self.mean = max(1.0, float(self._values.mean()))
        median = percentile(self._values, 50)
        self.median = None if median is None else max(1.0, median)

    @property
    def mean_influence(self) -> _Figures:
        return np.asarray((self._sums - self.mean * self.sizes) / self._sums.sum())

    @property
    def median_influence(self) -> _Figures:
        unit = np.repeat(np.arange(self.sizes.size), self.sizes)
        above = np.bincount(unit, self._values > np.median(self._values), self.sizes.size)
        return np.asarray((above - above.sum() * self.sizes / self.sizes.sum()) / self._values.size)

    def means(self, times: npt.NDArray[np.int64]) -> _Figures:
        return np.asarray(np.maximum(1.0, (times @ self._sums) / (times @ self.sizes)))

    def medians(self, times: npt.NDArray[np.int64], together: int) -> _Figures:
        return np.maximum(1.0, resampled_medians(self._values, self.sizes, times, together))


def _grouped(rounds: Sequence[Samples]) -> Sequence[Samples]:
    if len(rounds) <= _MOST_UNITS:
        return rounds
    ends = np.linspace(0, len(rounds), _MOST_UNITS + 1).astype(int)
    return [np.concatenate(rounds[a:b]) for a, b in itertools.pairwise(ends)]


def _resampled(units: int, run: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How often each unit occurs in each resample of runs of neighbours, (resamples, units)."""
    starts = rng.integers(units, size=(_RESAMPLES, math.ceil(units / run), 1))
    drawn = (starts + np.arange(run)).reshape(_RESAMPLES, -1)[:, :units] % units
    cells = drawn + np.arange(_RESAMPLES)[:, None] * units
    return np.bincount(cells.ravel(), minlength=_RESAMPLES * units).reshape(_RESAMPLES, units)


def _student(chance: float, freedom: float) -> float:
    """A quantile of Student's t, by Cornish and Fisher (Abramowitz and Stegun, 26.7.5).

    Within 1 % for 5 degrees of freedom and more at 99.5 %.
    """
    z = NormalDist().inv_cdf(chance)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
