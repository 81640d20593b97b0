"""A meter, views, a camera and an HTTP client, all made by hand."""

from __future__ import annotations

import functools
import http.client
import json
import threading
import time
from urllib.parse import urlsplit

import cv2
import numpy as np

from edgekit.core.documents import (
    DemoDocument,
    DemoEvent,
    DemoRates,
    DemoSource,
    Distribution,
)
from edgekit.demo.output import AnsweredFrame
from edgekit.demo.overlay import Overlay
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.frame import Frame
from edgekit.tasks.predictions import BoxPrediction, Detection, Timings
from edgekit.tasks.results import Detections

LABELS = ("person", "bicycle", "car", "bus", "traffic light", "dog", "cat", "kite")
STAGES = {
    "read": 2.1,
    "wait": 0.4,
    "preprocess": 1.3,
    "queue": 0.6,
    "inference": 11.8,
    "postprocess": 0.9,
    "draw": 0.8,
}


def spread(p50, n=700):
    return Distribution(
        n=n, mean_ms=p50 * 1.1, p50_ms=p50, p90_ms=p50 * 1.6, p99_ms=p50 * 2.5, max_ms=p50 * 4
    )


class FakeMeter:
    """Says what a test wants, and keeps what it is told."""

    def __init__(self, controls):
        self.controls = controls
        self.shown_frames = []
        self.stages = []
        self.asked = 0
        self.state = "live"
        self.reason = ""
        self.events = [DemoEvent(at_s=0.0, state="connecting"), DemoEvent(at_s=0.4, state="live")]
        self.notes = ()
        self.labels = LABELS
        self.start = time.monotonic()
        self.model = "yolox-nano"

    def shown(self, captured_ns, shown_ns):
        self.shown_frames.append((captured_ns, shown_ns))

    def stage(self, name, nanoseconds):
        self.stages.append((name, nanoseconds))

    def note(self, sentence):
        self.notes += (sentence,)

    def change(self, state, reason=""):
        self.state = state
        at = round(time.monotonic() - self.start, 3)
        self.events.append(DemoEvent(at_s=at, state=state, reason=reason))

    def document(self):
        self.asked += 1
        encode = [ns / 1e6 for name, ns in self.stages if name == "encode"]
        stages = {name: spread(p50) for name, p50 in STAGES.items()}
        if encode:
            stages["encode"] = spread(sorted(encode)[len(encode) // 2], len(encode))
        ages = sorted((shown - captured) / 1e6 for captured, shown in self.shown_frames)
        shown = spread(ages[len(ages) // 2], len(ages)) if ages else Distribution(n=0)
        chosen = self.controls.setting.classes
        return DemoDocument(
            model=self.model,
            task="detection",
            target="openvino:cpu",
            variant="int8-u8s8",
            compute="fp32",
            verdict="PASS",
            shape=(256, 416),
            own_shape=True,
            source=DemoSource(
                name="synthetic",
                state=self.state,
                width=1280,
                height=720,
                rate=30.0,
                backend="generated",
            ),
            seconds=time.monotonic() - self.start,
            fps=29.6,
            rates=DemoRates(camera=30.0, inference=29.6, shown=29.1),
            frames=1480,
            captured=1500,
            dropped=20,
            not_shown=12,
            stages=stages,
            frame_age_ms=spread(17.4),
            shown_age_ms=shown,
            detections=4211,
            confidence=self.controls.setting.confidence,
            classes=None if chosen is None else tuple(LABELS[each] for each in sorted(chosen)),
            labels=self.labels,
            events=tuple(self.events),
            notes=self.notes,
        )


STEPS = 16
BOXES = (
    (0, 0.91, 180, 240, 320, 640),
    (2, 0.83, 560, 380, 940, 610),
    (5, 0.42, 990, 480, 1130, 600),
)


@functools.cache
def scene(step, size):
    """A picture that is another one with every step."""
    width, height = size
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    pixels = np.float32([120, 84, 60]) * (1 - rows) + np.float32([70, 96, 84]) * rows
    pixels = np.repeat(pixels, width, axis=1).astype(np.uint8)
    cv2.rectangle(pixels, (560, 380), (940, 610), (60, 60, 200), -1)
    cv2.rectangle(pixels, (180, 240), (320, 640), (200, 170, 90), -1)
    cv2.circle(pixels, (step * 80, 120), 40, (80, 220, 250), -1)
    return pixels


def view_of(number, *, picture=True, age_ms=15.0, boxes=BOXES, size=(1280, 720), labels=LABELS):
    """A view with boxes, captured so many milliseconds ago."""
    now = time.perf_counter_ns()
    pixels = scene(number % STEPS, size)
    found = tuple(
        Detection(labels[index], index, score, tuple(map(float, box)))
        for index, score, *box in boxes
    )
    prediction = BoxPrediction(found, pixels.shape[:2], Timings(0, 0, 0, 0))
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    frame = Frame(pixels, number, now - int(age_ms * 1e6))
    picture = drawn(number % STEPS, prediction, size) if picture else None
    return AnsweredFrame(Answer(frame, empty, {}, now), prediction, picture)


_DRAWN = {}


def drawn(step, prediction, size):
    """The scene with its boxes; drawn once, so that a camera costs nothing."""
    key = step, tuple(each.box for each in prediction), size
    if key not in _DRAWN:
        _DRAWN[key] = Overlay().draw(Frame(scene(step, size), 0, 0), prediction)
    return _DRAWN[key]


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """HTTP without a browser's manners."""

    def __init__(self, page):
        self.where = urlsplit(page.url)

    def get(self, path, headers=None, method="GET", body=None):
        connection = http.client.HTTPConnection(self.where.hostname, self.where.port, timeout=120)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def post(self, path, document=None, headers=None):
        body = None if document is None else json.dumps(document)
        return self.get(path, headers, "POST", body)


class Camera:
    """Shows a page a new view many times a second, as the runner would."""

    def __init__(self, page, rate=30.0, first=0):
        self.page = page
        self.rate = rate
        self.number = first
        self.drawn = 0
        self.paused = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.wait(1 / self.rate):
            if self.paused.is_set():
                continue
            wanted = self.page.wants_picture
            self.drawn += wanted
            self.page.show(view_of(self.number, picture=wanted))
            self.number += 1

    def close(self):
        self._end.set()
        self._thread.join()
