"""What shows or keeps the answers: a window, a page, a recording, lines of JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgekit.pipeline.answer import Answer
from edgekit.tasks.predictions import Prediction
from edgekit.tasks.task import Image

__all__ = ["AnsweredFrame", "Output"]


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredFrame:
    """One answered frame on its way to the outputs.

    Attributes:
        answer: The frame, its result and stages.
        prediction: The result with labels, after the user's threshold and classes, tracked where
            that was asked for.
        picture: (H, W, 3) uint8, BGR, the frame with the prediction drawn onto it; None where no
            output wants one. Shared by all outputs: nobody writes into it.
    """

    answer: Answer
    prediction: Prediction
    picture: Image | None


class Output(Protocol):
    """Takes views from one thread, in order, and never lets that thread wait for a slow reader.

    An output that cannot keep up drops views and counts them in `dropped`. One that must not drop
    (a recording of --every-frame) may wait.
    """

    @property
    def wants_picture(self) -> bool:
        """Whether the next view shall have its picture drawn: somebody is looking."""
        ...

    def show(self, view: AnsweredFrame) -> None:
        """Take one view; quick."""
        ...

    def close(self) -> None:
        """Finish what was begun, within a second; twice is allowed."""
        ...
