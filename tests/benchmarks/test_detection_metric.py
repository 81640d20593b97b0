import builtins
import contextlib
import io
import time

import numpy as np
import pytest

from edgekit.benchmarks.metrics.detection import score_detection as scored
from edgekit.core.errors import BadInput, MissingLibrary
from edgekit.tasks.results import Boxes, Detections


def score_detection(*arguments, **options):
    return scored(*arguments, **options).metric


def boxes(rows, crowd=()):
    """Rows of x1, y1, x2, y2, class."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 5)
    sides = table[:, 2:4] - table[:, :2]
    flags = np.isin(np.arange(len(table)), crowd)
    return Boxes(table[:, :4], table[:, 4].astype(np.int64), sides.prod(axis=1), flags)


def detections(rows):
    """Rows of x1, y1, x2, y2, class, score."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    table = table[np.argsort(-table[:, 5], kind="stable")]
    return Detections(table[:, :4], table[:, 5], table[:, 4].astype(np.int64))


def scene(n, classes, seed, *, crowd=0.1, ties=True):
    """Labelled images and two models' detections; some images have no label, some no detection."""
    rng = np.random.default_rng(seed)
    truths, models = [], ([], [])
    for _ in range(n):
        count = int(rng.integers(0, 6))
        corner, size = rng.uniform(0, 300, (count, 2)), rng.uniform(20, 150, (count, 2))
        label = rng.integers(0, classes, count)
        rows = np.column_stack([corner, corner + size, label])
        truths.append(boxes(rows, np.flatnonzero(rng.random(count) < crowd)))
        for model in models:
            found = int(rng.integers(0, 15))
            if count:
                near = rng.integers(0, count, found)
                place = rows[near, :4] + rng.normal(0, 10, (found, 4))
                kind = np.where(rng.random(found) < 0.7, label[near], rng.integers(classes))
            else:
                start = rng.uniform(0, 300, (found, 2))
                place, kind = np.column_stack([start, start + 40]), rng.integers(0, classes, found)
            score = rng.random(found).round(1 if ties else 9)
            model.append(detections(np.column_stack([place, kind, score])))
    return truths, *models


def pycocotools_figures(results, truths, classes):
    """COCO's own mAP50-95 and mAP50."""
    return pycocotools_summary(results, truths, classes)[:2]


