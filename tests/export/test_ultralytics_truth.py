"""Our boxes, masks and keypoints against the decoding of Ultralytics' own heads."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from ultralytics_nets import SIZE, checkpoint, pictures, tasks

from edgekit.core.source import Source
from edgekit.export.quiet import quiet
from edgekit.export.ultralytics_source import ultralytics_source_card
from edgekit.export.worker import ExportRequest, export_model
from edgekit.tasks.cards import override
from edgekit.tasks.registry import task_for
from edgekit.tasks.task import Fit

FIT = Fit(image=SIZE, size=SIZE, scale_x=1.0, scale_y=1.0, left=0.0, top=0.0)
IOU, LIMIT = 0.6, 50
# Candidates above the threshold.
COUNT = 60


def exported(path, folder, decode):
    """Export with edgekit, and return the outputs of ONNX Runtime and the card."""
    import onnxruntime

    tasks()
    card = None
    if decode is not None:
        card = override(ultralytics_source_card(str(path), trust_pickle=True), decode=decode)
    request = ExportRequest(
        Source.parse(f"ultralytics:{path}"), folder, card=card, trust_pickle=True
    )
    outcome = export_model(request)
    session = onnxruntime.InferenceSession(str(outcome.graphs["main"]))
    names = [output.name for output in session.get_outputs()]
    values = session.run(None, {"images": pictures()[:1].numpy()})
    return dict(zip(names, values, strict=True)), outcome.card


def own_answer(path, *, final):
    """Decode and suppress with the library.

    Returns:
        Rows of x1, y1, x2, y2, score, class and the rest, the prototypes, and the threshold, which
        lies between two scores, so that rounding takes none across it.
    """
    import torch

    module = tasks()
    content, _ = module.torch_safe_load(str(path))
    model = content["model"].float().eval()
    model.model[-1].end2end = final
    with torch.inference_mode(), quiet():
        answer = model(pictures()[:1])[0]
        rows, prototypes = answer if isinstance(answer, tuple | list) else (answer, None)
        classes = model.model[-1].nc
        scores = rows[0, :, 4] if final else rows[0, 4 : 4 + classes].amax(0)
        best = scores.topk(COUNT + 1).values
        confidence = float(best[-2:].mean())
        if final:
            found = rows[0][rows[0, :, 4] > confidence]
            found = found[found[:, 4].argsort(descending=True)][:LIMIT]
        else:
            nms = importlib.import_module("ultralytics.utils.nms").non_max_suppression
            (found,) = nms(rows, confidence, IOU, nc=classes, max_det=LIMIT)
        return found, prototypes, confidence


CASES = [
    pytest.param("yolo11n.yaml", None, False),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in [
            ("yolo26n-pose.yaml", "end2end-pose", True),
            ("yolo26n-seg.yaml", "yolov8-segment", False),
            ("yolo26n.yaml", None, False),
            ("yolo26n.yaml", "end2end", True),
            ("yolo26n-seg.yaml", "end2end-segment", True),
            ("yolo26n-pose.yaml", None, False),
            ("yolo11n-seg.yaml", None, False),
            ("yolo11n-pose.yaml", None, False),
            ("yolov5n.yaml", None, False),
            ("yolov8n.yaml", None, False),
            ("yolov9t.yaml", None, False),
            ("yolo12n.yaml", None, False),
            ("yolov10n.yaml", "end2end", True),
        ]
    ),
]


@pytest.mark.parametrize(("name", "decode", "final"), CASES)
def test_our_answer_is_that_of_the_library(tmp_path, name, decode, final):
    path = checkpoint(tmp_path / "best.pt", name)
    outputs, card = exported(path, tmp_path, decode)
    expected, prototypes, confidence = own_answer(path, final=final)
    task = task_for(override(card, confidence=confidence, iou=IOU, max_detections=LIMIT))
    # Not clipped, as the library's rows are.
    found = task.detections(outputs, FIT, confidence, multi_label=card.postprocess.multi_label)
    rows = expected.numpy()
    assert len(rows) >= 5
    # Half a per mille of the input: what rounding leaves of random weights.
    order = matched(found, rows)
    assert np.abs(found.boxes - rows[order, :4]).max() < 0.1
    assert np.abs(found.scores - rows[order, 4]).max() < 0.01
    if card.postprocess.decode.endswith("segment"):
        process = importlib.import_module("ultralytics.utils.ops").process_mask
        own = process(prototypes[0], expected[:, 6:], expected[:, :4], SIZE, upsample=True)
        assert same_pixels(found, own.numpy().astype(bool)[order]) > 0.98
    if card.postprocess.decode.endswith("pose"):
        points = rows[order, 6:].reshape(len(rows), -1, 3)
        assert np.abs(found.keypoints - points).max() < 0.2


def matched(found, rows):
    """Return the library's row of each of our detections; near ties may change places."""
    assert len(found.boxes) == len(rows)
    distance = np.abs(found.boxes[:, None] - rows[None, :, :4]).max(axis=2)
    distance[found.classes[:, None] != np.rint(rows[None, :, 5])] = np.inf
    order = distance.argmin(axis=1)
    assert len(set(order.tolist())) == len(rows)
    return order


def same_pixels(found, expected):
    """Return the intersection over union of all masks together, inside their boxes.

    At a box's edge the library takes a pixel by its corner and edgekit by its centre, so the
    outermost pixels are left out.
    """
    shared = union = 0
    for mask, box, own in zip(found.masks, found.boxes, expected, strict=True):
        whole = np.zeros(own.shape, bool)
        height, width = mask.pixels.shape
        whole[mask.top : mask.top + height, mask.left : mask.left + width] = mask.pixels
        left, top, right, bottom = np.clip(np.rint(box), 0, None).astype(int)
        inside = np.s_[top + 1 : max(bottom - 1, 0), left + 1 : max(right - 1, 0)]
        one, other = whole[inside], own[inside]
        shared, union = shared + (one & other).sum(), union + (one | other).sum()
    assert union > 0
    return shared / union
