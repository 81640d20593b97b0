"""An engine whose inferences last until the test lets them, and a task without pixels' meaning."""

from __future__ import annotations

from threading import Event, Semaphore

import numpy as np
import pytest

from edgekit.core.runtime import TensorInfo
from edgekit.pipeline.frame import Frame
from edgekit.tasks.results import Raw
from edgekit.tasks.task import Fit


class Binding:
    def __init__(self, session, feeds):
        self._session = session
        self.inputs = {name: array.copy() for name, array in feeds.items()}
        self.outputs = {"y": np.zeros((len(self.inputs["x"]), 1), np.int64)}

    def run(self):
        assert self._session.idle.acquire(blocking=False), "two inferences at once"
        self._session.inferring()
        self.outputs["y"][:, 0] = self.inputs["x"][:, 0, 0, 0]
        self._session.idle.release()


class Session:
    """Doubles as an engine; `inferring` is called within every run."""

    def __init__(self, inferring=lambda: None, batch="batch"):
        self.inputs = (TensorInfo("x", "uint8", (batch, 1, 1, 1)),)
        self.outputs = (TensorInfo("y", "int64", (batch, 1)),)
        self.inferring = inferring
        self.idle = Semaphore()
        self.bindings = []

    def bind(self, feeds):
        self.bindings.append(Binding(self, feeds))
        return self.bindings[-1]


class Task:
    """Lays the first byte of a picture, and answers with what the network saw."""

    def __init__(self, laying=lambda: None, reading=lambda: None):
        self.laying = laying
        self.reading = reading

    def preprocess(self, image, out=None):
        laid = np.array(image[:1, :1, :1]).reshape(1, 1, 1, 1) if out is None else out
        if out is not None:
            self.laying()
            out[:] = image[0, 0, 0]
        return laid, Fit(image.shape[:2], (1, 1), 1.0, 1.0, 0.0, 0.0)

    def postprocess(self, outputs, fit, confidence=None):
        self.reading()
        return Raw({"y": outputs["y"].copy(), "confidence": np.array(confidence)})


@pytest.fixture
def frame():
    """Make a frame whose first byte is its number (mod 256)."""

    def make(number, shape=(2, 2), captured_ns=0):
        return Frame(np.full((*shape, 3), number % 256, np.uint8), number, captured_ns)

    return make


@pytest.fixture
def gate():
    """Make a call that waits until it is opened, for half a minute at most, and counts entries."""

    class Gate:
        def __init__(self):
            self.entered = Semaphore(0)
            self._open = Event()

        def __call__(self):
            self.entered.release()
            assert self._open.wait(30)

        def open(self):
            self._open.set()

    gates = []

    def make():
        gates.append(Gate())
        return gates[-1]

    yield make
    for each in gates:
        each.open()


@pytest.fixture
def engine():
    """The class of the fake engine."""
    return Session


@pytest.fixture
def plain_task():
    """The class of the fake task."""
    return Task
