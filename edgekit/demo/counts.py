"""Counts and times of a running demo."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from edgekit.core.certificate import Verdict
from edgekit.core.documents import DemoDocument, DemoEvent, DemoRates, DemoSource
from edgekit.demo.controls import Controls
from edgekit.pipeline.answer import STAGES, Answer
from edgekit.pipeline.distribution import Rate, Times
from edgekit.pipeline.frame import Granted
from edgekit.pipeline.states import StateLog
from edgekit.tasks.results import Detections

__all__ = ["Counts", "Running"]

# What the outputs add to the stages of the pipeline, in order.
_OUTPUT_STAGES = ("track", "draw", "encode", "save", "show")
_KEPT_NOTES = 100


@dataclass(frozen=True)
class Running:
    """What runs: what the document says of it that does not change.

    Attributes:
        shape: (H, W) of the network input, pixels.
        own_shape: Whether that is the stream's own.
    """

    model: str
    task: str
    target: str
    variant: str
    compute: str
    verdict: Verdict | None
    shape: tuple[int, int]
    own_shape: bool
    source: str
    notes: tuple[str, ...] = field(default=())


class Counts:
    """The Meter of a demo; used from any thread. Its memory does not grow.

    Args:
        running: What runs.
        controls: For the threshold and the classes of the moment.
        states: Of the source.
        captured: Tells how many frames the source gave.
        dropped: Tells how many of them nobody took.
    """

    def __init__(
        self,
        running: Running,
        controls: Controls,
        states: StateLog,
        *,
        captured: Callable[[], int],
        dropped: Callable[[], int],
    ) -> None:
        self._running = running
        self._controls = controls
        self._states = states
        self._captured, self._dropped = captured, dropped
        self._lock = Lock()
        self._stages = {name: Times() for name in (*STAGES, *_OUTPUT_STAGES)}
        self._age, self._shown_age = Times(), Times()
        self._answered, self._shown = Rate(), Rate()
        self._source_rate = Rate()
        self._frames = self._detections = self._viewed = 0
        self._size = (0, 0)
        self._granted: Granted | None = None
        self._first_ns: int | None = None
        self._last_ns = 0
        self._notes: list[str] = list(running.notes)
        self.saved: str | None = None

    def opened(self, granted: Granted) -> None:
        """Note what the source gives; again after it came back."""
        with self._lock:
            self._granted = granted
            self._size = (granted.width, granted.height)

    def captured(self) -> None:
        """Note that the source gave a frame."""
        self._source_rate.add()

    def answered(self, answer: Answer) -> None:
        """Note that a frame went through the model."""
        for name, nanoseconds in answer.stages_ns.items():
            self._stages[name].add(nanoseconds)
        self._age.add(answer.age_ns)
        self._answered.add()
        height, width = answer.frame.pixels.shape[:2]
        with self._lock:
            self._frames += 1
            self._size = (width, height)
            if isinstance(answer.result, Detections):
                self._detections += len(answer.result.scores)
            if self._first_ns is None:
                self._first_ns = answer.frame.captured_ns
            self._last_ns = answer.done_ns

    def shown(self, captured_ns: int, shown_ns: int) -> None:
        """See Meter."""
        self._shown_age.add(shown_ns - captured_ns)
        self._shown.add()
        with self._lock:
            self._viewed += 1

    def stage(self, name: str, nanoseconds: int) -> None:
        """See Meter."""
        self._stages[name].add(nanoseconds)

    def note(self, sentence: str) -> None:
        """See Meter; a sentence is kept once, and of many the first."""
        with self._lock:
            if sentence not in self._notes and len(self._notes) < _KEPT_NOTES:
                self._notes.append(sentence)

    def document(self) -> DemoDocument:
        """See Meter."""
        return self._document(
            DemoRates(
                camera=self._source_rate.recent(),
                inference=self._answered.recent(),
                shown=self._shown.recent(),
            )
        )

    def final(self, *, interrupted: bool) -> DemoDocument:
        """The whole run; its rates are of all of it."""
        seconds = self._seconds()
        rates = DemoRates(
            camera=_per_second(self._captured(), seconds),
            inference=_per_second(self._frames, seconds),
            shown=_per_second(self._viewed, seconds),
        )
        return self._document(rates, interrupted=interrupted)

    def _seconds(self) -> float:
        with self._lock:
            return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / 1e9

    def _document(self, rates: DemoRates, *, interrupted: bool = False) -> DemoDocument:
        running, setting, seconds = self._running, self._controls.setting, self._seconds()
        stages = {name: times.document() for name, times in self._stages.items()}
        labels = self._controls.labels
        with self._lock:
            granted = self._granted
            return DemoDocument(
                model=running.model,
                task=running.task,
                target=running.target,
                variant=running.variant,
                compute=running.compute,
                verdict=running.verdict,
                shape=running.shape,
                own_shape=running.own_shape,
                source=DemoSource(
                    name=running.source,
                    state=self._states.state,
                    width=self._size[0],
                    height=self._size[1],
                    rate=granted.rate if granted else None,
                    pixel_format=granted.pixel_format if granted else "",
                    backend=granted.backend if granted else "",
                ),
                seconds=seconds,
                fps=_per_second(self._frames, seconds),
                rates=rates,
                frames=self._frames,
                captured=self._captured(),
                dropped=self._dropped(),
                not_shown=max(0, self._frames - self._viewed),
                stages={name: one for name, one in stages.items() if one.n},
                frame_age_ms=self._age.document(),
                shown_age_ms=self._shown_age.document(),
                detections=self._detections,
                confidence=setting.confidence,
                classes=None
                if setting.classes is None
                else tuple(
                    labels[each] if labels else str(each) for each in sorted(setting.classes)
                ),
                labels=labels,
                events=tuple(
                    DemoEvent(at_s=event.at_s, state=event.state, reason=event.reason)
                    for event in self._states.events
                ),
                saved=self.saved,
                interrupted=interrupted,
                notes=tuple(self._notes),
            )


def _per_second(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
