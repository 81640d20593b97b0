"""A window on the machine's own display."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from edgekit.core.documents import DemoDocument
from edgekit.core.errors import EdgekitError
from edgekit.core.files import write_bytes
from edgekit.demo.controls import Controls
from edgekit.demo.display import no_window
from edgekit.demo.meter import Meter
from edgekit.demo.output import AnsweredFrame
from edgekit.demo.overlay import dimmed, figures, head_up
from edgekit.pipeline.slot import Closed, NewestSlot
from edgekit.tasks.task import Image

__all__ = ["HELP", "Window", "no_window"]

HELP = "q quit   space freeze   + - or 1 to 9 threshold   0 the model's own   s save   h hide this"

# Keys and the closing cross are looked at so often while no frame comes; a frame is shown at once.
_TURN_S = 0.02
# How often the figures change: no eye reads faster.
_FIGURES_S = 0.3
_SAID_S, _HELP_S = 2.0, 6.0
_STEP = 0.05
_LARGEST = (1280, 720)
_ESCAPE = 27
_BARS = (24, 24, 24)


class Window:
    """Shows the newest view; made anywhere, shown from the pipeline's thread, run in the main one.

    Args:
        controls: Changed by keys, and told to stop when the window is closed.
        meter: Is told what was shown when, and "show" a frame. While the source is not live, its
            state stands across the last picture.
        title: Of the window.
        snapshots: The folder that pictures are saved in.
    """

    def __init__(
        self,
        controls: Controls,
        meter: Meter,
        *,
        title: str = "edgekit demo",
        snapshots: Path = Path(),
    ) -> None:
        self._controls = controls
        self._meter = meter
        self._title = title
        self._snapshots = snapshots
        self._slot: NewestSlot[AnsweredFrame] = NewestSlot()
        self._picture: Image | None = None
        self._frozen = False
        self._banner = False
        self._head_up = True
        self._demo: DemoDocument | None = None
        self._asked = 0.0
        self._said = HELP
        self._said_until = 0.0
        self._painted = 0.0

    @property
    def wants_picture(self) -> bool:
        """See Output."""
        return not (self._frozen or self._controls.stopped.is_set())

    @property
    def dropped(self) -> int:
        """Views that were never shown, because a newer one was there."""
        return self._slot.dropped

    def show(self, view: AnsweredFrame) -> None:
        """See Output."""
        with contextlib.suppress(Closed):
            self._slot.put(view)

    def close(self) -> None:
        """See Output; `run` returns."""
        self._slot.close()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Show what comes, in the main thread, until the demo is stopped or this is closed.

        Args:
            until: Asked fifty times a second at least; True ends it as well.
        """
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL
        cv2.namedWindow(self._title, flags)
        cv2.resizeWindow(self._title, 640, 360)
        self._said_until = time.monotonic() + _HELP_S
        try:
            while not (self._controls.stopped.is_set() or until()):
                self._turn()
        except Closed:
            pass
        finally:
            with contextlib.suppress(cv2.error):
                cv2.destroyWindow(self._title)
                cv2.waitKey(1)

    def _turn(self) -> None:
        view = self._slot.take(_TURN_S)
        begun = time.perf_counter_ns()
        fresh = view is not None and view.picture is not None and not self._frozen
        if fresh:
            assert view is not None
            assert view.picture is not None
            if self._picture is None:
                self._suit(view.picture)
            self._picture = view.picture
        demo = self._now()
        still = demo.source.state not in ("live", "connecting") or self._picture is None
        # A picture that stands still is painted again for its figures, and for a new state.
        if fresh or still != self._banner or time.monotonic() - self._painted > _FIGURES_S:
            self._paint(demo, still=still and not fresh)
        key = cv2.waitKey(1)
        if fresh:
            assert view is not None
            now = time.perf_counter_ns()
            self._meter.shown(view.answer.frame.captured_ns, now)
            self._meter.stage("show", now - begun)
        if key >= 0:
            self._press(key & 0xFF)
        if self._gone():
            self._controls.stop()

    def _gone(self) -> bool:
        """Whether somebody closed it; only `waitKey` notices, so nothing else fails before."""
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # with its last window, OpenCV's Qt is gone as a whole
            return True

    def _suit(self, picture: Image) -> None:
        """Give the window the shape of the first picture."""
        height, width = picture.shape[:2]
        scale = min(1.0, _LARGEST[0] / width, _LARGEST[1] / height)
        cv2.resizeWindow(
            self._title, max(160, round(width * scale)), max(90, round(height * scale))
        )

    def _paint(self, demo: DemoDocument, *, still: bool) -> None:
        self._painted = time.monotonic()
        self._banner = still
        if self._picture is None:
            canvas = np.full((360, 640, 3), 60, np.uint8)
        else:
            canvas = self._scaled(self._picture)
        if still:
            reason = demo.events[-1].reason if demo.events else ""
            canvas = dimmed(canvas, demo.source.state, reason)
        if self._head_up:
            head_up(canvas, self._words(demo))
        cv2.imshow(self._title, canvas)

    def _scaled(self, picture: Image) -> Image:
        """Return a copy of the window's shape, with dark bars, and at most as large.

        Qt is slow at making a large picture small, and leaves its bars white.
        """
        height, width = picture.shape[:2]
        _, _, wide, tall = cv2.getWindowImageRect(self._title)
        if wide < 1 or tall < 1:
            return picture.copy()
        scale = min(wide / width, tall / height)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            how = cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR
            picture = np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
        inner = min(1.0, scale)
        across = max(0, round(wide / scale * inner) - picture.shape[1])
        down = max(0, round(tall / scale * inner) - picture.shape[0])
        if not (across or down):
            return picture.copy()
        bars = down // 2, down - down // 2, across // 2, across - across // 2
        return np.asarray(
            cv2.copyMakeBorder(picture, *bars, cv2.BORDER_CONSTANT, value=_BARS), np.uint8
        )

    def _now(self) -> DemoDocument:
        now = time.monotonic()
        if self._demo is None or now - self._asked > _FIGURES_S:
            self._demo, self._asked = self._meter.document(), now
        return self._demo

    def _words(self, demo: DemoDocument) -> tuple[str, ...]:
        frozen = ("frozen: press space to go on",) if self._frozen else ()
        said = (self._said,) if time.monotonic() < self._said_until else ()
        return (*figures(demo), *frozen, *said)

    def _press(self, key: int) -> None:
        letter = chr(key).lower()
        if key == _ESCAPE or letter == "q":
            self._controls.stop()
        elif letter == " ":
            self._frozen = not self._frozen
        elif letter == "h":
            self._head_up = not self._head_up
        elif letter == "s":
            self._save()
        elif letter in "+=-_":
            setting = self._controls.setting.confidence
            now = self._controls.own if setting is None else setting
            step = _STEP if letter in "+=" else -_STEP
            self._set(min(max(round(now + step, 2), _STEP), 1 - _STEP))
        elif letter == "0":
            self._set(None)
        elif letter.isdecimal():
            self._set(int(letter) / 10)
        else:
            return
        self._painted = 0.0

    def _set(self, confidence: float | None) -> None:
        self._controls.set_confidence(confidence)
        shown = "the model's own" if confidence is None else f"{confidence:.2f}"
        self._say(f"threshold {shown}")

    def _save(self) -> None:
        if self._picture is None:
            return
        path = self._snapshots / f"edgekit-{datetime.now():%Y%m%d-%H%M%S-%f}.png"
        _, png = cv2.imencode(".png", self._picture)
        try:
            write_bytes(path, png.tobytes())
        except EdgekitError as error:
            self._meter.note(str(error))
            self._say(str(error))
        else:
            self._say(f"saved {path.name}")

    def _say(self, sentence: str) -> None:
        self._said, self._said_until = sentence, time.monotonic() + _SAID_S
