"""The pixels of one object: a mask cropped to its box."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["InstanceMask"]


@dataclass(frozen=True, eq=False)
class InstanceMask:
    """The pixels of one object, as far as its box reaches inside the image.

    Attributes:
        left: Column of the image that the mask's first column is, pixels.
        top: Row of the image that the mask's first row is, pixels.
        pixels: (h, w) uint8, 1 where the object is, else 0; (0, 0) for a box outside the image.
    """

    left: int
    top: int
    pixels: npt.NDArray[np.uint8]

    @property
    def area(self) -> int:
        """Pixels of the object."""
        return int(np.count_nonzero(self.pixels))

    def polygons(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Return the outlines of its parts, largest first: corners (x, y) in pixels of the image.

        The corners are pixels of the object, and holes are left out.
        """
        if not self.pixels.size:
            return ()
        found, _ = cv2.findContours(
            self.pixels,
            cv2.RETR_EXTERNAL,
            cv2.CHAIN_APPROX_SIMPLE,
            offset=(self.left, self.top),
        )
        outlines = sorted(found, key=cv2.contourArea, reverse=True)
        return tuple(
            tuple((int(x), int(y)) for x, y in np.reshape(outline, (-1, 2))) for outline in outlines
        )
