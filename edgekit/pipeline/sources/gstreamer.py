"""A GStreamer pipeline, by an OpenCV that was built with it: a Jetson's own camera, and others."""

from __future__ import annotations

import time
from threading import Event
from typing import Any

import cv2

from edgekit.core.addresses import hide_secrets
from edgekit.core.errors import BadInput, Unavailable
from edgekit.pipeline.frame import Frame, FrameRequest, Granted
from edgekit.pipeline.source import SourceEnded, SourceLost
from edgekit.tasks.opencv_log import silent_opencv

__all__ = ["Pipeline", "csi_pipeline"]

_BGR = "videoconvert ! video/x-raw,format=BGR"
# One frame, the newest.
_SINK = "appsink drop=true max-buffers=1 sync=false"
_USUAL_SIZE = (1280, 720)
_USUAL_RATE = 30


def csi_pipeline(sensor: int, wanted: FrameRequest) -> str:
    """Describe the pipeline of a camera on a Jetson's CSI connector.

    Args:
        sensor: Its number, from 0.
        wanted: Size and rate; 1280x720 at 30 where nothing is asked for.
    """
    width, height = wanted.size or _USUAL_SIZE
    rate = round(wanted.rate or _USUAL_RATE)
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM),width={width},height={height},framerate={rate}/1,format=NV12 ! "
        "nvvidconv ! video/x-raw,format=BGRx"
    )


class Pipeline:
    """Frames of a GStreamer pipeline.

    Args:
        name: What the user named.
        description: Elements as for gst-launch-1.0; what makes BGR and hands it over is added where
            it does not end in an appsink.
    """

    def __init__(self, name: str, description: str) -> None:
        self._name = name
        ends_in_sink = "appsink" in description
        self._description = description if ends_in_sink else f"{description} ! {_BGR} ! {_SINK}"
        self._interrupted = Event()
        self._capture: Any = None
        self._number = -1

    @property
    def name(self) -> str:
        """See FrameSource."""
        return hide_secrets(self._name)

    @property
    def live(self) -> bool:
        """See FrameSource."""
        return True

    def open(self) -> Granted:
        """See FrameSource.

        Raises:
            Unavailable: This OpenCV was built without GStreamer.
            BadInput: GStreamer cannot start the pipeline.
        """
        self.close()
        if cv2.CAP_GSTREAMER not in cv2.videoio_registry.getBackends():
            raise Unavailable(
                f"{self.name} needs an OpenCV that was built with GStreamer, and this one "
                f"({cv2.__version__}) was not.",
                hint="The wheels of opencv-python never are; JetPack's python3-opencv is. A USB "
                "camera or an RTSP stream needs none.",
            )
        with silent_opencv():
            capture = cv2.VideoCapture(self._description, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            capture.release()
            raise BadInput(
                f"GStreamer cannot start {self.name}.",
                hint=f"Try it as: gst-launch-1.0 {hide_secrets('gst:' + self._description)[4:]}",
            )
        self._capture = capture
        rate = capture.get(cv2.CAP_PROP_FPS)
        return Granted(
            width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            rate=round(rate, 3) if rate > 0 else None,
            pixel_format="BGR",
            backend="GStreamer",
        )

    def read(self) -> Frame:
        """See FrameSource."""
        capture = self._capture
        if capture is None:
            raise SourceLost(f"{self.name} is not open.")
        taken = capture.grab()
        captured_ns = time.perf_counter_ns()
        if self._interrupted.is_set():
            raise SourceEnded
        done, pixels = capture.retrieve() if taken else (False, None)
        if not done or pixels is None:
            raise SourceLost(f"{self.name} gives no frames any more.")
        self._number += 1
        spent_ns = time.perf_counter_ns() - captured_ns
        return Frame(pixels, self._number, captured_ns, spent_ns)

    def interrupt(self) -> None:
        """See FrameSource."""
        self._interrupted.set()

    def close(self) -> None:
        """See FrameSource."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
