"""A camera, by OpenCV: Video4Linux on Linux, what there is elsewhere."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np

from edgekit.core.errors import Unavailable
from edgekit.pipeline.frame import Frame, FrameRequest, Granted
from edgekit.pipeline.source import SourceEnded, SourceLost
from edgekit.pipeline.sources.devices import device_path, devices, used_by
from edgekit.tasks.opencv_log import silent_opencv
from edgekit.tasks.task import Image

__all__ = ["Camera"]

# Uncompressed, USB 2 carries 640x480 at 30 frames a second and hardly more.
_MJPG_FROM_PIXELS = 640 * 480 + 1
# The buffer that is being filled and the one that we hold; more would only age. With one alone the
# driver has nothing to fill while we convert, and every second frame is lost.
_BUFFERS = 2
# A time stamp of another clock than ours, or none.
_IMPLAUSIBLE_NS = 5_000_000_000
_SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"


class Camera:
    """Frames of a camera.

    Args:
        device: Its number, or its device file.
        wanted: Size, rate and format to ask for; what was granted is read back. Without a format,
            motion JPEG is asked for where the size is above 640x480.
        read_s: Seconds that a read may last, whole ones on Linux (OpenCV knows no others, and keeps
            the first of a process); `OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT` overrides it.
    """

    def __init__(
        self, device: int | Path, wanted: FrameRequest | None = None, *, read_s: float = 3.0
    ) -> None:
        self._device = device
        self._wanted = wanted or FrameRequest()
        self._read_s = read_s
        self._interrupted = Event()
        self._capture: Any = None
        self._number = -1
        self._captured_ns = 0

    @property
    def name(self) -> str:
        """See FrameSource."""
        return str(self._device)

    @property
    def live(self) -> bool:
        """See FrameSource."""
        return True

    def open(self) -> Granted:
        """See FrameSource.

        Raises:
            Unavailable: There is no such camera, or no right to open it.
            SourceLost: It is in use, or gives no pictures.
        """
        self.close()
        self._check()
        os.environ.setdefault(_SELECT_TIMEOUT, str(max(1, math.ceil(self._read_s))))
        source = str(self._device) if isinstance(self._device, Path) else self._device
        backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
        with silent_opencv():
            capture = cv2.VideoCapture(source, backend)
        if not capture.isOpened():
            capture.release()
            raise self._unopened()
        self._capture = capture
        self._ask(capture)
        return self._granted(capture)

    def read(self) -> Frame:
        """See FrameSource."""
        capture = self._capture
        if capture is None:
            raise SourceLost(f"Camera {self.name} is not open.")
        with silent_opencv():
            taken = capture.grab()
        here_ns = time.perf_counter_ns()
        if self._interrupted.is_set():
            raise SourceEnded
        if not taken:
            raise SourceLost(self._silence())
        done, pixels = capture.retrieve()
        if not done or pixels is None:
            raise SourceLost(f"Camera {self.name} sent a picture that cannot be decoded.")
        self._number += 1
        captured_ns = self._driver_stamp(capture, here_ns)
        spent_ns = time.perf_counter_ns() - here_ns
        return Frame(_colour(pixels), self._number, captured_ns, spent_ns)

    def interrupt(self) -> None:
        """See FrameSource; a blocked grab returns after the time it was given."""
        self._interrupted.set()

    def close(self) -> None:
        """See FrameSource."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    @property
    def _path(self) -> Path | None:
        """Its device file, where there are such."""
        if isinstance(self._device, Path):
            return self._device
        return device_path(self._device) if sys.platform == "linux" else None

    def _check(self) -> None:
        path = self._path
        if path is None:
            return
        if not path.exists():
            raise self._absent()
        if not os.access(path, os.R_OK | os.W_OK):
            raise Unavailable(
                f"There is no permission to open camera {path}.",
                hint="Add yourself to its group with: sudo usermod -aG video $USER; then log in "
                "again.",
            )

    def _absent(self) -> Unavailable:
        there = devices()
        hint = f"There is: {', '.join(there)}." if there else "There is no /dev/video* here."
        return Unavailable(f"There is no camera {self.name}.", hint=hint)

    def _unopened(self) -> Exception:
        path = self._path
        if path is None:
            return Unavailable(f"Camera {self.name} cannot be opened.")
        user = used_by(path)
        if user:
            return SourceLost(f"Camera {path} is in use by {user}.")
        return SourceLost(
            f"Camera {path} cannot be opened: it is in use, or it is a device without pictures."
        )

    def _silence(self) -> str:
        path = self._path
        if path is not None and not path.exists():
            return f"Camera {self.name} was unplugged."
        return f"Camera {self.name} gave no frame in time."

    def _ask(self, capture: Any) -> None:
        wanted = self._wanted
        pixel_format = wanted.pixel_format
        if pixel_format is None and wanted.size is not None:
            width, height = wanted.size
            pixel_format = "MJPG" if width * height >= _MJPG_FROM_PIXELS else None
        # In this order: a format changes which sizes there are, a size which rates.
        if pixel_format is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*pixel_format))
        if wanted.size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.size[1])
        if wanted.rate is not None:
            capture.set(cv2.CAP_PROP_FPS, wanted.rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)

    def _granted(self, capture: Any) -> Granted:
        rate = capture.get(cv2.CAP_PROP_FPS)
        return Granted(
            width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            rate=round(rate, 3) if rate > 0 else None,
            pixel_format=_spelled(int(capture.get(cv2.CAP_PROP_FOURCC))),
            backend="V4L2" if sys.platform == "linux" else capture.getBackendName(),
        )

    def _driver_stamp(self, capture: Any, here_ns: int) -> int:
        # Only Linux promises the clock: CLOCK_MONOTONIC, the one of perf_counter_ns there.
        if sys.platform == "linux":
            stamp_ns = int(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            if self._captured_ns < stamp_ns <= here_ns < stamp_ns + _IMPLAUSIBLE_NS:
                self._captured_ns = stamp_ns
                return stamp_ns
        return here_ns


def _colour(pixels: Image) -> Image:
    """Make three channels of a grey camera's one."""
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels
    return cv2.cvtColor(np.squeeze(pixels), cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


def _spelled(code: int) -> str:
    """Spell a FourCC; empty where it is none."""
    letters = "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24))
    return letters if letters.isprintable() else ""
