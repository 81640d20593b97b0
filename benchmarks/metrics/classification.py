"""Top-1 and top-5 accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.metrics.by_class import Scored, class_scores
from edgekit.benchmarks.resampling import Statistic, Weights, bootstrap_metric
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
) -> Scored:
    """Return top-1 with its interval and paired drop, and by class; top-5 where classes are many.

    Of a class top-1 is the share of its images that are answered right.

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
    right = ranks < 1
    known = None if reference is None else _ranks(reference, truths) < 1
    classes = results[0].probabilities.size if results else 0
    metric = bootstrap_metric(
        "top1",
        _mean(right),
        len(results),
        reference=None if known is None else _mean(known),
        resamples=resamples,
        seed=seed,
        others={"top5": float((ranks < 5).mean())} if classes > 5 else {},
    )
    images = np.bincount(np.asarray(truths, np.int64), minlength=classes)
    shares = [None if one is None else _by_class(one, truths, images) for one in (right, known)]
    assert shares[0] is not None, "the entry itself was scored"
    return Scored(metric, class_scores("top1", "images", images, shares[0], shares[1]))


def _by_class(
    right: npt.NDArray[np.bool_], truths: Sequence[int], images: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(C,) share of each class's images that are answered right; NaN where it has none."""
    count = np.bincount(truths, weights=right, minlength=images.size)
    return np.asarray(np.divide(count, images, out=np.full(images.size, np.nan), where=images > 0))


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
