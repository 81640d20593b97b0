"""From answers to views: threshold and classes of the moment, tracks, the picture, the outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Thread

from edgekit.demo.controls import Setting
from edgekit.demo.counts import Counts
from edgekit.demo.output import AnsweredFrame, Output
from edgekit.demo.overlay import Overlay
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.slot import Closed, Handover, NewestSlot, ShortQueue
from edgekit.tasks.predictions import BoxPrediction, Prediction, Timings, labelled

__all__ = ["Presenter", "Track"]

# Gives the detections of a frame their identity.
Track = Callable[[BoxPrediction, Answer], BoxPrediction]

# Seconds that the last answers may take to be shown.
_PATIENCE = 0.5


class Presenter:
    """Gives every answer to the outputs, on a thread of its own.

    Args:
        labels: The model's.
        setting: Tells what the user wants to see now.
        outputs: Where to.
        counts: Told of every answer, and of the time that drawing takes.
        every_frame: Nothing may be left out: a slow output makes the pipeline wait. Else the
            newest answer replaces one that nobody took yet.
        track: Gives detections their identity; None leaves them without.
    """

    def __init__(
        self,
        labels: Sequence[str],
        setting: Callable[[], Setting],
        outputs: Sequence[Output],
        counts: Counts,
        *,
        every_frame: bool,
        track: Track | None = None,
    ) -> None:
        self._labels = labels
        self._setting = setting
        self._outputs = outputs
        self._counts = counts
        self._track = track
        self._overlay = Overlay()
        self._answers: Handover[Answer] = ShortQueue(2) if every_frame else NewestSlot()
        self._thread = Thread(target=self._run, name="present", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def deliver(self, answer: Answer) -> None:
        """Take an answer from the pipeline.

        Raises:
            Closed: There is nobody any more who shows it.
        """
        self._counts.answered(answer)
        self._answers.put(answer)

    def close(self) -> None:
        """Show what was delivered; not for ever."""
        self._answers.close()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            while True:
                answer = self._answers.take()
                if answer is not None:
                    self._present(answer)
        except Closed:
            return
        except BaseException as error:
            # The main thread raises it; whoever delivers is told that there is nobody.
            self.error = error
            self._answers.close()

    def _present(self, answer: Answer) -> None:
        if not self._outputs:
            return
        prediction = self._selected(answer)
        if self._track is not None and isinstance(prediction, BoxPrediction):
            start = time.perf_counter_ns()
            prediction = self._track(prediction, answer)
            self._counts.stage("track", time.perf_counter_ns() - start)
        picture = None
        if any(output.wants_picture for output in self._outputs):
            start = time.perf_counter_ns()
            picture = self._overlay.draw(answer.frame, prediction)
            self._counts.stage("draw", time.perf_counter_ns() - start)
        view = AnsweredFrame(answer, prediction, picture)
        for output in self._outputs:
            output.show(view)

    def _selected(self, answer: Answer) -> Prediction:
        """The result with labels, of the classes that the user wants to see."""
        height, width = answer.frame.pixels.shape[:2]
        times = {
            name: answer.stages_ns.get(name, 0) / 1e6
            for name in ("read", "preprocess", "inference", "postprocess")
        }
        prediction = labelled(answer.result, self._labels, (height, width), Timings(**times))
        wanted = self._setting().classes
        if wanted is None or not isinstance(prediction, BoxPrediction):
            return prediction
        kept = tuple(one for one in prediction.detections if one.class_index in wanted)
        return replace(prediction, detections=kept)
