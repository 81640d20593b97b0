"""A frame of a source, and what a source was asked for and granted."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edgekit.tasks.results import Detections
from edgekit.tasks.task import Image

__all__ = ["Frame", "FrameRequest", "Granted"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source, with its age.

    Attributes:
        pixels: (H, W, 3) uint8, BGR; nobody writes into it.
        number: Counts the source's frames from 0, over reconnects; gaps are frames that the source
            itself lost.
        captured_ns: When its picture was taken, by `time.perf_counter_ns`: the driver's time stamp
            where there is one, else when its first byte was here.
        read_ns: Nanoseconds that reading and decoding took, waiting for it not counted.
        position_s: Its place in a file, seconds; None for what has no beginning.
        truth: What is in it, where the source knows.
    """

    pixels: Image
    number: int
    captured_ns: int
    read_ns: int = 0
    position_s: float | None = None
    truth: Detections | None = None


class FrameRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a source is asked for; None leaves it to the source.

    Attributes:
        size: (width, height), pixels, as cameras and streams are described.
        rate: Frames a second.
        pixel_format: FourCC of what a camera sends: "MJPG", "YUYV".
    """

    size: tuple[int, int] | None = None
    rate: float | None = None
    pixel_format: str | None = None


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What a source gives.

    Attributes:
        width: Pixels.
        height: Pixels.
        rate: Frames a second; None where it does not say.
        pixel_format: FourCC or codec: "MJPG", "h264"; empty where it does not say.
        backend: What reads it: "V4L2", "PyAV", "GStreamer", "generated".
        frames: How many there are; None where that is not known or has no end.
    """

    width: int
    height: int
    rate: float | None = None
    pixel_format: str = ""
    backend: str = ""
    frames: int | None = None
