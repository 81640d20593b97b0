"""The metrics on real models and images, against figures that were measured without this code."""

import dataclasses
import functools

import numpy as np
import pytest

from edgekit.benchmarks.agreement import agreement
from edgekit.benchmarks.metrics.registry import score
from edgekit.benchmarks.shift import confidence_shift
from edgekit.tasks.cards import read_card
from edgekit.tasks.datasets import open_dataset, readable
from edgekit.tasks.registry import task_for

pytestmark = pytest.mark.realdata


def answers(card, folder, data, run):
    """Results down to a low score, and truths, of all images."""
    task = task_for(card, folder=folder, trust_code=True)
    results, truths = [], []
    for example in readable(open_dataset(data, card).samples):
        feed, fit = task.preprocess(example.image)
        results.append(task.postprocess(run(feed), fit, 0.01))
        truths.append(example.truth)
    return results, truths


@functools.cache
def yolox(realdata):
    ort = pytest.importorskip("onnxruntime")
    model = realdata / "models/yolox_nano_original.onnx"
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    (feed,) = (value.name for value in session.get_inputs())
    return answers(
        read_card(realdata / "models/yolox_nano_original.card.yaml"),
        realdata / "models",
        realdata / "coco/val",
        lambda array: dict(zip(names, session.run(None, {feed: array}), strict=True)),
    )


def test_a_detectors_map_is_the_one_measured_by_hand(realdata):
    results, truths = yolox(realdata)
    found = score("detection", results, truths, results, labels=80)
    assert found.n == 64
    assert found.value == pytest.approx(0.3415, abs=0.005)
    assert found.others["mAP50"] == pytest.approx(0.5143, abs=0.005)
    assert found.low < found.value < found.high
    assert (found.drop, found.drop_low, found.drop_high) == (0, 0, 0)


def test_a_detector_whose_scores_shrink_keeps_its_map_and_loses_its_confidence(realdata):
    results, truths = yolox(realdata)
    shrunk = [dataclasses.replace(r, scores=r.scores * np.float32(0.7)) for r in results]
    found = score("detection", shrunk, truths, results, labels=80)
    assert found.drop == pytest.approx(0, abs=1e-9)
    shift = confidence_shift(shrunk, results, truths, confidence=0.25)
    assert shift.median == pytest.approx(-0.15, abs=0.1)
    assert agreement(results, results, confidence=0.25).value == 1
    agree = agreement(shrunk, results, confidence=0.25)
    assert 0.6 < agree.value < 0.95
    assert agree.n > 200
