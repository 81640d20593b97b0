"""COCO's mean average precision, matched by pycocotools, accumulated here for the bootstrap."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.metrics.by_class import Scored, class_scores
from edgekit.benchmarks.resampling import Weights, bootstrap_metric
from edgekit.core.errors import BadInput
from edgekit.core.requires import requires
from edgekit.tasks.results import Boxes, Detections

__all__ = ["MAX_DETECTIONS", "score_detection"]

# COCO scores the best hundred of an image.
MAX_DETECTIONS = 100

# COCO's sizes of objects, by their areas in square pixels.
_ALL = "all"
_SIZES = {
    _ALL: (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}

_RECALLS = np.linspace(0.0, 1.0, 101)
_EPSILON = np.spacing(1)
_CHUNK_ELEMENTS = 1 << 21

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _ClassMatches:
    """What pycocotools matched for one class, over all images.

    Attributes:
        label: Index of the class.
        images: (D,) image of each detection, best score first.
        hits: For each IoU threshold the positions in `images` of the true positives.
        counted: (T, D) whether a detection counts at all (False: it lies on a crowd).
        labelled: (n,) labelled objects of each image, crowds left out.
    """

    label: int
    images: npt.NDArray[np.intp]
    hits: tuple[npt.NDArray[np.intp], ...]
    counted: npt.NDArray[np.bool_]
    labelled: Float

    def average_precision(self, weights: Weights) -> Float:
        """(B, T) average precision; NaN where a resample has no labelled object of the class.

        COCO's definition: the mean, over 101 recalls, of the largest precision at that recall or a
        higher one. Precision can only peak, and recall only grow, at a true positive, so nothing
        else is looked at; a true positive answers for all recalls passed since the one before.
        """
        rows = max(1, _CHUNK_ELEMENTS // max(1, self.images.size))
        parts = [
            self._average_precision(weights[first : first + rows])
            for first in range(0, len(weights), rows)
        ]
        return np.concatenate(parts)

    def _average_precision(self, weights: Weights) -> Float:
        objects = weights @ self.labelled
        found = np.zeros((len(weights), len(self.hits)))
        drawn = weights[:, self.images]
        seen = drawn.cumsum(axis=1)
        for index, hits in enumerate(self.hits):
            if not hits.size:
                continue
            counted = self.counted[index]
            total = seen if counted.all() else (drawn * counted).cumsum(axis=1)
            true = drawn[:, hits].cumsum(axis=1)
            precision = true / (total[:, hits] + _EPSILON)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            recall = true / np.maximum(objects, 1)[:, None]
            passed = np.searchsorted(_RECALLS, recall, side="right")
            answers = np.diff(passed, axis=1, prepend=0)
            found[:, index] = (best * answers).sum(axis=1) / _RECALLS.size
        found[objects == 0] = np.nan
        return found


@dataclass(frozen=True)
class _Matches:
    """Matches of every class that has a labelled object."""

    classes: tuple[_ClassMatches, ...]

    def by_class(self, labels: int) -> tuple[Float, npt.NDArray[np.int64]]:
        """(C,) average precision over all images, NaN where unlabelled; (C,) labelled objects."""
        found, objects = np.full(labels, np.nan), np.zeros(labels, np.int64)
        for matches in self.classes:
            everything = np.ones((1, matches.labelled.size), np.int64)
            found[matches.label] = matches.average_precision(everything).mean()
            objects[matches.label] = int(matches.labelled.sum())
        return found, objects

    def mean_average_precision(self, weights: Weights, thresholds: slice = slice(None)) -> Float:
        """(B,) mean over classes and IoU thresholds; NaN where nothing is labelled."""
        total = np.zeros(len(weights))
        count = np.zeros(len(weights))
        for matches in self.classes:
            precision = matches.average_precision(weights)[:, thresholds].mean(axis=1)
            present = np.isfinite(precision)
            total[present] += precision[present]
            count += present
        return np.asarray(
            np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        )


def score_detection(
    results: Sequence[Detections],
    truths: Sequence[Boxes],
    reference: Sequence[Detections] | None,
    *,
    labels: int,
    seed: int = 0,
    resamples: int = 1000,
) -> Scored:
    """Return mAP50-95 with its interval and paired drop; by size and by class, and mAP50 beside it.

    A size that no labelled object has is left out. Each image is matched by pycocotools (at most
    100 boxes), all areas once and each size once; precision and recall are then accumulated for
    every resample. Over the full set the figures are pycocotools' own. Detections whose box or
    score is not finite are left out.

    Args:
        results: One an image, down to a low score (0.01), best first.
        truths: Labelled objects of each image; an image without any is scored too.
        reference: The reference's results on the same images; None gives no drop.
        labels: Number of classes.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Raises:
        BadInput: There is no image, no labelled object, or a class that the model does not know.
        MissingLibrary: pycocotools is not installed.
    """
    for index, truth in enumerate(truths):
        if truth.classes.size and not 0 <= truth.classes.min() <= truth.classes.max() < labels:
            raise BadInput(
                f"Image {index} holds class {int(truth.classes.max())}, and the model knows "
                f"{labels}.",
                hint="Check the labels of the data and of the card.",
            )
    by_size = _match_by_size(results, truths, labels, tuple(_SIZES))
    matches = by_size.pop(_ALL)
    other = None if reference is None else _match(reference, truths, labels)
    everything = np.ones((1, len(results)), dtype=np.int64)
    others = {"mAP50": float(matches.mean_average_precision(everything, slice(1))[0])}
    for size, of_size in by_size.items():
        if of_size.classes:
            others[f"mAP50-95 {size}"] = float(of_size.mean_average_precision(everything)[0])
    metric = bootstrap_metric(
        "mAP50-95",
        matches.mean_average_precision,
        len(results),
        reference=None if other is None else other.mean_average_precision,
        pivotal=True,
        resamples=resamples,
        seed=seed,
        others=others,
    )
    found, objects = matches.by_class(labels)
    known = None if other is None else other.by_class(labels)[0]
    return Scored(metric, class_scores("AP50-95", "objects", objects, found, known))


def _match(results: Sequence[Detections], truths: Sequence[Boxes], labels: int) -> _Matches:
    return _match_by_size(results, truths, labels, (_ALL,))[_ALL]


def _match_by_size(
    results: Sequence[Detections], truths: Sequence[Boxes], labels: int, sizes: Sequence[str]
) -> dict[str, _Matches]:
    """Match once for each of some _SIZES, objects of other sizes left out."""
    evaluation = _evaluate(results, truths, labels, [_SIZES[size] for size in sizes])
    images, thresholds = len(truths), len(evaluation.params.iouThrs)
    # pycocotools lists the images of a size together, and the sizes of a class.
    blocks = [
        evaluation.evalImgs[start : start + images]
        for start in range(0, len(evaluation.evalImgs), images)
    ]
    return {
        size: _Matches(_matched_classes(blocks[at :: len(sizes)], images, thresholds))
        for at, size in enumerate(sizes)
    }


def _matched_classes(
    blocks: Sequence[Sequence[Any]], images: int, thresholds: int
) -> tuple[_ClassMatches, ...]:
    """Gather what was matched in the images of each class; classes without objects are left out."""
    classes = []
    for label, block in enumerate(blocks):
        rows = [(index, found) for index, found in enumerate(block) if found is not None]
        labelled = np.zeros(images)
        for index, found in rows:
            labelled[index] = np.count_nonzero(np.asarray(found["gtIgnore"]) == 0)
        if not labelled.any():
            continue
        scores = np.concatenate([np.asarray(found["dtScores"], float) for _, found in rows])
        # pycocotools sorts by mergesort too, so that equal scores keep the order of the images.
        order = np.argsort(-scores, kind="mergesort")
        matched = _joined(rows, "dtMatches")[:, order]
        counted = ~_joined(rows, "dtIgnore")[:, order]
        owner = np.concatenate(
            [np.full(len(found["dtScores"]), index, dtype=np.intp) for index, found in rows]
        )[order]
        hits = tuple(np.flatnonzero(matched[t] & counted[t]) for t in range(thresholds))
        classes.append(_ClassMatches(label, owner, hits, counted, labelled))
    return tuple(classes)


def _joined(rows: list[tuple[int, Any]], key: str) -> npt.NDArray[np.bool_]:
    """(T, D) whether pycocotools put anything but 0, over all images."""
    return np.asarray(np.concatenate([found[key] for _, found in rows], axis=1) != 0)


def _evaluate(
    results: Sequence[Detections],
    truths: Sequence[Boxes],
    labels: int,
    areas: Sequence[tuple[float, float]],
) -> Any:
    """A COCOeval that has matched every image once for each range of areas (square pixels)."""
    with requires("pycocotools", extra="eval", why="to score a detector"):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

    images = [{"id": index} for index in range(len(truths))]
    categories = [{"id": index} for index in range(labels)]
    # pycocotools reports its progress on stdout, which belongs to results.
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        for side, annotations in (
            (truth, _truth_annotations(truths)),
            (found, _result_annotations(results)),
        ):
            content: Any = {"images": images, "categories": categories, "annotations": annotations}
            side.dataset = content
            side.createIndex()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.areaRng = [list(area) for area in areas]
        evaluation.params.areaRngLbl = [str(area) for area in areas]
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.evaluate()
    return evaluation


def _truth_annotations(truths: Sequence[Boxes]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for image, truth in enumerate(truths):
        for box, label, area, crowd in zip(
            _xywh(truth.boxes),
            truth.classes.tolist(),
            truth.areas.tolist(),
            truth.crowd.tolist(),
            strict=True,
        ):
            # A match is stored as the other's id, and 0 means none: ids start at 1.
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    return found


def _result_annotations(results: Sequence[Detections]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for image, result in enumerate(results):
        keep = np.isfinite(result.boxes).all(axis=1) & np.isfinite(result.scores)
        for box, score, label in zip(
            _xywh(result.boxes[keep]),
            result.scores[keep].tolist(),
            result.classes[keep].tolist(),
            strict=True,
        ):
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "score": score,
                }
            )
    return found


def _xywh(boxes: npt.NDArray[np.float32]) -> list[list[float]]:
    corners = boxes.astype(np.float64).reshape(-1, 4)
    found: list[list[float]] = np.concatenate(
        [corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1
    ).tolist()
    return found
