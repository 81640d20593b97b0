from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.card import card_from_dict
from edgekit.core.errors import BadInput
from edgekit.core.runtime import TensorInfo
from edgekit.pipeline.lane import Lane, image_feeds
from edgekit.pipeline.steps import ImageSteps
from edgekit.tasks.registry import task_for

LABELS = ["a", "b", "c"]
RANDOM = np.random.default_rng(0)
# By decode: the task, and one output.
MODELS = {
    "softmax": ("classification", RANDOM.random((1, 3), np.float32)),
    "yolox": ("detection", RANDOM.random((1, 84, 8), np.float32)),
    "yolov8": ("detection", RANDOM.random((1, 7, 84), np.float32)),
    "end2end": ("detection", np.array([[[1, 2, 30, 40, 0.9, 1]] * 4], np.float32)),
    "argmax": ("segmentation", RANDOM.random((1, 3, 64, 64), np.float32)),
}


class Fixed:
    """A session that answers the same whatever it is fed; batch images at once."""

    def __init__(self, output, batch):
        self.inputs = (TensorInfo("x", "float32", (batch, 3, 64, 64)),)
        self._output = np.repeat(output, batch if isinstance(batch, int) else 1, axis=0)

    def bind(self, feeds):
        self.feeds = {name: array.copy() for name, array in feeds.items()}
        return self

    def run(self):
        pass

    @property
    def outputs(self):
        return {"y": self._output}


def lane(decode, batch="batch"):
    kind, output = MODELS[decode]
    section = {"schema": "edgekit.card/1", "task": kind, "labels": LABELS}
    section["preprocess"] = {"size": [64, 64]}
    section["postprocess"] = {"decode": decode}
    task = task_for(card_from_dict(section, "test"))
    session = Fixed(output, batch)
    bound = session.bind(image_feeds(session, task, "x"))
    bound.inputs = bound.feeds
    return Lane(task, bound, "x"), task, bound


def arrays(result):
    return [getattr(result, name) for name in vars(result) if getattr(result, name) is not None]


@pytest.mark.parametrize("batch", ["batch", 1, 3])
@pytest.mark.parametrize("decode", MODELS)
def test_every_task_answers_as_without_the_lane_and_keeps_nothing_of_its_buffers(decode, batch):
    made, task, bound = lane(decode, batch)
    image = RANDOM.integers(0, 256, (40, 50, 3), np.uint8)
    made.lay(image)
    made.infer()
    result = made.read(0.3)
    laid, fit = task.preprocess(image)
    assert all(np.array_equal(one, laid[0]) for one in bound.inputs["x"])
    expected = task.postprocess({"y": MODELS[decode][1]}, fit, 0.3)
    for one, other in zip(arrays(result), arrays(expected), strict=True):
        assert np.array_equal(one, other)
        assert not np.shares_memory(one, bound.outputs["y"])


def test_labels_of_the_wrong_length_are_one_sentence():
    made, _, bound = lane("yolov8")
    bound._output = np.zeros((1, 9, 84), np.float32)
    made.lay(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(BadInput, match="names 3 classes under `labels`, but the network answers 5"):
        made.read(None)


def test_the_steps_of_a_benchmark_are_those_of_the_lane():
    _, task, bound = lane("yolov8")
    images = [RANDOM.integers(0, 256, (40, 50, 3), np.uint8) for _ in range(2)]
    steps = ImageSteps(task, bound, "x", images, confidence=0.3)
    assert list(steps.steps) == ["preprocess", "inference", "postprocess"]
    for number in (0, 1, 0):
        for step in steps.steps.values():
            step()
        laid, fit = task.preprocess(images[number])
        assert np.array_equal(bound.inputs["x"], laid)
        expected = task.postprocess(bound.outputs, fit, 0.3)
        assert np.array_equal(steps.result.boxes, expected.boxes)


def test_steps_without_an_image_are_refused():
    _, task, bound = lane("yolov8")
    with pytest.raises(BadInput, match="no image"):
        ImageSteps(task, bound, "x", [])
