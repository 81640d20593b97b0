"""Frames, answers, predictions, and meters."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgekit.demo.controls import Controls
from edgekit.demo.counts import Counts, Running, Tally
from edgekit.demo.output import AnsweredFrame
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.slot import NewestSlot
from edgekit.pipeline.states import StateLog
from edgekit.tasks.predictions import BoxPrediction, Detection, Timings
from edgekit.tasks.results import Detections, Raw

TIMES = Timings(0, 0, 0, 0)


class Memory:
    """A meter that keeps what it is told."""

    def __init__(self):
        self.frames = []
        self.stages = []
        self.notes = []

    def shown(self, captured_ns, shown_ns):
        self.frames.append((captured_ns, shown_ns))

    def stage(self, name, nanoseconds):
        self.stages.append((name, nanoseconds))

    def note(self, sentence):
        self.notes.append(sentence)

    def document(self):
        raise AssertionError("nobody asks for it here")


@pytest.fixture
def meter():
    return Memory()


@pytest.fixture(name="boxes")
def _boxes():
    """Call it with (label, class, score, box, track) each."""
    return boxes


@pytest.fixture(name="frame_of")
def _frame_of():
    """Call it with pixels."""
    return frame_of


@pytest.fixture(name="view_of")
def _view_of():
    """Call it with pixels."""
    return view_of


@pytest.fixture(name="plain")
def _plain():
    """Call it with a grey level."""
    return plain


def boxes(*found, size=(240, 320)):
    return BoxPrediction(tuple(Detection(*one) for one in found), size, TIMES)


def frame_of(pixels, number=0, second=0.0, position=None):
    return Frame(pixels, number, int(second * 1e9), position_s=position)


def view_of(pixels, number=0, second=0.0, prediction=None, position=None, picture=True):
    frame = frame_of(pixels, number, second, position)
    answer = Answer(frame, Raw({}), {}, frame.captured_ns + 40_000_000)
    made = prediction or boxes(size=pixels.shape[:2])
    return AnsweredFrame(answer, made, pixels if picture else None)


def plain(level, size=(240, 320)):
    return np.full((*size, 3), level, np.uint8)


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
    tally = Tally(NewestSlot())
    tally.begin()
    made = Counts(StateLog(), tally)
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
            granted=lambda: Granted(
                width=640, height=480, rate=30, pixel_format="MJPG", backend="V4L2"
            ),
        )
    )
    return made
