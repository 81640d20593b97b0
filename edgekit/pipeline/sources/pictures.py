"""Image files, one after another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.source import SourceEnded
from edgekit.tasks.images import read_image
from edgekit.tasks.task import Image

__all__ = ["ImageFiles"]


class ImageFiles:
    """Every image file of a list, in order; none is left out.

    Args:
        name: What the user named: a file or a folder.
        paths: At least one.
        rate: Pictures a second; None is as fast as they are taken.
    """

    def __init__(self, name: str, paths: Sequence[Path], *, rate: float | None = None) -> None:
        self._name = name
        self._paths = tuple(paths)
        self._rate = rate
        self._interrupted = Event()
        self._number = 0
        self._first: Image | None = None
        self._due_ns = 0

    @property
    def name(self) -> str:
        """See FrameSource."""
        return self._name

    @property
    def live(self) -> bool:
        """See FrameSource; no picture is lost where nobody takes it."""
        return False

    def open(self) -> Granted:
        """See FrameSource; reads the first picture.

        Raises:
            UnreadableImage: It is no picture.
        """
        self._number = 0
        self._due_ns = 0
        self._first = read_image(self._paths[0])
        height, width = self._first.shape[:2]
        return Granted(
            width=width,
            height=height,
            rate=self._rate,
            pixel_format=self._paths[0].suffix[1:].lower(),
            backend="OpenCV",
            frames=len(self._paths),
        )

    def read(self) -> Frame:
        """See FrameSource.

        Raises:
            UnreadableImage: The next file is no picture.
        """
        if self._number >= len(self._paths) or self._interrupted.wait(self._early_s()):
            raise SourceEnded
        begin_ns = time.perf_counter_ns()
        if self._rate is not None:
            self._due_ns = max(self._due_ns, begin_ns) + round(1e9 / self._rate)
        first, self._first = self._first, None
        pixels = read_image(self._paths[self._number]) if first is None else first
        number, self._number = self._number, self._number + 1
        return Frame(pixels, number, begin_ns, time.perf_counter_ns() - begin_ns)

    def interrupt(self) -> None:
        """See FrameSource."""
        self._interrupted.set()

    def close(self) -> None:
        """See FrameSource."""
        self._first = None

    def _early_s(self) -> float:
        return max(0, self._due_ns - time.perf_counter_ns()) / 1e9
