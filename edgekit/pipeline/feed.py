"""Images given to a runner at moments of the caller's choice, and the answers collected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Condition

from edgekit.core.runtime import Session
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.runner import Runner
from edgekit.pipeline.slot import NewestSlot
from edgekit.tasks.task import Image, Task

__all__ = ["Feed"]

# How often a waiting `settle` looks whether the runner has failed, seconds.
_LOOK_S = 0.1


class Feed:
    """A camera whose moments somebody else chooses, before the live pipeline.

    Of frames that wait, only the newest is answered, as with any camera.

    Args:
        session: With one input; must stay open as long as this.
        task: Lays images into network inputs and reads outputs.
        input_name: Of the input that takes the image.
        images: (H, W, 3) uint8 BGR each; taken in turn, round and round.
    """

    def __init__(
        self, session: Session, task: Task, input_name: str, images: Sequence[Image]
    ) -> None:
        self._images = images
        self._given = 0
        self._settled = 0
        self._slot: NewestSlot[Frame] = NewestSlot()
        self._answered = Condition()
        self._answers: list[Answer] = []
        self._runner = Runner(session, task, self._slot, self._take, input_name=input_name)
        self._runner.start()

    def put(self, captured_ns: int) -> int:
        """Hand the next image over, without waiting, and return the frame's number.

        Args:
            captured_ns: Its time, by `time.perf_counter_ns`.
        """
        begun_ns = time.perf_counter_ns()
        number = self._given
        # A driver writes every frame anew.
        pixels = self._images[number % len(self._images)].copy()
        self._given += 1
        read_ns = time.perf_counter_ns() - begun_ns
        self._slot.put(Frame(pixels, number, captured_ns, read_ns))
        return number

    def settle(self) -> list[Answer]:
        """Wait until each frame is answered or replaced; return the answers since the last call.

        Raises:
            BaseException: What a thread of the pipeline raised.
        """
        with self._answered:
            while self._settled + len(self._answers) + self._slot.dropped < self._given:
                self._answered.wait(_LOOK_S)
                if self._runner.finished.is_set():
                    break
            answers, self._answers = self._answers, []
            self._settled += len(answers)
        if self._runner.finished.is_set():
            self._runner.join()
        return answers

    def close(self) -> None:
        """End the runner; nothing is inferred afterwards."""
        self._runner.stop()

    def _take(self, answer: Answer) -> None:
        with self._answered:
            self._answers.append(answer)
            self._answered.notify()
