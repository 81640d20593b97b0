"""Frames through a model, several at a time: for files, where every frame counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Condition, Lock

from edgekit.core.runtime import Session
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.crew import Crew
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.lane import Lane, image_feeds
from edgekit.pipeline.slot import Closed, Handover
from edgekit.tasks.task import Task

__all__ = ["Workers"]


class Workers(Crew):
    """Answers every frame of an inlet, in order, each worker a frame from the beginning to the end.

    An engine that shares its threads among as many requests (`CompileOptions.streams`) loses no
    time waiting for itself: on two cores of a CPU it gives 1.1 to 1.4 times the frames of one that
    uses both for one request, and each takes longer. So this is for files, and `Runner` for what
    is live. The inlet is closed when it ends, however it ends.
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
        super().__init__(
            inlet, {f"worker-{number}": partial(self._work, number) for number in range(count)}
        )
        feeds = image_feeds(session, task, input_name)
        self._lanes = [Lane(task, session.bind(feeds), input_name) for _ in range(count)]
        self._deliver = deliver
        self._confidence = confidence
        self._taking = Lock()
        self._order = Condition()
        # The next frame to be taken, and the next to be delivered.
        self._taken = self._delivered = 0
        self._inferring = 0

    def _wake(self) -> None:
        with self._order:
            self._order.notify_all()

    def _wait_for_inferences(self) -> None:
        with self._order:
            self._order.wait_for(lambda: not self._inferring)

    def _work(self, number: int) -> None:
        while self._one(self._lanes[number]):
            pass

    def _one(self, lane: Lane) -> bool:
        """Answer one frame; False at the end."""
        with self._taking:
            try:
                frame = self._inlet.take()
            except Closed:
                return False
            if frame is None:
                return not self._stopping
            number, self._taken = self._taken, self._taken + 1
        start = time.perf_counter_ns()
        stages = {
            "read": frame.read_ns,
            "wait": max(0, start - frame.captured_ns - frame.read_ns),
        }
        lane.lay(frame.pixels)
        laid = time.perf_counter_ns()
        with self._order:
            if self._stopping:
                return False
            self._inferring += 1
        try:
            lane.infer()
        finally:
            with self._order:
                self._inferring -= 1
                self._order.notify_all()
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
