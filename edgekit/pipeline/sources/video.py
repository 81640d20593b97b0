"""A video file, every frame of it, as fast as it is taken."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from edgekit.core.errors import BadInput
from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.source import SourceEnded, SourceLost
from edgekit.pipeline.sources.decoding import Broken, Decoding, Picture

__all__ = ["OpenedVideo", "VideoFile"]

# What holds its pictures itself, by the names of FFmpeg. Others (hls, concat, sdp) are lists of
# files and addresses, and what is opened is what the user named.
_CONTAINERS = (
    "3dostr apng apv asf av1 avi avs2 avs3 bink cavsvideo dirac dv evc film_cpk flic flv gif gxf "
    "h261 h263 h264 hevc ivf live_flv m4v matroska mjpeg mjpeg_2000 mlv mov mpeg mpegts mpegtsraw "
    "mpegvideo mpjpeg mxf nsv nut obu ogg r3d rm roq smjpeg smk swf vc1 vc1test vvc webm wtv "
    "yuv4mpegpipe bmp_pipe exr_pipe gif_pipe j2k_pipe jpeg_pipe jpegls_pipe jpegxl_anim "
    "jpegxl_pipe png_pipe ppm_pipe tiff_pipe webp_pipe"
).replace(" ", ",")
_ITSELF = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}


class OpenedVideo:
    """A video file that is being read from its beginning.

    Args:
        path: Of a format that holds its pictures itself, see _CONTAINERS.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decoding: Decoding | None = None
        self._first: Picture | None = None
        self._start_s = 0.0

    def open(self) -> Granted:
        """Open it and decode its first picture.

        Raises:
            BadInput: It is no video, or nothing in it can be decoded.
            MissingLibrary: PyAV is not installed.
        """
        self.close()
        try:
            # Absolute, or a name such as "http:x" would be an address for FFmpeg.
            decoding = Decoding(
                str(self.path.absolute()), why="to read video files", options=_ITSELF
            )
        except Broken as broken:
            raise self._unreadable(broken.reason) from None
        self._decoding = decoding
        try:
            self._first = decoding.next()
        except StopIteration:
            raise self._unreadable("no picture can be decoded") from None
        except Broken as broken:
            raise self._unreadable(broken.reason) from None
        self._start_s = self._first.seconds or 0.0
        granted = decoding.granted
        # A phone's video lies on its side in the file.
        if round(self._first.frame.rotation) % 180 == 90:
            turned = {"width": granted.height, "height": granted.width}
            granted = msgspec.structs.replace(granted, **turned)
        return granted

    def next(self) -> tuple[Picture, float | None]:
        """Return the next picture and its place in the file, seconds.

        Raises:
            SourceEnded: There are no more, or the rest cannot be read, with the reason.
        """
        first, self._first = self._first, None
        try:
            picture = first or self.decoding.next()
        except StopIteration:
            raise SourceEnded from None
        except Broken as broken:
            raise SourceEnded(f"{self.path} is damaged: {broken.reason}.") from None
        seconds = picture.seconds
        return picture, None if seconds is None else seconds - self._start_s

    @property
    def decoding(self) -> Decoding:
        """What reads it.

        Raises:
            SourceLost: It is not open.
        """
        if self._decoding is None:
            raise SourceLost(f"{self.path} is not open.")
        return self._decoding

    def close(self) -> None:
        """Let go of it; twice is allowed."""
        decoding, self._decoding, self._first = self._decoding, None, None
        if decoding is not None:
            decoding.close()

    def _unreadable(self, reason: str) -> BadInput:
        return BadInput(f"{self.path} is not a video that can be decoded: {reason}.")


class VideoFile:
    """Every frame of a video file, in order, as fast as they are taken.

    Args:
        path: See Recording.
    """

    def __init__(self, path: Path) -> None:
        self._recording = OpenedVideo(path)
        self._number = -1

    @property
    def name(self) -> str:
        """See FrameSource."""
        return str(self._recording.path)

    @property
    def live(self) -> bool:
        """See FrameSource."""
        return False

    def open(self) -> Granted:
        """See FrameSource."""
        return self._recording.open()

    def read(self) -> Frame:
        """See FrameSource."""
        begin_ns = time.perf_counter_ns()
        picture, position_s = self._recording.next()
        pixels = self._recording.decoding.pixels(picture)
        self._number += 1
        spent_ns = time.perf_counter_ns() - begin_ns
        return Frame(pixels, self._number, begin_ns, spent_ns, position_s)

    def interrupt(self) -> None:
        """See FrameSource; a read takes milliseconds."""

    def close(self) -> None:
        """See FrameSource."""
        self._recording.close()
