"""The newest picture as JPEG, for many pages, each of which asks when it is ready for the next one.

Nothing is pushed: a page asks for a frame newer than the one it has. A slow page so skips frames
and never falls behind, and one that vanished asks for nothing and costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import cv2

from edgekit.demo.meter import Meter
from edgekit.demo.output import AnsweredFrame
from edgekit.demo.overlay import Overlay
from edgekit.tasks.task import Image

__all__ = ["EncodedViews", "Jpeg", "bare_picture"]

# Pages ask for any width and get the next one of these: few, so that they share.
_WIDTHS = (320, 480, 640, 960, 1280, 1920, 2560, 3840)
_QUALITY = 82
# How long a page that just came waits for a frame with a drawn picture before one is drawn for it.
_PATIENCE_S = 0.5
# A page asks again as soon as it has drawn; this much silence means that nobody looks.
_LOOKING_S = 1.0
# Frames whose display may still be reported.
_REMEMBERED = 256


@dataclass(frozen=True)
class Jpeg:
    """One encoded frame.

    Attributes:
        number: Of the frame.
        captured_ns: By `time.perf_counter_ns`.
        result_ms: Its age when its result was there, milliseconds.
        width: Of the picture before it was scaled down, pixels.
        height: Pixels.
        content: The file.
    """

    number: int
    captured_ns: int
    result_ms: float
    width: int
    height: int
    content: bytes

    @property
    def age_ms(self) -> float:
        """Since the capture, milliseconds."""
        return (time.perf_counter_ns() - self.captured_ns) / 1e6


def bare_picture(view: AnsweredFrame) -> Image:
    """Return the picture of a view that came without one: (H, W, 3) uint8, BGR."""
    return Overlay().draw(view.answer.frame, view.prediction)


class EncodedViews:
    """The newest view, encoded when somebody asks, once a frame and width.

    `offer` and `wanted` may be called from any thread, everything else from the loop's.

    Args:
        loop: That the pages are served from.
        meter: Told of encoding and of frames shown.
        picture_of: Draws a view that has no picture yet, in a thread of its own.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        meter: Meter,
        picture_of: Callable[[AnsweredFrame], Image] = bare_picture,
    ) -> None:
        self.newest: AnsweredFrame | None = None
        self._loop = loop
        self._meter = meter
        self._picture_of = picture_of
        self._worker = ThreadPoolExecutor(1, "edgekit-jpeg")
        self._fresh = asyncio.Event()
        self._waiting = 0
        self._asked_ns: int | None = None
        self._closed = False
        self._jobs_of = -1
        self._jobs: dict[int, asyncio.Future[Jpeg]] = {}
        # Number to capture time and whether somebody showed it already.
        self._sent: dict[int, tuple[int, bool]] = {}

    def offer(self, view: AnsweredFrame) -> None:
        """Take the newest view; never waits."""
        self.newest = view
        # Read after the view is in its place: who waits looked before, or finds it.
        if self._waiting and not self._closed:
            with suppress(RuntimeError):  # the loop was closed just now
                self._loop.call_soon_threadsafe(self._wake)

    @property
    def wanted(self) -> bool:
        """Whether a page waits for a picture, or asked for one a moment ago."""
        if self._waiting:
            return True
        asked = self._asked_ns
        return asked is not None and time.perf_counter_ns() - asked < _LOOKING_S * 1e9

    async def newer(self, after: int, width: int, seconds: float) -> Jpeg | None:
        """Wait for a frame with a number above `after`; None where none came in so many seconds.

        Args:
            after: Number of the frame that the page has; -1 for none.
            width: Pixels that the page can show.
            seconds: To wait at most.
        """
        self._waiting += 1
        try:
            now = self._loop.time()
            deadline, patient_until = now + seconds, now + min(_PATIENCE_S, seconds)
            while not self._closed:
                fresh, view, now = self._fresh, self.newest, self._loop.time()
                until = deadline
                if view is not None and view.answer.frame.number > after:
                    if view.picture is not None or now >= patient_until:
                        return await self._encoded(view, width)
                    until = patient_until
                if now >= deadline:
                    return None
                try:
                    await asyncio.wait_for(fresh.wait(), until - now)
                except asyncio.TimeoutError:
                    continue
            return None
        finally:
            self._waiting -= 1
            self._asked_ns = time.perf_counter_ns()

    def drawn(self, number: int) -> float | None:
        """Note that a page has drawn a frame; return the frame's age, milliseconds.

        The meter hears of the first page that shows a frame: rates are of frames, not of pages.
        None where no such frame was sent, or long ago.
        """
        now = time.perf_counter_ns()
        if number not in self._sent:
            return None
        captured_ns, shown = self._sent[number]
        if not shown:
            self._sent[number] = (captured_ns, True)
            self._meter.shown(captured_ns, now)
        return (now - captured_ns) / 1e6

    def sent(self, jpeg: Jpeg) -> None:
        """Note that a frame is on its way to a page."""
        self._sent.setdefault(jpeg.number, (jpeg.captured_ns, False))
        while len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def close(self) -> None:
        """Let go of everybody who waits."""
        self._closed = True
        self._wake()
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _wake(self) -> None:
        self._fresh.set()
        self._fresh = asyncio.Event()

    async def _encoded(self, view: AnsweredFrame, width: int) -> Jpeg:
        number = view.answer.frame.number
        if number != self._jobs_of:
            self._jobs_of, self._jobs = number, {}
        step = next((each for each in _WIDTHS if each >= width), _WIDTHS[-1])
        if step not in self._jobs:
            self._jobs[step] = self._loop.run_in_executor(self._worker, self._encode, view, step)
        # A page that goes away must not take the picture from the others.
        return await asyncio.shield(self._jobs[step])

    def _encode(self, view: AnsweredFrame, step: int) -> Jpeg:
        picture = self._picture_of(view) if view.picture is None else view.picture
        start = time.perf_counter_ns()
        height, width = picture.shape[:2]
        content = _jpeg(picture, step)
        self._meter.stage("encode", time.perf_counter_ns() - start)
        frame, result_ms = view.answer.frame, view.answer.age_ns / 1e6
        return Jpeg(frame.number, frame.captured_ns, result_ms, width, height, content)


def _jpeg(picture: Image, step: int) -> bytes:
    """Encode (H, W, 3) uint8, BGR, at most `step` pixels wide."""
    height, width = picture.shape[:2]
    if width > step:
        # Averaging over areas is slow, and needed only where whole pixels would be skipped.
        how = cv2.INTER_AREA if width >= 2 * step else cv2.INTER_LINEAR
        size = (step, max(1, round(height * step / width)))
        picture = cv2.resize(picture, size, interpolation=how).astype("uint8", copy=False)
    done, content = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    if not done:
        raise RuntimeError(f"OpenCV did not encode a picture of {width}x{height}")
    return content.tobytes()
