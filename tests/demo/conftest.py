"""Answers and outputs made by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgekit.demo.controls import Controls
from edgekit.demo.counts import Counts, Running, Tally
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.slot import NewestSlot
from edgekit.pipeline.states import StateLog
from edgekit.tasks.results import Detections

LABELS = ("person", "car", "dog")


@pytest.fixture
def answer_of():
    """Make the answer of a frame: boxes of these classes, captured so many milliseconds ago."""

    def made(number=0, classes=(0,), size=(120, 160), age_ms=20.0):
        done = time.perf_counter_ns()
        count = len(classes)
        return Answer(
            Frame(np.zeros((*size, 3), np.uint8), number, done - round(age_ms * 1e6)),
            Detections(
                np.tile(np.array([10, 10, 60, 60], np.float32), (count, 1)),
                np.full(count, 0.9, np.float32),
                np.array(classes, np.int64),
            ),
            {"read": 1_000_000, "preprocess": 2_000_000, "inference": 10_000_000},
            done,
        )

    return made


@pytest.fixture
def controls():
    return Controls(LABELS)


@pytest.fixture
def counts(controls):
    made = Counts(StateLog(), Tally(NewestSlot()))
    made.describe(
        Running(
            model="m.onnx",
            task="detection",
            target="onnxruntime:cpu",
            variant="fp32",
            compute="fp32",
            verdict=None,
            shape=(384, 640),
            own_shape=True,
            source="synthetic",
            controls=controls,
        )
    )
    return made
