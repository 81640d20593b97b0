"""Frames through a model, several at a time: for files, where every frame counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Event, Lock, Thread

from edgekit.core.runtime import Session
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.lane import Lane, image_feeds
from edgekit.pipeline.slot import Closed, Handover
from edgekit.pipeline.turns import hurry, leave_hurry
from edgekit.tasks.task import Task

__all__ = ["Workers"]

# How long `stop` waits for frames being laid out or delivered.
_PATIENCE_S = 0.8


class Workers:
    """Answers every frame of an inlet, in order, each worker a frame from the beginning to the end.

    An engine that shares its threads among as many requests (`CompileOptions.streams`) loses no
    time waiting for itself: on two cores of a CPU it gives 1.1 to 1.4 times the frames of one that
    uses both for one request, and each takes longer. So this is for files, and `Runner` for what
    is live. The inlet is closed when it ends, however it ends.

    Attributes:
        finished: Set when all have ended: the inlet was closed and what was in flight is answered,
            or it was stopped, or it failed.
    """

    def __init__(
        self,
        session: Session,
        task: Task,
        inlet: Handover[Frame],
        deliver: Callable[[Answer], None],
        *,
        input_name: str,
        count: int,
        confidence: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Bind a lane for each worker; `start` is what runs.

        Args:
            session: With one input, whose bindings may run at the same time; must stay open until
                `finished`.
            task: Lays images into network inputs and reads outputs.
            inlet: Gives the frames.
            deliver: Takes every answer, in order, from one thread at a time; while it waits, so do
                the rest. Closed, raised by it, ends the workers as if they were stopped.
            input_name: Of the input that takes the image.
            count: Workers, as many as the engine has streams.
            confidence: As for Runner.

        Raises:
            BadInput: The task and the session do not fit.
        """
        feeds = image_feeds(session, task, input_name)
        self._inlet = inlet
        self._deliver = deliver
        self._confidence = confidence
        self._taking = Lock()
        self._order = Condition()
        # The next frame to be taken, and the next to be delivered.
        self._taken = self._delivered = 0
        self._stopping = False
        self._failure: BaseException | None = None
        self._threads = [
            Thread(
                target=self._guard,
                args=(Lane(task, session.bind(feeds), input_name),),
                name=f"edgekit-worker-{number}",
                daemon=True,
            )
            for number in range(count)
        ]
        self._running = count
        self.finished = Event()

    def start(self) -> None:
        """Begin to take frames."""
        hurry()
        for thread in self._threads:
            thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """See Runner."""
        done = self.finished.wait(timeout)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return done

    def stop(self) -> None:
        """See Runner: running inferences are waited for."""
        self._halt()
        if self._threads[0].ident is None:
            self.finished.set()
        self.join(_PATIENCE_S)
        # Whoever closes the session afterwards must not do so under a running inference.
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_PATIENCE_S)

    def _halt(self, failure: BaseException | None = None) -> None:
        with self._order:
            self._stopping = True
            if self._failure is None:
                self._failure = failure
            self._order.notify_all()
        self._inlet.close()

    def _guard(self, lane: Lane) -> None:
        """Run one worker; whatever it raises ends the others."""
        try:
            while self._one(lane):
                pass
        except Closed:
            self._halt()
        except BaseException as error:
            self._halt(error)
        finally:
            with self._order:
                self._running -= 1
                last = self._running == 0
            if last:
                leave_hurry()
                self._inlet.close()
                self.finished.set()

    def _one(self, lane: Lane) -> bool:
        """Answer one frame; False at the end."""
        with self._taking:
            try:
                frame = self._inlet.take()
            except Closed:
                return False
            if self._stopping or frame is None:
                return not self._stopping
            number, self._taken = self._taken, self._taken + 1
        start = time.perf_counter_ns()
        stages = {
            "read": frame.read_ns,
            "wait": max(0, start - frame.captured_ns - frame.read_ns),
        }
        lane.lay(frame.pixels)
        laid = time.perf_counter_ns()
        lane.infer()
        inferred = time.perf_counter_ns()
        result = lane.read(self._confidence())
        done = time.perf_counter_ns()
        stages |= {
            "preprocess": laid - start,
            "inference": inferred - laid,
            "postprocess": done - inferred,
        }
        with self._order:
            self._order.wait_for(lambda: self._delivered == number or self._stopping)
            if self._delivered != number:
                return False
            self._deliver(Answer(frame, result, stages, done))
            self._delivered += 1
            self._order.notify_all()
        return True
