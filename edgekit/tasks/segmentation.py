"""Segmentation: an image to the class of every pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.tasks.cards import check_labels
from edgekit.tasks.outputs import Outputs, pick
from edgekit.tasks.preprocess import preprocessor
from edgekit.tasks.results import Segmentation
from edgekit.tasks.task import Fit, Image, Input

__all__ = ["GRID_STEP", "Segmenter"]

# Pixels of the network output between two points of Segmentation.grid.
GRID_STEP = 16

# Class indices of a mask of 8 bits, without the 255 of pixels that are not scored.
_MOST_CLASSES = 255


class Segmenter:
    """The task "segmentation".

    Args:
        card: `postprocess.decode` is "argmax", for class scores of every pixel.

    Raises:
        BadInput: Unknown decode, `resize: crop` (what is cut off has no class), or `preprocess`
            contradicts the input.
    """

    def __init__(self, card: ModelCard) -> None:
        assert card.postprocess is not None, "the card's own check"
        assert card.preprocess is not None, "the card's own check"
        decode = card.postprocess.decode
        if decode != "argmax":
            raise BadInput(f"{decode!r} decodes no segmentation.", hint=closest(decode, ["argmax"]))
        if card.preprocess.resize == "crop":
            raise BadInput(
                "`preprocess.resize: crop` leaves a part of the image out, so that its pixels "
                "would have no class.",
                hint="Use stretch or letterbox.",
            )
        if len(card.labels) > _MOST_CLASSES:
            raise BadInput(
                f"The card names {len(card.labels)} classes, and segmentation reads at most "
                f"{_MOST_CLASSES}: a mask has 8 bits, of which 255 means not scored.",
                hint="Join classes, or set `task: raw` for parity and timing alone.",
            )
        self.card = card
        self._preprocessor = preprocessor(card)

    def preprocess(self, image: Image, out: Input | None = None) -> tuple[Input, Fit]:
        """Lay an image into the network input; see `Preprocessor`."""
        return self._preprocessor(image, out)

    def postprocess(
        self,
        outputs: Outputs,
        fit: Fit,
        confidence: float | None = None,
        *,
        evaluation: bool = False,
    ) -> Segmentation:
        """Take the best class of every point and spread it over the image, nearest point first.

        Args:
            outputs: One of (1, C, h, w) class scores, 2 <= C <= 255; (1, h, w, C) where the card's
                `outputs` say `layout: NHWC`.
            fit: What `preprocess` returned.
            confidence: Without meaning here.
            evaluation: Likewise.

        Raises:
            BadInput: No such output, C is not the number of labels, or the shape is that of classes
                last, and the card does not say so.
        """
        labels = len(self.card.labels)
        outputs = {name: self._planes(name, array) for name, array in outputs.items()}
        name, array = pick(
            outputs,
            reader="Segmentation",
            expected=f"(1, {labels or 'classes'}, height, width)",
            fits=lambda shape: len(shape) == 4 and shape[0] == 1 and 2 <= shape[1] <= _MOST_CLASSES,
            prefers=lambda shape: shape[1] == labels,
        )
        self._refuse_last(name, array.shape, fit.size)
        scores = array[0]
        check_labels(self.card, len(scores))
        best = _best_class(scores)
        rows = _nearest(fit.image[0], fit.scale_y, fit.top, fit.size[0], best.shape[0])
        columns = _nearest(fit.image[1], fit.scale_x, fit.left, fit.size[1], best.shape[1])
        return Segmentation(best[rows][:, columns], _grid(scores))

    def _refuse_last(self, name: str, shape: tuple[int, ...], size: tuple[int, int]) -> None:
        """Refuse to take rows for classes where only (1, h, w, C) has the input's proportions."""
        described = self.card.outputs.get(name)
        if described is not None and described.layout is not None:
            return
        if _like(shape[1:3], size) and not _like(shape[2:], size):
            raise BadInput(
                f"The output {name!r} is {shape}: read as (1, C, h, w) its points do not cover an "
                f"input of {list(size)}, and as (1, h, w, C) they do.",
                hint=f"Say it in the card: outputs: {{{name}: {{shape: {list(shape)}, "
                "layout: NHWC}}.",
            )

    def _planes(self, name: str, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        described = self.card.outputs.get(name)
        if described is not None and described.layout == "NHWC" and array.ndim == 4:
            return array.transpose(0, 3, 1, 2)
        return array


def _like(points: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether (h, w) have the proportions of (H, W), but for rounding."""
    return abs(points[0] * size[1] - points[1] * size[0]) < max(size)


def _best_class(scores: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return the index of the largest of scores (C, h, w) at every point, the first where equal.

    Plane by plane, which is six times as fast as `argmax` over the first axis: numpy walks that
    with a stride of a whole plane.
    """
    largest = np.array(scores[0])
    best = np.zeros(largest.shape, np.uint8)
    for index in range(1, len(scores)):
        # Indices only grow, so the last plane that was larger is the largest number.
        np.maximum(best, (scores[index] > largest) * np.uint8(index), out=best)
        np.maximum(largest, scores[index], out=largest)
    return best


def _nearest(
    count: int, scale: float, start: float, size: int, points: int
) -> npt.NDArray[np.int64]:
    """Return for each of `count` image pixels its point of the network output.

    The corner of a pixel decides, as in OpenCV's and PyTorch's nearest interpolation.
    """
    corners = np.arange(count) * scale + start
    covering = np.clip(np.floor(corners * (points / size) + 1e-6), 0, points - 1)
    indices: npt.NDArray[np.int64] = covering.astype(np.int64)
    return indices


def _grid(scores: npt.NDArray[np.generic]) -> npt.NDArray[np.float16]:
    """Return class probabilities (G, C) at every GRID_STEP-th point of scores (C, h, w)."""
    points = scores[:, ::GRID_STEP, ::GRID_STEP].reshape(len(scores), -1).T.astype(np.float32)
    with np.errstate(invalid="ignore"):  # A broken network's NaN stays one.
        powers = np.exp(points - points.max(axis=1, keepdims=True))
        powers /= powers.sum(axis=1, keepdims=True)
    grid: npt.NDArray[np.float16] = powers.astype(np.float16)
    return grid
