"""One image through a bound inference: laid into its input, run, read out."""

from __future__ import annotations

import numpy as np

from edgekit.core.runtime import Array, Binding, Feeds, Session
from edgekit.tasks.results import Result
from edgekit.tasks.task import Fit, Image, Task

__all__ = ["Lane", "image_feeds"]


class Lane:
    """Buffers of one inference, and the three things that are done to them, in order.

    Args:
        task: Lays images into network inputs and reads outputs.
        binding: With the network's buffers; a batch larger than one gets the image repeated.
        name: Of the input that takes the image.
    """

    def __init__(self, task: Task, binding: Binding, name: str) -> None:
        self._task = task
        self._binding = binding
        self._buffer = binding.inputs[name]
        self._fit: Fit | None = None

    def lay(self, image: Image) -> None:
        """Write an image, (H, W, 3) uint8 BGR, into the network's input buffer.

        Raises:
            BadInput: The array is no such image.
        """
        first = self._buffer[:1]
        _, self._fit = self._task.preprocess(image, first)
        if len(self._buffer) > 1:
            self._buffer[1:] = first

    def infer(self) -> None:
        """Run the network on what was laid."""
        self._binding.run()

    def read(self, confidence: float | None) -> Result:
        """Read the network's outputs into a result in pixels of the image that was laid.

        Args:
            confidence: Detections below it are left out; None means the card's own.

        Returns:
            Arrays of its own: the lane may be laid anew.

        Raises:
            BadInput: The outputs do not fit the task, or the labels.
        """
        assert self._fit is not None, "an image is laid first"
        outputs: dict[str, Array] = {
            name: array[:1] for name, array in self._binding.outputs.items()
        }
        return self._task.postprocess(outputs, self._fit, confidence)


def image_feeds(session: Session, task: Task, name: str) -> Feeds:
    """Return inputs that a session is bound with before there is an image: a black one.

    Args:
        session: With one input.
        task: Lays images into it.
        name: Of that input.
    """
    array, _ = task.preprocess(np.zeros((2, 2, 3), np.uint8))
    (batch,) = (info.shape[0] for info in session.inputs if info.name == name)
    if isinstance(batch, int):
        array = np.repeat(array, batch, axis=0)
    return {name: array}
