"""The ratio of two systems of which each round gives one figure, by Wilcoxon's signed-rank test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.ratio import RatioInterval

__all__ = ["ratio_interval"]

# Up to so many rounds the distribution of the signed-rank sum is counted out.
_EXACT = 60
# More rounds than this are averaged in groups of neighbours: the Walsh averages grow with n^2.
_MOST_UNITS = 512


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
        None without rounds; without ends where 2^(1 - n) is above 1 - confidence.
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
