"""What the page of the live demo answers: the demo at this moment, and whether it is well."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.documents.demo import DemoDocument
from edgekit.core.documents.document import Document

__all__ = ["DemoFound", "DemoHealthDocument", "DemoStateDocument"]


class DemoFound(msgspec.Struct, frozen=True, kw_only=True):
    """An object, a class or a region in the newest frame.

    Attributes:
        label: Name of its class, the index as text where the model names none.
        class_index: From 0.
        score: 0 to 1: of an object or a class; of a region its share of the pixels.
        box: x1, y1, x2, y2 in pixels of the frame; null where it has no place.
        colour: That it is drawn in, "#rrggbb".
        track: Number of the object, the same from frame to frame; null where nobody tracks.
    """

    label: str
    class_index: int
    score: float | None
    box: tuple[float, float, float, float] | None = None
    colour: str = "#808080"
    track: int | None = None


class DemoStateDocument(Document, frozen=True, kw_only=True):
    """The demo at this moment: /state of the page.

    Attributes:
        demo: The run so far; of its events the last twenty.
        frame: Number of the newest answered frame; null before the first.
        age_ms: Of that frame when its result was there.
        found: In that frame, best first, at most a hundred.
        found_total: In that frame.
        viewers: Pages that look on.
    """

    schema: Literal["edgekit.demo-state/1"] = "edgekit.demo-state/1"
    demo: DemoDocument
    frame: int | None = None
    age_ms: float | None = None
    found: tuple[DemoFound, ...] = ()
    found_total: int = 0
    viewers: int = 0


class DemoHealthDocument(Document, frozen=True, kw_only=True):
    """Whether the demo is well: /health of the page.

    Attributes:
        healthy: The source is live, and frames are answered.
        state: Of the source.
        last_answer_s: Seconds since a frame was answered; null before the first.
        reason: Why it is not well, one sentence; empty where it is.
    """

    schema: Literal["edgekit.demo-health/1"] = "edgekit.demo-health/1"
    healthy: bool
    state: str
    last_answer_s: float | None = None
    reason: str = ""
