"""The demo as a whole: source, pipeline and outputs wired together, begun and ended."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from edgekit.core.documents import DemoDocument, DemoEvent
from edgekit.core.errors import Unavailable
from edgekit.demo.controls import Controls
from edgekit.demo.counts import Counts
from edgekit.demo.outputs import Outputs
from edgekit.demo.presenting import Presenter
from edgekit.pipeline.grabber import Grabber
from edgekit.pipeline.runner import Runner
from edgekit.pipeline.states import SourceEvent
from edgekit.pipeline.workers import Workers

__all__ = ["Live", "no_frame"]

# How often somebody without a window looks whether it is over, seconds.
_LOOK = 0.05


@dataclass(frozen=True)
class Live:
    """A demo ready to run.

    Attributes:
        grabber: Gives frames; started already, because the first frame says what is compiled.
        runner: Answers them.
        presenter: Shows the answers.
        seconds: It ends by itself after so many; None means never.
    """

    grabber: Grabber
    runner: Runner | Workers
    presenter: Presenter
    outputs: Outputs
    counts: Counts
    controls: Controls
    seconds: float | None = None

    def run(self) -> DemoDocument:
        """Run until the source ends, somebody stops it, or time is up.

        Returns:
            What was counted. After Ctrl-C too: `interrupted` says so.

        Raises:
            EdgekitError: A stage failed, or the source gave no frame at all.
        """
        limit = float("inf") if self.seconds is None else time.monotonic() + self.seconds

        def over() -> bool:
            return (
                self.controls.stopped.is_set()
                or self.runner.finished.is_set()
                or self.presenter.error is not None
                or time.monotonic() >= limit
            )

        interrupted = False
        self.presenter.start()
        self.runner.start()
        with _terminated(self.controls.stop):
            try:
                if self.outputs.front is not None:
                    self.outputs.front(over)
                while not over():
                    self.controls.stopped.wait(_LOOK)
            except KeyboardInterrupt:
                interrupted = True
            finally:
                self._stop()
        document = self.counts.final(interrupted=interrupted)
        error = self.presenter.error or (None if document.frames else self.grabber.failure)
        if error is None and not document.captured and self.seconds and time.monotonic() >= limit:
            error = no_frame(document.source.name, self.seconds, document.events)
        if error is not None:
            raise error
        return document

    def _stop(self) -> None:
        try:
            self.grabber.stop()
            self.runner.stop()
        finally:
            self.presenter.close()
            self.outputs.close()


def no_frame(name: str, seconds: float, events: Sequence[SourceEvent | DemoEvent]) -> Unavailable:
    """Say that a source gave no frame in so many seconds, and what is known of it."""
    reasons = [event.reason for event in events if event.reason]
    return Unavailable(
        f"{name} gave no frame within {seconds:g} s.",
        hint=reasons[-1] if reasons else "Is it switched on, and is the address right?",
    )


@contextmanager
def _terminated(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM, by which a service is ended, end the demo as `q` does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
