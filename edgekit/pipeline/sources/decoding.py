"""Pictures out of a file or a stream, by PyAV."""

from __future__ import annotations

import errno
import time
from collections.abc import Generator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgekit.core.requires import requires
from edgekit.pipeline.frame import Granted
from edgekit.tasks.task import Image

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

__all__ = ["Broken", "Decoding", "NoVideo", "Picture", "pyav"]

# Packets in a row that give no picture: ten seconds at 30 frames a second.
_HOPELESS = 300
# AVFMT_NOTIMESTAMPS of FFmpeg's avformat.h: the times are made up from a rate that is made up.
_NO_TIMESTAMPS = 0x0080
# AV_CODEC_FLAG_LOW_DELAY of avcodec.h; the names of flags changed with PyAV 14.
_LOW_DELAY = 1 << 19
# Some seconds of video come at once, and then nothing for as long.
_IN_PIECES = ("hls", "dash")
# In a picture; 8K video has 33 million.
_PIXELS = 1 << 28
_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


class Broken(Exception):
    """Reading broke off.

    Args:
        reason: A clause without an address in it: "the connection was refused".
        permanent: Whether trying again is no use: nothing there, nothing that can be decoded.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class NoVideo(Broken):
    """What was opened holds no video that can be decoded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, permanent=True)


class Picture:
    """A decoded picture that is not yet BGR, so that skipping it costs no pass over its pixels.

    Attributes:
        frame: PyAV's.
        arrived_ns: When the packet that completed it was here, by `time.perf_counter_ns`.
        decode_ns: Nanoseconds that decoding took.
        wait_ns: Nanoseconds that reading its packets took.
        seconds: Its time stamp; None where it has none.
    """

    __slots__ = ("arrived_ns", "decode_ns", "frame", "seconds", "wait_ns")

    def __init__(self, frame: VideoFrame, arrived_ns: int, decode_ns: int, wait_ns: int) -> None:
        self.frame = frame
        self.arrived_ns = arrived_ns
        self.decode_ns = decode_ns
        self.wait_ns = wait_ns
        self.seconds = None if frame.pts is None else float(frame.time)


def pyav(why: str) -> ModuleType:
    """Import PyAV.

    Raises:
        MissingLibrary: It is not installed.
    """
    with requires("av", extra="demo", why=why):
        import av
    return av


