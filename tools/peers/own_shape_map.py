"""What a detector loses at a 16:9 stream's own shape against its square, on labelled images.

    python tools/peers/own_shape_map.py MODEL --data DIR [--windows N] [--max-drop POINTS]

Every image is cut to three windows of 16:9: one in the centre, one at either end; with --windows 1
to the one in the centre. Boxes are clipped to the window; what keeps less than 30 % of its area is
no object of it any more. The same graph runs at its own size and at the stream's, unoptimized on
ONNX Runtime in fp32, and both are scored by COCO's metric. The status is 1 where the stream's own
shape is worse by more than the limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.benchmarks.metrics.detection import score_detection
from edgekit.core.card import ModelCard
from edgekit.core.progress import Silent
from edgekit.core.source import Source
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.process.plain import open_plain
from edgekit.jobs.steps.reshape import fit_graph, stream_fit
from edgekit.tasks.datasets import open_dataset
from edgekit.tasks.images import read_image
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.registry import task_for
from edgekit.tasks.results import Boxes, Detections
from edgekit.tasks.samples import RelativeBoxes, make_boxes
from edgekit.tasks.task import Image

WIDE = (16, 9)
STREAM = (1280, 720)
# Of an object's area, what must lie in the window.
KEPT = 0.3
# Where the windows of an image lie, by their number.
PLACES = {1: (0.5,), 3: (0.0, 0.5, 1.0)}


def window(height: int, width: int, place: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the largest window of 16:9; place 0.5 is the centre."""
    wide, high = WIDE
    columns, rows = min(width, height * wide // high), min(height, width * high // wide)
    left, top = int((width - columns) * place), int((height - rows) * place)
    return left, top, left + columns, top + rows


def cut(image: Image, truth: Boxes, place: float) -> tuple[Image, Boxes]:
    """Cut an image (H, W, 3) and its labelled boxes to the window."""
    left, top, right, bottom = window(*image.shape[:2], place)
    low, high = np.array([left, top, left, top]), np.array([right, bottom, right, bottom])
    clipped = np.clip(truth.boxes, low, high)
    before, after = area(truth.boxes), area(clipped)
    kept = after >= KEPT * np.maximum(before, 1e-9)
    boxes = make_boxes((clipped - low)[kept], truth.classes[kept])
    return np.ascontiguousarray(image[top:bottom, left:right]), boxes


def area(boxes: np.ndarray) -> np.ndarray:
    """(N,) areas of xyxy (N, 4), square pixels."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def answers(
    graph: Path, card: ModelCard, images: Sequence[Image], folder: Path
) -> list[Detections]:
    """Detections of every image, down to the score that the metric wants."""
    task = task_for(card, folder=folder)
    found = image_input(card)
    assert found is not None
    results = []
    with open_plain(graph) as session:
        for image in images:
            array, fit = task.preprocess(image)
            outputs = session.run({found[0]: array})
            results.append(task.postprocess(outputs, fit, evaluation=True))
    return results  # type: ignore[return-value]


def main(arguments: Sequence[str] | None = None) -> int:
    """Score both shapes and say whether the limit was kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--windows", type=int, choices=PLACES, default=3)
    parser.add_argument("--max-drop", type=float, default=0.3, help="points")
    given = parser.parse_args(arguments)
    model = resolve_model(str(given.model))
    graph = model.variant.paths["main"]
    fit = stream_fit(Source(str(graph), "onnx", str(graph)), model.card, STREAM)
    images, truths = [], []
    for sample in open_dataset(given.data, model.card).samples:
        image = read_image(sample.path)
        truth = sample.answer
        if isinstance(truth, RelativeBoxes):
            truth = truth.placed(*image.shape[:2])
        assert isinstance(truth, Boxes), "a detector's data set"
        for place in PLACES[given.windows]:
            picture, boxes = cut(image, truth, place)
            images.append(picture)
            truths.append(boxes)
    with tempfile.TemporaryDirectory() as name:
        own = Path(name) / "main.onnx"
        card = fit_graph(
            graph,
            own,
            model.card,
            fit.size,
            folder=model.folder,
            trust_code=False,
            progress=Silent(),
        )
        square = answers(graph, model.card, images, model.folder)
        fitted = answers(own, card, images, model.folder)
    labels = len(model.card.labels)
    before = score_detection(square, truths, None, labels=labels).metric
    after = score_detection(fitted, truths, square, labels=labels).metric
    drop = 100 * (before.value - after.value)
    print(f"{len(images)} crops of 16:9, {sum(len(one.classes) for one in truths)} objects")
    print("| network input | mAP50-95 | 95 % interval |")
    print("| --- | --- | --- |")
    for size, one in ((fit.model, before), (fit.size, after)):
        print(f"| {size[0]}x{size[1]} | {one.value:.4f} | {one.low:.4f}–{one.high:.4f} |")
    ends = "" if after.drop_low is None else f" ({100 * after.drop_low:.2f} to "
    ends += "" if after.drop_high is None else f"{100 * after.drop_high:.2f})"
    print(f"drop: {drop:.4f} points{ends}, limit {given.max_drop:g}")
    return int(drop > given.max_drop)


if __name__ == "__main__":
    sys.exit(main())
