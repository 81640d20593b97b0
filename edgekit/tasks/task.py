"""What a task must offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgekit.tasks.results import Result

__all__ = ["EVALUATION_CONFIDENCE", "Fit", "Image", "Input", "Task"]

# The metric wants the whole precision-recall curve, not only what the user's threshold shows: only
# detections that are not above this are dropped where one is scored, and by graphs with NMS.
EVALUATION_CONFIDENCE = 0.01

Image = npt.NDArray[np.uint8]
# A network's image input: numbers as it was trained on them, or pixels where it normalises itself.
Input = npt.NDArray[np.float32 | np.uint8]


@dataclass(frozen=True)
class Fit:
    """How an image was laid into the network input; undone on the way back.

    A point (x, y) of the image stands at (x * scale_x + left, y * scale_y + top) of the input.

    Attributes:
        image: (height, width) of the image, pixels.
        size: (height, width) of the network input, pixels.
    """

    image: tuple[int, int]
    size: tuple[int, int]
    scale_x: float
    scale_y: float
    left: float
    top: float


class Task(Protocol):
    """Turns an image into a network input and the network's outputs into a result."""

    def preprocess(self, image: Image, out: Input | None = None) -> tuple[Input, Fit]:
        """Lay an image into the network input.

        Args:
            image: (H, W, 3) uint8, BGR as OpenCV reads it.
            out: Where to write it, C-contiguous: an engine's own buffer; None makes an array.

        Returns:
            (1, C, H, W) (or NHWC) float32 (or uint8), as the card says, and how it was fitted.
        """
        ...

    def postprocess(
        self,
        outputs: Mapping[str, npt.NDArray[Any]],
        fit: Fit,
        confidence: float | None = None,
        *,
        evaluation: bool = False,
    ) -> Result:
        """Decode the outputs of a batch of one.

        Args:
            outputs: Name to array, first axis 1.
            fit: What `preprocess` returned with the image.
            confidence: Detections must be above it; None means the card's own threshold.
            evaluation: Whether the answer is to be scored, and not to be shown: then the rule is
                the metric's, and `confidence` has no meaning.
        """
        ...
