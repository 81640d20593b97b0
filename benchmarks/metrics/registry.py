"""One front for the metrics of all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.metrics.by_class import Scored
from edgekit.benchmarks.metrics.classification import score_classification
from edgekit.benchmarks.metrics.detection import score_detection
from edgekit.benchmarks.metrics.segmentation import score_segmentation
from edgekit.core.certificate import Metric
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Boxes, Classification, Detections, Result, Segmentation, Truth

__all__ = ["score", "score_by_class"]

T = TypeVar("T")


def score(
    task: str,
    results: Sequence[Result],
    truths: Sequence[Truth],
    reference: Sequence[Result] | None,
    *,
    labels: int,
    seed: int = 0,
    resamples: int = 1000,
) -> Metric | None:
    """Return the metric of score_by_class alone."""
    scored = score_by_class(
        task, results, truths, reference, labels=labels, seed=seed, resamples=resamples
    )
    return None if scored is None else scored.metric


def score_by_class(
    task: str,
    results: Sequence[Result],
    truths: Sequence[Truth],
    reference: Sequence[Result] | None,
    *,
    labels: int,
    seed: int = 0,
    resamples: int = 1000,
) -> Scored | None:
    """Score results against truths, and their drop from the reference's on the same images.

    Images whose truth is None are left out.

    Args:
        task: As in the card.
        results: One an image.
        truths: One an image, in the same order.
        reference: The reference's results, in the same order; None gives no drop.
        labels: Number of classes; 0 takes the largest that occurs.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        The metric and the figures by class; None where the task has none or no image has a truth.

    Raises:
        BadInput: The three differ in length, or a truth does not fit; the message names the image.
        MissingLibrary: A library of the extra "eval" is not installed.
    """
    if len(results) != len(truths) or (reference is not None and len(reference) != len(truths)):
        others = "" if reference is None else f" and {len(reference)} of the reference"
        raise BadInput(f"There are {len(truths)} truths for {len(results)} results{others}.")
    keep = [index for index, truth in enumerate(truths) if truth is not None]
    if task not in ("classification", "detection", "segmentation") or not keep:
        return None
    labels = labels or _largest(truths, results) + 1
    if task == "classification":
        return score_classification(
            _pick(results, keep, Classification),
            [int(cast("int", truths[index])) for index in keep],
            None if reference is None else _pick(reference, keep, Classification),
            seed=seed,
            resamples=resamples,
        )
    if task == "detection":
        return score_detection(
            _pick(results, keep, Detections),
            _pick(truths, keep, Boxes),
            None if reference is None else _pick(reference, keep, Detections),
            labels=labels,
            seed=seed,
            resamples=resamples,
        )
    return score_segmentation(
        _pick(results, keep, Segmentation),
        [cast("npt.NDArray[np.uint8]", truths[index]) for index in keep],
        None if reference is None else _pick(reference, keep, Segmentation),
        labels=labels,
        seed=seed,
        resamples=resamples,
    )


def _pick(items: Sequence[object], keep: list[int], kind: type[T]) -> list[T]:
    found = [items[index] for index in keep]
    for index, item in zip(keep, found, strict=True):
        if not isinstance(item, kind):
            raise BadInput(
                f"Image {index} has a {type(item).__name__} where a {kind.__name__} is needed.",
                hint="The data set's labels do not belong to the card's task.",
            )
    return cast("list[T]", found)


def _largest(truths: Sequence[Truth], results: Sequence[Result]) -> int:
    found = [0]
    for item in (*truths, *results):
        if isinstance(item, (Boxes, Detections)) and item.classes.size:
            found.append(int(item.classes.max()))
        elif isinstance(item, Segmentation) and item.mask.size:
            found.append(int(item.mask.max()))
        elif isinstance(item, np.ndarray) and (item != 255).any():
            found.append(int(item[item != 255].max()))
    return max(found)
