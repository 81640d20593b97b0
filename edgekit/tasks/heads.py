"""Decoders of detection heads: network outputs to boxes in network-input pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.tasks.outputs import Outputs, pick

# ruff: noqa: ARG001  (a head's arguments are fixed)

__all__ = [
    "FINAL_HEADS",
    "HEADS",
    "Candidates",
    "FinalHead",
    "Head",
    "end2end",
    "yolov5",
    "yolov8",
    "yolox",
    "yolox_cells",
]

Float = npt.NDArray[np.float32]
Integer = npt.NDArray[np.int64]


class Candidates(NamedTuple):
    """Rows of a head's output that may be objects, in its order.

    Attributes:
        boxes: (N, 4) float32 xyxy in input pixels.
        scores: (N, C) float32.
        rows: (N,) int64, which row of the output each is.
    """

    boxes: Float
    scores: Float
    rows: Integer


# (outputs, (H, W) of the input, score below which nothing counts) to what may reach that score:
# rows that certainly do not are left out, because decoding them is most of the work.
Head = Callable[[Outputs, tuple[int, int], float], Candidates]
# The same for a network that has chosen: boxes (N, 4), scores (N,), classes (N,) int64.
FinalHead = Callable[[Outputs, tuple[int, int]], tuple[Float, Float, Integer]]

_YOLOX_STRIDES = (8, 16, 32)


def yolox(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
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


def yolov5(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
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


def yolov8(outputs: Outputs, size: tuple[int, int], floor: float = -np.inf) -> Candidates:
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


def end2end(outputs: Outputs, size: tuple[int, int]) -> tuple[Float, Float, Integer]:
    """Read a network that suppresses duplicates itself: x1, y1, x2, y2, score, class.

    Args:
        outputs: One of (1, K, 6), boxes in input pixels; unused rows have a score of 0.
        size: (H, W) of the network input, pixels.

    Returns:
        (K, 4) float32 xyxy in input pixels, (K,) float32, (K,) int64.

    Raises:
        BadInput: No output has that shape.
    """
    _, array = pick(
        outputs,
        reader="The head 'end2end'",
        expected="(1, K, 6)",
        fits=lambda shape: len(shape) == 3 and shape[0] == 1 and shape[2] == 6,
    )
    rows = array[0].astype(np.float32, copy=False)
    classes = np.nan_to_num(rows[:, 5], nan=-1.0, posinf=-1.0, neginf=-1.0)
    return rows[:, :4], rows[:, 4], np.rint(classes).astype(np.int64)


# What `postprocess.decode` may name. The first kind still holds duplicates, the second does not.
HEADS: dict[str, Head] = {"yolox": yolox, "yolov8": yolov8, "yolov5": yolov5}
FINAL_HEADS: dict[str, FinalHead] = {"end2end": end2end}


def _likely(array: npt.NDArray[Any], floor: float) -> tuple[Integer, Float]:
    """Return which rows (cx, cy, w, h, objectness, classes…) may reach a score, and those rows.

    A class score is a probability, so that no score is above its objectness; what is not a number
    is left to the caller.
    """
    found = np.flatnonzero(~(array[:, 4] < floor))
    return found, array[found].astype(np.float32, copy=False)


def _corners(centre: Float, half: Float) -> Float:
    """Return xyxy (N, 4) of centres (N, 2) and half sizes (N, 2)."""
    boxes = np.empty((len(centre), 4), np.float32)
    np.subtract(centre, half, out=boxes[:, :2])
    np.add(centre, half, out=boxes[:, 2:])
    return boxes


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
