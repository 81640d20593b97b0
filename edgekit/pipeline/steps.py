"""The steps of one image through a model, each to be called and timed by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgekit.core.errors import BadInput
from edgekit.core.runtime import Binding
from edgekit.pipeline.lane import Lane
from edgekit.tasks.results import Result
from edgekit.tasks.task import Image, Task

__all__ = ["ImageSteps"]


class ImageSteps:
    """One image after the other through preprocessing, one bound inference and postprocessing.

    Args:
        task: Lays images into network inputs and reads outputs.
        binding: With the network's buffers; a batch larger than one gets the image repeated.
        name: Of the input that takes the image.
        images: (H, W, 3) uint8 BGR each; taken in turn, round and round.
        confidence: Detections below it are left out; None means the card's own.

    Raises:
        BadInput: There is no image.
    """

    def __init__(
        self,
        task: Task,
        binding: Binding,
        name: str,
        images: Sequence[Image],
        *,
        confidence: float | None = None,
    ) -> None:
        if not images:
            raise BadInput("There is no image to run.")
        self._lane = Lane(task, binding, name)
        self._images = images
        self._confidence = confidence
        self._next = 0
        self.result: Result | None = None

    @property
    def steps(self) -> dict[str, Callable[[], None]]:
        """The steps by name, in order; `result` holds the answer after the last."""
        return {
            "preprocess": self.preprocess,
            "inference": self._lane.infer,
            "postprocess": self.postprocess,
        }

    def preprocess(self) -> None:
        """Take the next image and write it into the network's input buffer."""
        self._lane.lay(self._images[self._next])
        self._next = (self._next + 1) % len(self._images)

    def postprocess(self) -> None:
        """Read the network's output buffers into a result in pixels of the image."""
        self.result = self._lane.read(self._confidence)

    def run(self) -> None:
        """Do all of them once."""
        self.preprocess()
        self._lane.infer()
        self.postprocess()
