"""Frames through a model: laid out, inferred and read by three threads at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Lock

from edgekit.core.runtime import Session
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.crew import Crew
from edgekit.pipeline.foresight import Foresight
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.lane import Lane, image_feeds
from edgekit.pipeline.slot import Closed, Handover
from edgekit.tasks.task import Task

__all__ = ["Runner"]

# One is laid out, one inferred, one read.
_LANES = 3


@dataclass(eq=False)
class _Job:
    """A frame on its way, with the lane that carries it."""

    lane: Lane
    frame: Frame
    stages_ns: dict[str, int] = field(default_factory=dict)
    since_ns: int = 0

    def stage(self, *names: str) -> None:
        """Book the time since the last call."""
        now = time.perf_counter_ns()
        for name in names:
            self.stages_ns[name] = self.stages_ns.get(name, 0) + now - self.since_ns
        self.since_ns = now


class Runner(Crew):
    """Answers the frames of an inlet, in order, frame n + 1 being laid out while n is inferred.

    What is in flight is bounded by the lanes, each with buffers of its own. Where only the newest
    frame counts, one is taken no earlier than it must be to be laid out when the engine gets free:
    a frame taken early would only grow old. The inlet is closed when the runner ends, however it
    ends.
    """

    def __init__(
        self,
        session: Session,
        task: Task,
        inlet: Handover[Frame],
        deliver: Callable[[Answer], None],
        *,
        input_name: str,
        confidence: Callable[[], float | None] = lambda: None,
        every_frame: bool = False,
        lanes: int = _LANES,
    ) -> None:
        """Bind the lanes; `start` is what runs.

        Args:
            session: With one input; must stay open until `finished`.
            task: Lays images into network inputs and reads outputs.
            inlet: Gives the frames.
            deliver: Takes every answer, in order, from one thread; while it waits, so does the
                rest. Closed, raised by it, ends the runner as if it was stopped.
            input_name: Of the input that takes the image.
            confidence: Asked once a frame: detections below it are left out; None means the
                card's own.
            every_frame: Frames are taken as early as they can be, because none is left out.
            lanes: Frames in flight at most; with one, nothing overlaps.

        Raises:
            BadInput: The task and the session do not fit.
        """
        super().__init__(
            inlet,
            {
                "preprocess": self._preprocess,
                "inference": self._inference,
                "postprocess": self._postprocess,
            },
        )
        feeds = image_feeds(session, task, input_name)
        self._free = deque(Lane(task, session.bind(feeds), input_name) for _ in range(lanes))
        self._deliver = deliver
        self._confidence = confidence
        self._every_frame = every_frame
        self._foresight = Foresight()
        # None is the end.
        self._laid: deque[_Job | None] = deque()
        self._inferred: deque[_Job | None] = deque()
        # One lock, and for each thread what wakes it alone: whoever wakes for nothing takes time
        # from the engine.
        lock = Lock()
        self._room = Condition(lock)
        self._work = Condition(lock)
        self._results = Condition(lock)
        # When the inference that runs now began; None while the engine is idle.
        self._began_ns: int | None = None
        # When the next frame is to be taken; 0 where that is at once.
        self._due_ns = 0

    def _wake(self) -> None:
        with self._room:
            for condition in (self._room, self._work, self._results):
                condition.notify_all()

    def _wait_for_inferences(self) -> None:
        _, inference, _ = self._threads
        inference.join()

    def _preprocess(self) -> None:
        while (lane := self._next_lane()) is not None:
            late_ns = time.perf_counter_ns() - self._due_ns if self._due_ns else 0
            try:
                frame = self._inlet.take()
            except Closed:
                break
            if frame is None:
                with self._room:
                    self._free.appendleft(lane)
                continue
            if self._stopping:
                return
            taken_ns = time.perf_counter_ns()
            job = _Job(lane, frame, since_ns=taken_ns)
            job.stages_ns["read"] = frame.read_ns
            job.stages_ns["wait"] = max(0, taken_ns - frame.captured_ns - frame.read_ns)
            lane.lay(frame.pixels)
            job.stage("preprocess")
            self._foresight.laid(late_ns + job.stages_ns["preprocess"])
            with self._work:
                self._laid.append(job)
                self._work.notify()
        with self._work:
            self._laid.append(None)
            self._work.notify()

    def _next_lane(self) -> Lane | None:
        """Wait until it is time to take a frame; return its lane, None at the end."""
        with self._room:
            self._due_ns = 0
            while not self._stopping:
                # A frame that must wait, for the engine or for the reader, is not taken.
                behind = not self._every_frame and (self._laid or self._inferred)
                if behind or not self._free:
                    self._room.wait()
                elif wait_ns := self._too_early_ns():
                    self._room.wait(wait_ns / 1e9)
                else:
                    return self._free.popleft()
        return None

    def _too_early_ns(self) -> int:
        """How long a frame that is taken now would lie about; 0 where it is time."""
        if self._every_frame or self._began_ns is None:
            self._due_ns = 0
            return 0
        self._due_ns = self._began_ns + self._foresight.lead_ns()
        return max(0, self._due_ns - time.perf_counter_ns())

    def _inference(self) -> None:
        while (job := self._take(self._work, self._laid)) is not None:
            job.stage("queue")
            with self._room:
                self._began_ns = job.since_ns
                self._room.notify()
            job.lane.infer()
            job.stage("inference")
            self._foresight.inferred(job.stages_ns["inference"])
            with self._results:
                self._began_ns = None
                self._inferred.append(job)
                self._results.notify()
                self._room.notify()
        with self._results:
            self._inferred.append(None)
            self._results.notify()

    def _postprocess(self) -> None:
        while (job := self._take(self._results, self._inferred)) is not None:
            job.stage("queue")
            with self._room:
                self._room.notify()
            result = job.lane.read(self._confidence())
            job.stage("postprocess")
            with self._room:
                self._free.append(job.lane)
                self._room.notify()
            self._deliver(Answer(job.frame, result, job.stages_ns, job.since_ns))

    def _take(self, ready: Condition, jobs: deque[_Job | None]) -> _Job | None:
        """Wait for the next job; None at the end."""
        with ready:
            ready.wait_for(lambda: jobs or self._stopping)
            return None if self._stopping else jobs.popleft()
