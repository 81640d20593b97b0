"""Top-1 and top-5 accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.resampling import Statistic, Weights, bootstrap_metric
from edgekit.core.certificate import Metric
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Classification

__all__ = ["score_classification"]


def score_classification(
    results: Sequence[Classification],
    truths: Sequence[int],
    reference: Sequence[Classification] | None,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Metric:
    """Return top-1 with its interval and paired drop; top-5 beside it where classes are many.

    An answer that holds NaN or Inf counts as wrong. Of equal probabilities the first class wins.

    Args:
        results: One an image.
        truths: Class index of each image.
        reference: The reference's results on the same images; None gives no drop.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        BadInput: There is no image, or a truth is no class of the model.
    """
    ranks = _ranks(results, truths)
    statistic = _mean(ranks < 1)
    other = None if reference is None else _mean(_ranks(reference, truths) < 1)
    many = len(results) > 0 and results[0].probabilities.size > 5
    return bootstrap_metric(
        "top1",
        statistic,
        len(results),
        reference=other,
        resamples=resamples,
        seed=seed,
        others={"top5": float((ranks < 5).mean())} if many else {},
    )


def _ranks(results: Sequence[Classification], truths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Number of classes before the true one, by image."""
    ranks = np.empty(len(results), dtype=np.int64)
    for index, (result, truth) in enumerate(zip(results, truths, strict=True)):
        found = result.probabilities
        if not 0 <= truth < found.size:
            raise BadInput(
                f"Image {index} is labelled class {truth}, and the model knows {found.size}.",
                hint="Check the labels of the data and of the card.",
            )
        if not bool(np.isfinite(found).all()):
            ranks[index] = found.size
            continue
        own = found[truth]
        ranks[index] = int((found > own).sum()) + int((found[:truth] == own).sum())
    return ranks


def _mean(correct: npt.NDArray[np.bool_]) -> Statistic:
    values = correct.astype(np.float64)

    def statistic(weights: Weights) -> npt.NDArray[np.float64]:
        return np.asarray(weights @ values / weights.sum(axis=1))

    return statistic
