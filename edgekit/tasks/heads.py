"""Decoders of detection heads: network outputs to boxes in network-input pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.core.card import Axis
from edgekit.tasks.outputs import Outputs, pick

# ruff: noqa: ARG001  (a head's arguments are fixed)

__all__ = ["HEADS", "Candidates", "Head", "Reader", "Shape", "yolox_cells"]

Float = npt.NDArray[np.float32]
Integer = npt.NDArray[np.int64]
# Of an output; a text is an axis that the graph leaves open.
Shape = tuple[int | str | Axis, ...]

# Coordinates of boxes that are fractions of the input stay below this, and those in pixels do not
# all of them: no object is a pixel or two wide and lies in the corner.
_MOST_FRACTION = 2.0
# Scores and classes as a graph in fp16 rounds them.
_ROUNDING = 1e-2


class Candidates(NamedTuple):
    """Rows of a head's output that may be objects, in its order.

    Attributes:
        boxes: (N, 4) float32 xyxy in input pixels.
        scores: (N, C) float32; (N,) where the network has chosen the class.
        rows: (N,) int64, which row of the output each is.
        classes: (N,) int64 where the network has chosen the class; -1 where it is no number.
    """

    boxes: Float
    scores: Float
    rows: Integer
    classes: Integer | None = None


# (outputs, (H, W) of the input, score below which nothing counts) to what may reach that score:
# rows that certainly do not are left out, because decoding them is most of the work.
Reader = Callable[[Outputs, tuple[int, int], float], Candidates]


@dataclass(frozen=True)
class Head:
    """One form of a detector's rows: a member of `HEADS`, or a function of the user's.

    Attributes:
        read: Decodes the outputs.
        front: Numbers of a row before its scores; behind them stands a score a class.
        axis: Of the numbers of a row in the output: 2 in (1, rows, numbers), 1 where a row is a
            column.
        chosen: Whether one score and the class that the network has chosen follow instead of a
            score a class.
        suppressed: Whether duplicates are gone.
        fractions: Whether boxes are fractions of the input and not its pixels.
        corners: Whether boxes are x1, y1, x2, y2 and not centre and size.
    """

    read: Reader
    front: int = 4
    axis: int = 2
    chosen: bool = False
    suppressed: bool = False
    fractions: bool = False
    corners: bool = False

    def fits(self, shape: Shape, classes: int, extra: int = 0) -> bool:
        """Say whether an output of a shape may be this head's rows; an open axis fits.

        Args:
            shape: Of the output.
            classes: Of the network.
            extra: Numbers behind the classes.
        """
        if len(shape) != 3:
            return False
        scores = 2 if self.chosen else classes
        return shape[self.axis] == self.front + scores + extra or not isinstance(
            shape[self.axis], int
        )

    def reads_well(self, array: npt.NDArray[Any], classes: int, extra: int = 0) -> bool:
        """Say whether the values of an output are what this head's rows hold.

        Scores are probabilities, a class that was chosen is one of the network's, corners stand in
        order, a size is not negative, and boxes in pixels are larger than fractions are. Rows of
        zeros are unused.

        Args:
            array: Of a shape that fits; the first of its batch is looked at.
            classes: Of the network.
            extra: Numbers behind the classes.
        """
        rows = array[0].astype(np.float64)
        rows = rows if self.axis == 2 else rows.T
        rows = rows[rows.any(axis=1) & np.isfinite(rows).all(axis=1)]
        scores = 2 if self.chosen else classes
        if not len(rows) or rows.shape[1] != self.front + scores + extra:
            return False
        sure = rows[:, 4 : self.front + (1 if self.chosen else classes)]
        if sure.min() < -_ROUNDING or sure.max() > 1 + _ROUNDING:
            return False
        if self.chosen:
            label = rows[:, 5]
            whole = np.abs(label - np.rint(label)).max() < _ROUNDING
            if not whole or label.min() < -_ROUNDING or label.max() > classes - 1 + _ROUNDING:
                return False
        elif (sure[:, -1] == np.rint(sure[:, -1])).all():
            return False  # a class that was chosen
        boxes = rows[:, :4]
        sides = boxes[:, 2:] - boxes[:, :2] if self.corners else boxes[:, 2:]
        # A network that was never trained may turn some of its corners around.
        ordered = float((sides >= 0).all(axis=1).mean()) > 0.5
        return ordered and self.fractions == (float(np.abs(boxes).max()) <= _MOST_FRACTION)


_YOLOX_STRIDES = (8, 16, 32)


def _yolox(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
    """Decode YOLOX (Ge et al., arXiv:2107.08430) as its own exporter leaves it.

    A row is raw cx, cy, w, h, then objectness and class scores after their sigmoid. The centre is
    (c + cell) * stride, the size exp(raw) * stride, the score objectness * class.

    Args:
        outputs: One of (1, A, 5 + C), rows of the strides 8, 16, 32 one after the other.
        size: (H, W) of the network input, pixels.
        floor: Rows whose objectness is below it are left out.

    Raises:
        BadInput: No output has that shape.
    """
    cells, strides = yolox_cells(size)
    _, array = pick(
        outputs,
        reader="The head 'yolox'",
        expected=f"(1, {len(cells)}, 5 + classes)",
        fits=lambda shape: len(shape) == 3 and shape[:2] == (1, len(cells)) and shape[2] > 5,
    )
    found, rows = _likely(array[0], floor)
    strides = strides[found]
    centre = (rows[:, :2] + cells[found]) * strides
    half = np.exp(rows[:, 2:4]) * (strides / np.float32(2))
    return Candidates(_corners(centre, half), rows[:, 5:] * rows[:, 4:5], found)


def _yolov5(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
    """Decode YOLOv5 and YOLOv7: cx, cy, w, h in input pixels, objectness, class scores.

    Args:
        outputs: One of (1, A, 5 + C).
        size: (H, W) of the network input, pixels.
        floor: Rows whose objectness is below it are left out.

    Raises:
        BadInput: No output has that shape.
    """
    _, array = pick(
        outputs,
        reader="The head 'yolov5'",
        expected="(1, anchors, 5 + classes)",
        fits=lambda shape: len(shape) == 3 and shape[0] == 1 and shape[2] > 5,
    )
    found, rows = _likely(array[0], floor)
    return Candidates(
        _corners(rows[:, :2], rows[:, 2:4] / np.float32(2)), rows[:, 5:] * rows[:, 4:5], found
    )


def _yolov8(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
    """Decode YOLOv8, 9, 11 and 12: cx, cy, w, h in input pixels and class scores, no objectness.

    Args:
        outputs: One of (1, 4 + C, A), an anchor a column.
        size: (H, W) of the network input, pixels.
        floor: Anchors whose class scores are all below it are left out.

    Raises:
        BadInput: No output has that shape.
    """
    _, array = pick(
        outputs,
        reader="The head 'yolov8'",
        expected="(1, 4 + classes, anchors)",
        fits=lambda shape: len(shape) == 3 and shape[0] == 1 and shape[1] > 4,
    )
    # Looked through as it lies: turning it around first would take most of the time.
    found = np.flatnonzero(~(array[0, 4:] < floor).all(axis=0))
    rows = array[0][:, found].astype(np.float32, copy=False).T
    return Candidates(_corners(rows[:, :2], rows[:, 2:4] / np.float32(2)), rows[:, 4:], found)


def _end2end(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
    """Read a network that suppresses duplicates itself: x1, y1, x2, y2, score, class.

    Args:
        outputs: One of (1, K, 6), boxes in input pixels; unused rows have a score of 0.
        size: (H, W) of the network input, pixels.
        floor: Rows whose score is below it are left out.

    Raises:
        BadInput: No output has that shape.
    """
    return Candidates(*_final(outputs, floor, "end2end"))


def _rtdetr(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
    """Decode RT-DETR (Zhao et al., arXiv:2304.08069) as Ultralytics exported it until 8.3.

    A row is cx, cy, w, h as fractions of the input and a score a class. The network is trained to
    answer once for an object, so nothing is suppressed.

    Args:
        outputs: One of (1, K, 4 + C).
        size: (H, W) of the network input, pixels.
        floor: Rows whose class scores are all below it are left out.

    Raises:
        BadInput: No output has that shape.
    """
    _, array = pick(
        outputs,
        reader="The head 'rtdetr'",
        expected="(1, K, 4 + classes)",
        fits=lambda shape: len(shape) == 3 and shape[0] == 1 and shape[2] > 4,
    )
    found = np.flatnonzero(~(array[0, :, 4:] < floor).all(axis=1))
    rows = array[0][found].astype(np.float32, copy=False)
    return Candidates(_scaled(rows[:, :4], size), rows[:, 4:], found)


def _rtdetr_end2end(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
    """Decode RT-DETR as Ultralytics exports it from 8.4 on: the best pairs of query and class.

    Args:
        outputs: One of (1, K, 6): cx, cy, w, h as fractions of the input, score, class.
        size: (H, W) of the network input, pixels.
        floor: Rows whose score is below it are left out.

    Raises:
        BadInput: No output has that shape.
    """
    found = Candidates(*_final(outputs, floor, "rtdetr-end2end"))
    return found._replace(boxes=_scaled(found.boxes, size))


# What `postprocess.decode` may name.
HEADS: dict[str, Head] = {
    "yolox": Head(_yolox, front=5),
    "yolov8": Head(_yolov8, axis=1),
    "yolov5": Head(_yolov5, front=5),
    "end2end": Head(_end2end, chosen=True, suppressed=True, corners=True),
    "rtdetr": Head(_rtdetr, suppressed=True, fractions=True),
    "rtdetr-end2end": Head(_rtdetr_end2end, chosen=True, suppressed=True, fractions=True),
}


def _final(outputs: Outputs, floor: float, name: str) -> tuple[Float, Float, Integer, Integer]:
    """Return the four numbers of a box, the score, the row and the class of rows (1, K, 6)."""
    _, array = pick(
        outputs,
        reader=f"The head {name!r}",
        expected="(1, K, 6)",
        fits=lambda shape: len(shape) == 3 and shape[0] == 1 and shape[2] == 6,
    )
    found, rows = _likely(array[0], floor)
    classes = np.nan_to_num(rows[:, 5], nan=-1.0, posinf=-1.0, neginf=-1.0)
    return rows[:, :4], rows[:, 4], found, np.rint(classes).astype(np.int64)


def _likely(array: npt.NDArray[Any], floor: float) -> tuple[Integer, Float]:
    """Return which rows may reach a score by their fifth number, and those rows.

    It is the score, or an objectness that a probability of a class is multiplied with; what is not
    a number is left to the caller.
    """
    found = np.flatnonzero(~(array[:, 4] < floor))
    return found, array[found].astype(np.float32, copy=False)


def _corners(centre: Float, half: Float) -> Float:
    """Return xyxy (N, 4) of centres (N, 2) and half sizes (N, 2)."""
    boxes = np.empty((len(centre), 4), np.float32)
    np.subtract(centre, half, out=boxes[:, :2])
    np.add(centre, half, out=boxes[:, 2:])
    return boxes


def _scaled(boxes: Float, size: tuple[int, int]) -> Float:
    """Return xyxy in pixels of cx, cy, w, h (N, 4) that are fractions of the input (H, W)."""
    pixels = boxes * np.array([size[1], size[0], size[1], size[0]], np.float32)
    return _corners(pixels[:, :2], pixels[:, 2:] / np.float32(2))


@lru_cache(maxsize=8)
def yolox_cells(size: tuple[int, int]) -> tuple[Float, Float]:
    """Return the cells (A, 2) as x, y and their strides (A, 1) of a YOLOX input, both float32.

    Args:
        size: (H, W) of the network input, pixels.
    """
    cells, strides = [], []
    for stride in _YOLOX_STRIDES:
        rows, columns = -(-size[0] // stride), -(-size[1] // stride)
        y, x = np.mgrid[:rows, :columns]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((rows * columns, 1), stride))
    grid, steps = np.concatenate(cells), np.concatenate(strides)
    grid, steps = grid.astype(np.float32), steps.astype(np.float32)
    # Shared by every call through the cache.
    grid.flags.writeable = steps.flags.writeable = False
    return grid, steps