class Decoding:
    """One opened container, and the pictures of its first video stream in order.

    Args:
        address: A path or a URL, as FFmpeg takes them.
        why: For the sentence where PyAV is missing, as "to ...".
        options: FFmpeg's, by name.
        timeouts: Seconds that opening may take, and a read.
        low_delay: No picture waits for a later one: no threads over frames.

    Raises:
        Broken: It cannot be opened.
        NoVideo: It can, and holds no video.
        MissingLibrary: PyAV is not installed.
    """

    def __init__(
        self,
        address: str,
        *,
        why: str,
        options: Mapping[str, str] | None = None,
        timeouts: tuple[float | None, float | None] = (None, None),
        low_delay: bool = False,
    ) -> None:
        self._av = pyav(why)
        from av.video.reformatter import VideoReformatter

        self._read_limit_s = timeouts[1]
        self._limited = "format_whitelist" in (options or {})
        began = time.monotonic()
        try:
            self._container: Any = self._av.open(
                address, options=dict(options or {}), timeout=timeouts
            )
        except (self._av.FFmpegError, OSError, ValueError) as error:
            waited = time.monotonic() - began
            raise self._broken(error, timeouts[0], waited) from None
        # One for all pictures: PyAV's own shortcut makes a new one for each, at twice the time.
        self._reformatter = VideoReformatter()
        try:
            self._stream = self._first_stream()
        except NoVideo:
            self._container.close()
            raise
        context = self._stream.codec_context
        context.thread_type = "SLICE" if low_delay else "AUTO"
        context.thread_count = 0
        # A header costs nothing to write, and FFmpeg's own limit is 2 gigapixels a picture.
        context.options = {**context.options, "max_pixels": str(_PIXELS)}
        if low_delay:
            context.flags |= _LOW_DELAY
        self._pictures = self._decode()

    @property
    def granted(self) -> Granted:
        """What it says of itself; a width of 0 where it does not know yet."""
        stream = self._stream
        rate = stream.average_rate
        return Granted(
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            rate=round(float(rate), 3) if rate and self.timed else None,
            pixel_format=str(stream.codec_context.name),
            backend="PyAV",
            frames=stream.frames or None,
        )

    @property
    def timed(self) -> bool:
        """Whether its time stamps come from whoever took the pictures."""
        return not int(self._container.format.flags) & _NO_TIMESTAMPS

    @property
    def ahead(self) -> bool:
        """Whether it can be read faster than it was filmed: it has a length, or comes in pieces."""
        return self._container.duration is not None or self.form in _IN_PIECES

    @property
    def form(self) -> str:
        """Of the container: "mpegts", "rtsp"."""
        return str(self._container.format.name)

    def next(self) -> Picture:
        """Read and decode until there is a picture.

        Raises:
            StopIteration: There are no more.
            Broken: Reading broke off, or many packets in a row gave no picture.
        """
        return next(self._pictures)

    def skip_unneeded(self, skip: bool) -> None:
        """Leave out pictures that no other one is made from, to catch up."""
        self._stream.codec_context.skip_frame = "NONREF" if skip else "DEFAULT"

    def pixels(self, picture: Picture) -> Image:
        """Make (H, W, 3) uint8 BGR of a picture, upright, in memory of its own."""
        frame = picture.frame
        bgr = self._reformatter.reformat(frame, format="bgr24", **_one_thread(self._av))
        # PyAV's array looks into the new frame and keeps it alive; it is a view where rows are
        # padded, which OpenCV would copy at every use.
        pixels: Image = np.ascontiguousarray(bgr.to_ndarray(), np.uint8)
        turn = _TURNS.get(round(frame.rotation) % 360)
        return pixels if turn is None else cv2.rotate(pixels, turn)  # type: ignore[return-value]

    def close(self) -> None:
        """Let go of it."""
        self._pictures.close()
        self._container.close()

    def _first_stream(self) -> Any:
        streams = self._container.streams.video
        if not streams:
            raise NoVideo("it holds no video")
        # A stream that FFmpeg has no decoder for has no codec context.
        stream = next((each for each in streams if each.codec_context is not None), None)
        if stream is None:
            raise NoVideo("its video cannot be decoded by this build of FFmpeg")
        return stream

    def _decode(self) -> Generator[Picture, None, None]:
        packets = self._container.demux(self._stream)
        fruitless = 0
        wait_ns = 0
        while True:
            asked_ns = time.perf_counter_ns()
            try:
                packet: Packet[Any] | None = next(packets, None)
            except self._av.FFmpegError as error:
                waited = (time.perf_counter_ns() - asked_ns) / 1e9
                raise self._broken(error, self._read_limit_s, waited) from None
            if packet is None:
                return
            arrived_ns = time.perf_counter_ns()
            wait_ns += arrived_ns - asked_ns
            try:
                frames = self._stream.codec_context.decode(packet)
            except self._av.FFmpegError:
                frames = []
            decode_ns = time.perf_counter_ns() - arrived_ns
            fruitless += 1
            for frame in frames:
                # What the decoder made up to fill a hole is no picture of anything.
                if frame.is_corrupt:
                    continue
                fruitless = 0
                yield Picture(frame, arrived_ns, decode_ns, wait_ns)
                wait_ns = decode_ns = 0
            if fruitless >= _HOPELESS:
                raise NoVideo(f"nothing of {_HOPELESS} packets in a row could be decoded")

    def _broken(self, error: Exception, limit_s: float | None, waited_s: float) -> Broken:
        # FFmpeg's RTSP client calls a silent server "invalid data", after the time it was given.
        if isinstance(error, self._av.error.ExitError) or (
            limit_s is not None and waited_s >= 0.95 * limit_s
        ):
            return Broken(f"there was no answer within {limit_s:g} s")
        if getattr(error, "errno", None) == errno.EINVAL and self._limited:
            return NoVideo("it is a list of other files, or it holds no video")
        if isinstance(error, self._av.error.InvalidDataError):
            return NoVideo("the data is damaged, or of a kind that FFmpeg does not know")
        permanent = isinstance(
            error,
            (
                FileNotFoundError,
                PermissionError,
                IsADirectoryError,
                self._av.error.HTTPClientError,
                self._av.error.ProtocolNotFoundError,
                ValueError,
            ),
        )
        if getattr(error, "errno", None) == errno.EIO:
            # FFmpeg's word for many things, a host name that nobody knows among them.
            return Broken("it cannot be reached, or the connection broke")
        # Never str(error): it holds the address, password and all.
        words = (getattr(error, "strerror", None) or type(error).__name__).lower()
        return Broken(words, permanent=permanent)


def _one_thread(av: ModuleType) -> dict[str, int]:
    # PyAV 17 began to start threads for every picture, which takes longer than the conversion.
    return {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
