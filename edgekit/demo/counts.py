"""Counts and times of a running demo."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Lock

from edgekit.core.certificate import Verdict
from edgekit.core.documents import DemoDocument, DemoEvent, DemoRates, DemoSource
from edgekit.demo.controls import Controls
from edgekit.pipeline.answer import STAGES, Answer
from edgekit.pipeline.distribution import Rate, Times
from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.slot import Handover
from edgekit.pipeline.states import StateLog
from edgekit.tasks.results import Detections

__all__ = ["Counts", "Running", "Tally"]

# What the outputs add to the stages of the pipeline, in order.
_OUTPUT_STAGES = ("track", "draw", "encode", "save", "lines", "show")
_KEPT_NOTES = 100


@dataclass(frozen=True)
class Running:
    """What runs: what the document says of it that does not change.

    Attributes:
        shape: (H, W) of the network input, pixels.
        own_shape: Whether that is the stream's own.
        source: As the user named it.
        controls: For the threshold and the classes of the moment.
        granted: Tells what the source gives now.
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
    controls: Controls
    granted: Callable[[], Granted | None]


class Tally:
    """A handover that counts what is put into it, from the moment that somebody takes it.

    The model is compiled for the size of the first frame. What a camera gives until then, nobody
    has dropped; a file waits.

    Args:
        inner: What holds the frames.
        hold: Let the source wait until then.
    """

    def __init__(self, inner: Handover[Frame], *, hold: bool = False) -> None:
        self._inner = inner
        self._hold = hold
        self._begun = Event()
        self._before = 0
        self.rate = Rate()

    def begin(self) -> None:
        """Count from now on; a camera's frame that waits is an old one."""
        if not self._hold:
            self._inner.take(timeout=0)
        self._before = self._inner.dropped
        self._begun.set()

    def put(self, item: Frame) -> None:
        """See Handover."""
        if self._hold and not self._begun.is_set():
            self._begun.wait()
            # It was read long ago; as the picture of a camera it would have been taken now.
            item = replace(item, captured_ns=time.perf_counter_ns() - item.read_ns)
        if self._begun.is_set():
            self.rate.tick()
        self._inner.put(item)

    def take(self, timeout: float | None = None) -> Frame | None:
        """See Handover."""
        return self._inner.take(timeout)

    def close(self) -> None:
        """See Handover."""
        self._begun.set()
        self._inner.close()

    @property
    def dropped(self) -> int:
        """See Handover; since `begin`."""
        return self._inner.dropped - self._before if self._begun.is_set() else 0


class Counts:
    """The Meter of a demo; used from any thread. Its memory does not grow.

    Args:
        states: Of the source.
        tally: Where the source's frames go through.
    """

    def __init__(
        self,
        states: StateLog,
        tally: Tally,
    ) -> None:
        self._running: Running | None = None
        self._states = states
        self._tally = tally
        self._lock = Lock()
        self._stages = {name: Times() for name in (*STAGES, *_OUTPUT_STAGES)}
        self._age, self._shown_age = Times(), Times()
        self._answered, self._shown = Rate(), Rate()
        self._frames = self._detections = self._viewed = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._notes: list[str] = []
        self.saved: str | None = None

    def describe(self, running: Running) -> None:
        """Say what runs; before the first document is asked for."""
        self._running = running

    def answered(self, answer: Answer) -> None:
        """Note that a frame went through the model."""
        for name, nanoseconds in answer.stages_ns.items():
            self._stages[name].add(nanoseconds)
        self._age.add(answer.age_ns)
        self._answered.tick()
        with self._lock:
            self._frames += 1
            if isinstance(answer.result, Detections):
                self._detections += len(answer.result.scores)
            if self._first_ns is None:
                self._first_ns = answer.frame.captured_ns
            self._last_ns = answer.done_ns

    def shown(self, captured_ns: int, shown_ns: int) -> None:
        """See Meter."""
        self._shown_age.add(shown_ns - captured_ns)
        self._shown.tick()
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
                camera=self._tally.rate.recent,
                inference=self._answered.recent,
                shown=self._shown.recent,
            )
        )

    def final(self, *, interrupted: bool) -> DemoDocument:
        """The whole run; its rates are of all of it."""
        seconds = self._seconds()
        rates = DemoRates(
            camera=self._tally.rate.overall,
            inference=_per_second(self._frames, seconds),
            shown=_per_second(self._viewed, seconds),
        )
        return self._document(rates, interrupted=interrupted)

    def _seconds(self) -> float:
        with self._lock:
            return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / 1e9

    def _document(self, rates: DemoRates, *, interrupted: bool = False) -> DemoDocument:
        running, seconds = self._running, self._seconds()
        assert running is not None, "describe comes first"
        setting, labels = running.controls.setting, running.controls.labels
        stages = {name: times.distribution() for name, times in self._stages.items()}
        granted = running.granted()
        with self._lock:
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
                    width=granted.width if granted else 0,
                    height=granted.height if granted else 0,
                    rate=granted.rate if granted else None,
                    pixel_format=granted.pixel_format if granted else "",
                    backend=granted.backend if granted else "",
                ),
                seconds=seconds,
                fps=_per_second(self._frames, seconds),
                rates=rates,
                frames=self._frames,
                captured=self._tally.rate.count,
                dropped=self._tally.dropped,
                not_shown=max(0, self._frames - self._viewed),
                stages={name: one for name, one in stages.items() if one.n},
                frame_age_ms=self._age.distribution(),
                shown_age_ms=self._shown_age.distribution(),
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
