"""Mean intersection over union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.metrics.by_class import Scored, class_scores
from edgekit.benchmarks.resampling import Weights, bootstrap_metric
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Segmentation

__all__ = ["IGNORE", "score_segmentation"]

# Pixels of this value in a truth are not scored.
IGNORE = 255

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Pixels:
    """Pixel counts by image and class, each (n, C) float64."""

    both: Float
    truth: Float
    found: Float

    def iou(self, weights: Weights) -> Float:
        """(B, C) IoU of summed counts; NaN where the truth of a resample lacks the class."""
        both, truth, found = (weights @ part for part in (self.both, self.truth, self.found))
        union = truth + found - both
        present = truth > 0
        return np.asarray(np.divide(both, union, out=np.full_like(both, np.nan), where=present))

    def mean_iou(self, weights: Weights) -> Float:
        """(B,) mean over the classes present in the truth; NaN where there is none."""
        iou = self.iou(weights)
        count = np.isfinite(iou).sum(axis=1)
        total = np.nansum(iou, axis=1)
        return np.asarray(
            np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        )


def score_segmentation(
    results: Sequence[Segmentation],
    truths: Sequence[npt.NDArray[np.uint8]],
    reference: Sequence[Segmentation] | None,
    *,
    labels: int,
    seed: int = 0,
    resamples: int = 1000,
) -> Scored:
    """Return mIoU over the classes present in the truth, and by class; counts sum over all images.

    Args:
        results: One an image.
        truths: (H, W) uint8 of each image, 255 = not scored.
        reference: The reference's results on the same images; None gives no drop.
        labels: Number of classes.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        BadInput: There is no image, no labelled pixel, a truth of another size than its image, or
            a class that the model does not know.
    """
    pixels = _count(results, truths, labels)
    other = None if reference is None else _count(reference, truths, labels)
    scored = pixels.truth.sum()
    metric = bootstrap_metric(
        "mIoU",
        pixels.mean_iou,
        len(results),
        reference=None if other is None else other.mean_iou,
        pivotal=True,
        resamples=resamples,
        seed=seed,
        others={
            "pixel_accuracy": float(pixels.both.sum() / max(1, scored)),
            "classes": float((pixels.truth.sum(axis=0) > 0).sum()),
        },
    )
    everything = np.ones((1, len(results)), np.int64)
    known = None if other is None else other.iou(everything)[0]
    counts = pixels.truth.sum(axis=0).astype(np.int64)
    return Scored(metric, class_scores("IoU", "pixels", counts, pixels.iou(everything)[0], known))


def _count(
    results: Sequence[Segmentation], truths: Sequence[npt.NDArray[np.uint8]], labels: int
) -> _Pixels:
    both, truth, found = (np.zeros((len(results), labels)) for _ in range(3))
    for index, (result, labelled) in enumerate(zip(results, truths, strict=True)):
        if result.mask.shape != labelled.shape:
            raise BadInput(
                f"The mask of image {index} is {labelled.shape}, and the image is "
                f"{result.mask.shape}.",
                hint="A mask has the height and width of its image.",
            )
        scored = labelled != IGNORE
        true, mask = labelled[scored].astype(np.intp), result.mask[scored]
        if true.size and int(true.max()) >= labels:
            raise BadInput(
                f"The mask of image {index} holds class {int(true.max())}, and the model knows "
                f"{labels}.",
                hint="Check the labels of the data and of the card; 255 means not scored.",
            )
        # Whatever the model calls a class beyond its labels is wrong wherever it stands.
        known = np.minimum(mask, labels).astype(np.intp)
        table = np.bincount(true * (labels + 1) + known, minlength=labels * (labels + 1))
        table = table.reshape(labels, labels + 1)
        both[index] = np.diagonal(table)
        truth[index] = table.sum(axis=1)
        found[index] = table.sum(axis=0)[:labels]
    return _Pixels(both, truth, found)
