"""How prototypes of masks, that a network gives once an image, become the mask of each object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.tasks.instance_mask import InstanceMask
from edgekit.tasks.task import Fit

__all__ = ["masks_of"]

Float = npt.NDArray[np.float32]


def masks_of(
    prototypes: Float, coefficients: Float, boxes: Float, fit: Fit
) -> tuple[InstanceMask, ...]:
    """Combine prototypes into a mask for each box, as YOLACT does (Bolya et al., arXiv:1904.02689).

    An object's logit at a cell is the sum of the prototypes there, weighted by its coefficients;
    it is interpolated at the centre of every pixel of the image inside the box and is the object's
    where it is above 0 (a sigmoid above 0.5). Only cells under the box are looked at.

    Args:
        prototypes: (P, h, w) float32, over the whole network input.
        coefficients: (N, P) float32.
        boxes: (N, 4) float32, xyxy in pixels of the image, finite.
        fit: How the image was laid into the network input.
    """
    return tuple(
        _mask(prototypes, weights, box, fit)
        for weights, box in zip(coefficients, boxes.tolist(), strict=True)
    )


def _mask(prototypes: Float, weights: Float, box: list[float], fit: Fit) -> InstanceMask:
    rows, columns = fit.image
    # A pixel belongs to the box where its centre does.
    left, right = (round(min(max(edge, 0.0), columns)) for edge in (box[0], box[2]))
    top, bottom = (round(min(max(edge, 0.0), rows)) for edge in (box[1], box[3]))
    if right <= left or bottom <= top:
        return InstanceMask(left, top, np.zeros((0, 0), np.uint8))
    height, width = prototypes.shape[1:]
    across = _Axis.of(fit.scale_x, fit.left, width / fit.size[1])
    down = _Axis.of(fit.scale_y, fit.top, height / fit.size[0])
    first_x, last_x = across.cells(left, right, width)
    first_y, last_y = down.cells(top, bottom, height)
    under = prototypes[:, first_y:last_y, first_x:last_x]
    logits = weights @ under.reshape(len(weights), -1)
    # From a pixel of the mask to the cell that it is read at.
    places = np.array(
        [
            [across.step, 0, across.at(left) - first_x],
            [0, down.step, down.at(top) - first_y],
        ]
    )
    read = cv2.warpAffine(
        np.ascontiguousarray(logits.reshape(under.shape[1:]), np.float32),
        places,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return InstanceMask(left, top, (read > 0).view(np.uint8))


@dataclass(frozen=True)
class _Axis:
    """Where the centres of an image's pixels stand among the cells of a prototype, on one axis."""

    step: float
    start: float

    @classmethod
    def of(cls, scale: float, shift: float, cells_per_pixel: float) -> _Axis:
        return cls(scale * cells_per_pixel, (0.5 * scale + shift) * cells_per_pixel - 0.5)

    def at(self, pixel: int) -> float:
        return self.start + self.step * pixel

    def cells(self, first: int, end: int, count: int) -> tuple[int, int]:
        """Return the cells that the pixels from `first` to before `end` are interpolated from."""
        low = int(np.clip(np.floor(self.at(first)), 0, count - 1))
        high = int(np.clip(np.floor(self.at(end - 1)) + 2, low + 1, count))
        return low, high
