"""OpenCV's own complaints, which are said in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

__all__ = ["silent_opencv"]

_SILENT = 0


@contextmanager
def silent_opencv() -> Iterator[None]:
    """Keep OpenCV from writing onto stderr; for the whole process, so only for a moment."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