def pycocotools_summary(results, truths, classes):
    """COCO's own summary: a straightforward use of pycocotools, apart from the code under test."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        x1, y1, x2, y2 = map(float, box)
        return [x1, y1, x2 - x1, y2 - y1]

    truth = COCO()
    truth.dataset = {
        "images": [{"id": i} for i in range(len(truths))],
        "categories": [{"id": c} for c in range(classes)],
        "annotations": [
            {
                "image_id": i,
                "category_id": int(c),
                "bbox": xywh(b),
                "area": float(a),
                "iscrowd": int(w),
            }
            for i, t in enumerate(truths)
            for b, c, a, w in zip(t.boxes, t.classes, t.areas, t.crowd, strict=True)
        ],
    }
    for number, annotation in enumerate(truth.dataset["annotations"], 1):
        annotation["id"] = number
    rows = [
        {"image_id": i, "category_id": int(c), "bbox": xywh(b), "score": float(s)}
        for i, r in enumerate(results)
        for b, c, s in zip(r.boxes, r.classes, r.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return tuple(evaluation.stats)


@pytest.mark.parametrize("seed", range(6))
def test_the_figures_of_the_full_set_are_those_of_pycocotools(seed):
    truths, results, _ = scene(20, 1 + 2 * seed, seed)
    found = score_detection(results, truths, None, labels=1 + 2 * seed, resamples=2)
    expected = pycocotools_figures(results, truths, 1 + 2 * seed)
    assert (found.value, found.others["mAP50"]) == pytest.approx(expected, abs=1e-12)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_by_size_are_those_of_pycocotools(seed):
    truths, results, _ = scene(30, 2, seed)
    others = score_detection(results, truths, None, labels=2, resamples=2).others
    expected = pycocotools_summary(results, truths, 2)[3:6]
    found = [others[f"mAP50-95 {size}"] for size in ("small", "medium", "large")]
    assert found == pytest.approx(expected, abs=1e-12)
    assert len(set(found)) == 3


def test_a_size_that_nothing_labelled_has_is_left_out():
    truth = boxes([[0, 0, 50, 50, 0]])
    right = detections([[0, 0, 50, 50, 0, 0.5]])
    others = score_detection([right], [truth], None, labels=1, resamples=2).others
    assert set(others) == {"mAP50", "mAP50-95 medium"}


def test_more_than_a_hundred_boxes_count_as_in_pycocotools():
    truths, _, _ = scene(3, 2, 1)
    rng = np.random.default_rng(0)
    results = []
    for truth in truths:
        rows = [
            [*(box + rng.normal(0, 12, 4)), label, rng.random()]
            for box, label in zip(truth.boxes, truth.classes, strict=True)
            for _ in range(90)
        ]
        results.append(detections(rows))
    found = score_detection(results, truths, None, labels=2, resamples=2)
    expected = pycocotools_figures(results, truths, 2)
    assert (found.value, found.others["mAP50"]) == pytest.approx(expected, abs=1e-12)


def test_a_resample_is_scored_as_if_its_images_were_written_several_times():
    """The weights of the bootstrap against pycocotools on a data set with real copies."""
    from edgekit.benchmarks.metrics.detection import _match

    truths, results, _ = scene(12, 3, 5, ties=False)
    drawn = np.random.default_rng(2).integers(12, size=(4, 12))
    weights = np.stack([np.bincount(row, minlength=12) for row in drawn])
    found = _match(results, truths, 3).mean_average_precision(weights)
    for row, value in zip(drawn, found, strict=True):
        order = np.sort(row)
        expected = pycocotools_figures([results[i] for i in order], [truths[i] for i in order], 3)
        assert value == pytest.approx(expected[0], abs=1e-12)


def test_detections_on_an_image_without_labels_are_false_positives():
    labelled, empty = boxes([[0, 0, 50, 50, 0]]), boxes([])
    right = detections([[0, 0, 50, 50, 0, 0.5]])
    invented = detections([[0, 0, 50, 50, 0, 0.9]])
    clean = score_detection([right, detections([])], [labelled, empty], None, labels=1)
    assert clean.value == pytest.approx(1)
    found = score_detection([right, invented], [labelled, empty], None, labels=1)
    assert found.value == pytest.approx(0.5)


def test_a_class_without_labels_is_not_in_the_mean():
    truth = boxes([[0, 0, 50, 50, 0]])
    results = [detections([[0, 0, 50, 50, 0, 0.5], [60, 60, 90, 90, 1, 0.9]])]
    assert score_detection(results, [truth], None, labels=2).value == pytest.approx(1)


def test_a_model_that_finds_nothing_scores_nothing():
    truths, results, _ = scene(10, 2, 3)
    nothing = [detections([])] * 10
    found = score_detection(nothing, truths, results, labels=2, resamples=50)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert found.drop > 0


def test_boxes_and_scores_that_are_not_finite_are_left_out():
    truth = boxes([[0, 0, 50, 50, 0]])
    rows = [[0, 0, 50, 50, 0, 0.5], [np.nan, 0, 50, 50, 0, 0.9], [0, 0, 50, 50, 0, np.inf]]
    assert score_detection([detections(rows)], [truth], None, labels=1).value == pytest.approx(1)


def test_the_drop_is_paired_and_the_same_detections_drop_by_nothing():
    truths, results, other = scene(25, 3, 7)
    found = score_detection(results, truths, other, labels=3, resamples=200)
    alone = score_detection(other, truths, None, labels=3, resamples=2)
    assert found.drop == pytest.approx(alone.value - found.value)
    assert found.drop_low <= found.drop <= found.drop_high
    same = score_detection(results, truths, results, labels=3, resamples=50)
    assert (same.drop, same.drop_low, same.drop_high) == (0, 0, 0)


def test_scoring_prints_nothing(capsys):
    truths, results, _ = scene(3, 2, 0)
    score_detection(results, truths, None, labels=2, resamples=2)
    assert capsys.readouterr().out == ""


def test_64_images_are_scored_in_seconds():
    truths, results, other = scene(64, 80, 0)
    # Its own time, which a machine that is busy elsewhere hardly changes.
    start = time.process_time()
    score_detection(results, truths, other, labels=80)
    assert time.process_time() - start < 8


def test_a_class_beyond_the_labels_and_a_set_without_objects_are_refused():
    with pytest.raises(BadInput, match="Image 0 holds class 5, and the model knows 2"):
        score_detection([detections([])], [boxes([[0, 0, 1, 1, 5]])], None, labels=2)
    with pytest.raises(BadInput, match="nothing to score"):
        score_detection([detections([])], [boxes([])], None, labels=2)


def test_without_pycocotools_the_command_that_installs_it_is_named(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("pycocotools"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="pycocotools")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingLibrary, match=r"edgekit\[eval\]"):
        score_detection([detections([])], [boxes([[0, 0, 1, 1, 0]])], None, labels=1)
