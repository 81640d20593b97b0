"""`demo`: what the live demo did, and where a frame's time went."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Verdict
from edgekit.core.documents.answers import PredictedClass, PredictedObject, PredictedRegion
from edgekit.core.documents.document import Document, Environment

__all__ = ["DemoDocument", "DemoEvent", "DemoFrame", "DemoRates", "DemoSource", "Distribution"]


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How a time was distributed over frames, milliseconds; to half a percent.

    A percentile is null with fewer frames than it needs: 11, 64, 662.
    """

    n: int
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


class DemoSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the frames came from.

    Attributes:
        name: As the user named it, passwords hidden.
        state: "connecting", "live", "stalled", "reconnecting", "ended".
        width: Of the frames, pixels; 0 before the first one.
        height: Pixels.
        rate: Frames a second that the source says it gives; null where it does not say.
        pixel_format: FourCC or codec; empty where it does not say.
        backend: What read it: "V4L2", "PyAV", "GStreamer", "generated".
    """

    name: str
    state: str
    width: int = 0
    height: int = 0
    rate: float | None = None
    pixel_format: str = ""
    backend: str = ""


class DemoRates(msgspec.Struct, frozen=True, kw_only=True):
    """Frames a second, over the whole run in the file, over the last two seconds on the page.

    Attributes:
        camera: That the source gave.
        inference: That went through the model.
        shown: That an output showed; a page that nobody looks at shows none.
    """

    camera: float
    inference: float
    shown: float


class DemoEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The source came into a state, so many seconds after the start."""

    at_s: float
    state: str
    reason: str = ""


class DemoDocument(Document, frozen=True, kw_only=True):
    """A run of the live demo; the page's /state is one of the run so far.

    Attributes:
        verdict: Of the certificate; null where nobody certified it, or not at this shape.
        shape: [height, width] of the network input, pixels.
        own_shape: Whether that is the stream's own shape and not the model's.
        seconds: Since the first frame.
        fps: Frames answered a second.
        frames: That were answered.
        captured: That the source gave.
        dropped: That were captured and never went through the model, because a newer one was there.
        not_shown: That were answered and that no output showed, because a newer one was there.
        stages: "read", "wait", "preprocess", "queue", "inference", "postprocess", then what the
            outputs add ("track", "draw", "encode", "show"), to how long they took.
        frame_age_ms: From the capture of a frame to its detections.
        shown_age_ms: From the capture to the moment it was shown: handed to the window, or
            reported as drawn by the page.
        detections: Objects found, all frames together.
        events: The source's states, oldest first.
        saved: The recording; null without one.
        interrupted: Whether Ctrl-C ended it.
        notes: What a user must know, each a sentence.
    """

    schema: Literal["edgekit.demo/1"] = "edgekit.demo/1"
    model: str
    task: str
    target: str
    variant: str
    compute: str
    verdict: Verdict | None = None
    shape: tuple[int, int]
    own_shape: bool = False
    source: DemoSource
    seconds: float
    fps: float
    rates: DemoRates
    frames: int
    captured: int
    dropped: int
    not_shown: int
    stages: dict[str, Distribution]
    frame_age_ms: Distribution
    shown_age_ms: Distribution
    detections: int
    confidence: float | None = None
    classes: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    events: tuple[DemoEvent, ...] = ()
    saved: str | None = None
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    environment: Environment | None = None


class DemoFrame(Document, frozen=True, kw_only=True):
    """One line of --detections: what was found in one frame.

    Attributes:
        frame: Its number, from 0; gaps are frames that were dropped.
        captured: When its picture was taken: UTC, ISO 8601, to the microsecond.
        at_s: Seconds between the first line's capture and this one's.
        position_s: Its place in a file, seconds; null for what has no beginning.
        age_ms: From its capture to its detections.
        width: Pixels.
        height: Pixels.
        detections: Best first; null for another task.
        classes: The five most probable; null for another task.
        regions: Every class that occurs, largest first; null for another task.
    """

    schema: Literal["edgekit.demo-frame/1"] = "edgekit.demo-frame/1"
    frame: int
    captured: str
    at_s: float
    position_s: float | None
    age_ms: float
    width: int
    height: int
    detections: tuple[PredictedObject, ...] | None = None
    classes: tuple[PredictedClass, ...] | None = None
    regions: tuple[PredictedRegion, ...] | None = None
