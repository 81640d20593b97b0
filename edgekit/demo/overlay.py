"""Frames of a video with what the model says of them: drawn quickly, and never of another size."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np

from edgekit.core.documents import DemoDocument, Distribution
from edgekit.pipeline.frame import Frame
from edgekit.tasks.marks import (
    BGR,
    Lettering,
    class_colour,
    colour_of,
    covers,
    fitting,
    mark_mask,
    mark_objects,
    word,
)
from edgekit.tasks.predictions import (
    BoxPrediction,
    ClassPrediction,
    Detection,
    MaskPrediction,
    Prediction,
)
from edgekit.tasks.task import Image

__all__ = ["Overlay", "dimmed", "figures", "head_up"]

_WHITE, _GREY = (255, 255, 255), (190, 190, 190)
_ACCENT = (60, 180, 255)
# How much of the picture shines through behind words.
_PANEL_LIGHT = 0.3
_DIMMED_LIGHT = 0.35
_CLASSES, _LEGEND = 3, 6
# How long a track's trail is, and how long one is remembered that is not seen.
_TRAIL_S, _FORGOTTEN_S = 1.0, 2.0


class Overlay:
    """Draws predictions onto frames, one after the other.

    Objects get outlines, labels and, where they are tracked, the way they came; a classification
    gets a panel with its best classes, a mask is laid over the frame with a legend in a corner.
    """

    def __init__(self) -> None:
        self._trails: dict[int, deque[tuple[int, int, int]]] = {}

    def draw(self, frame: Frame, prediction: Prediction) -> Image:
        """Draw what was found in a frame.

        Args:
            frame: As it was captured; nothing is written into it.
            prediction: Of it. One of a model without a task is not drawn.

        Returns:
            (H, W, 3) uint8, BGR, of the frame's size: a new array.
        """
        canvas = frame.pixels.copy()
        if isinstance(prediction, BoxPrediction):
            self._follow(prediction.detections, frame.captured_ns)
            self._draw_trails(canvas, prediction.detections)
            mark_objects(canvas, prediction.detections)
        elif isinstance(prediction, ClassPrediction):
            best = prediction.top(_CLASSES)
            lines = [f"{one.label}  {100 * one.probability:.1f} %" for one in best]
            _panel(canvas, lines, [_WHITE, *[_GREY] * (len(lines) - 1)])
        elif isinstance(prediction, MaskPrediction):
            mark_mask(canvas, prediction.mask, prediction.shares)
            seen = [one for one in prediction.shares if covers(one)][:_LEGEND]
            lines = [f"{one.label}  {100 * one.share:.1f} %" for one in seen]
            tints = [class_colour(one.class_index) for one in seen]
            _panel(canvas, lines, [_WHITE] * len(lines), tints)
        return canvas

    def _follow(self, found: Sequence[Detection], now_ns: int) -> None:
        for one in found:
            if one.track is not None:
                x1, _, x2, y2 = (min(max(value, -1e4), 1e5) for value in one.box)
                # Where it stands and not its middle, which jumps when it is half hidden.
                foot = (now_ns, round((x1 + x2) / 2), round(y2))
                self._trails.setdefault(one.track, deque()).append(foot)
        for number, trail in list(self._trails.items()):
            while len(trail) > 1 and now_ns - trail[0][0] > _TRAIL_S * 1e9:
                trail.popleft()
            if now_ns - trail[-1][0] > _FORGOTTEN_S * 1e9 or trail[-1][0] > now_ns:
                del self._trails[number]

    def _draw_trails(self, canvas: Image, found: Sequence[Detection]) -> None:
        thick = max(2, round(min(canvas.shape[:2]) / 300))
        for one in found:
            trail = self._trails.get(one.track) if one.track is not None else None
            if trail and len(trail) > 1:
                way = np.array([(x, y) for _, x, y in trail], np.int32)
                cv2.polylines(canvas, [way], False, colour_of(one), thick, cv2.LINE_AA)


def figures(demo: DemoDocument) -> tuple[str, str]:
    """Return two lines for `head_up`: how fast and how old, and what runs where on what.

    Args:
        demo: So far; with rates of the last seconds.
    """
    speed = [f"{demo.rates.inference:.1f} fps"]
    if (inference := _usual(demo.stages.get("inference"))) is not None:
        speed.append(f"inference {inference:.1f} ms")
    if (age := _usual(demo.frame_age_ms)) is not None:
        speed.append(f"age {age:.0f} ms")
    speed.append(f"dropped {demo.dropped}")
    source = demo.source
    what = [f"{demo.model} {demo.variant} on {demo.target}"]
    if demo.compute != demo.variant:
        what.append(f"computing in {demo.compute}")
    size = f" {source.width}x{source.height}" if source.width else ""
    what.append(f"{source.name}{size}")
    what.append(source.state)
    return "   ".join(speed), "   ".join(what)


def head_up(canvas: Image, lines: Sequence[str]) -> None:
    """Write lines into the lower left corner, on a darkened strip.

    Args:
        canvas: (H, W, 3) uint8, BGR; changed in place.
        lines: The first is the bright one.
    """
    _panel(canvas, lines, [_WHITE, *[_GREY] * (len(lines) - 1)], low=True)


def dimmed(picture: Image, title: str, reason: str = "") -> Image:
    """Darken a picture and say across it why it stands still.

    Args:
        picture: (H, W, 3) uint8, BGR; it is not changed.
        title: One word or two: "stalled".
        reason: A sentence; may be empty.

    Returns:
        (H, W, 3) uint8, BGR, a new array.
    """
    canvas = np.asarray(cv2.convertScaleAbs(picture, alpha=_DIMMED_LIGHT), np.uint8)
    height, width = canvas.shape[:2]
    large, small = Lettering.of(canvas, bold=True, times=2), Lettering.of(canvas)
    lines = [(title, large, _ACCENT)]
    lines += [(row, small, _WHITE) for row in _wrapped(reason, width * 9 // 10, small)]
    tall = sum(letters.step for _, letters, _ in lines) + large.step
    top = max(0, (height - tall) // 2)
    band = canvas[top : top + tall]
    band[:] = cv2.convertScaleAbs(band, alpha=_PANEL_LIGHT)
    y = top + large.step // 2
    for text, letters, ink in lines:
        words = fitting(text, width - 8, letters)
        left = max(4, (width - letters.width(words)) // 2)
        word(canvas, words, (left, y + letters.ascent), ink, letters)
        y += letters.step
    return canvas


def _usual(times: Distribution | None) -> float | None:
    """Its median, or the mean while there are too few for one."""
    if times is None:
        return None
    return times.mean_ms if times.p50_ms is None else times.p50_ms


def _panel(
    canvas: Image,
    lines: Sequence[str],
    inks: Sequence[BGR],
    tints: Sequence[BGR] = (),
    *,
    low: bool = False,
) -> None:
    """Write lines on a darkened corner, each behind a swatch where `tints` has a colour for it."""
    letters = Lettering.of(canvas)
    height, width = canvas.shape[:2]
    pad, step = 2 * letters.pad, letters.step
    indent = pad + (step if tints else 0)
    rows = [fitting(line, width - indent - pad, letters) for line in lines[: height // step]]
    if not rows:
        return
    wide = min(width, max(letters.width(row) for row in rows) + indent + pad)
    tall = min(height, step * len(rows) + pad)
    top = height - tall if low else 0
    corner = canvas[top : top + tall, :wide]
    corner[:] = cv2.convertScaleAbs(corner, alpha=_PANEL_LIGHT)
    for number, row in enumerate(rows):
        y = top + letters.pad + number * step
        if tints:
            place = (pad, y + letters.pad), (step - 1, y + step - letters.pad - 1)
            cv2.rectangle(canvas, *place, tints[number], -1)
        word(canvas, row, (indent, y + letters.pad + letters.ascent), inks[number], letters)


def _wrapped(text: str, width: int, letters: Lettering) -> list[str]:
    """Break a sentence into at most three lines."""
    rows: list[str] = []
    for each in text.split():
        if rows and letters.width(fitting(f"{rows[-1]} {each}", 10**6, letters)) <= width:
            rows[-1] += f" {each}"
        elif len(rows) < 3:
            rows.append(each)
        else:
            rows[-1] += f" {each}"  # `fitting` cuts it
    return rows
