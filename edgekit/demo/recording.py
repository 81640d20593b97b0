"""A recording of what the demo shows, in H.264, that can be played whatever becomes of the demo."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import cv2
import numpy as np

from edgekit.core.destination import VIDEO, Destination
from edgekit.core.errors import Unavailable, Unwritable
from edgekit.core.requires import requires
from edgekit.demo.background import Background
from edgekit.demo.meter import Meter
from edgekit.demo.output import AnsweredFrame
from edgekit.tasks.task import Image

__all__ = ["Recording"]


class _Encoder(NamedTuple):
    name: str
    options: dict[str, str]


# A file that grows by whole fragments of half a second is played up to the last of them after a
# kill or on a full disk. "hybrid_fragmented" (FFmpeg 7.1) makes an ordinary file of it at the end.
_FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
_FORMATS: dict[str, tuple[str, tuple[dict[str, str], ...]]] = {
    ".mp4": (
        "mp4",
        (
            {"movflags": f"hybrid_fragmented+{_FRAGMENTS}", "frag_duration": "500000"},
            {"movflags": _FRAGMENTS, "frag_duration": "500000"},
        ),
    ),
    ".mkv": ("matroska", ({"cluster_time_limit": "500"},)),
}
# On one core at 1280x720, a frame: "ultrafast" 4 ms, "superfast" 6.5, "veryfast" 9.5, a second
# thread no faster; the file grows by 2.2, 1.9, 1.6 Mbit/s. The cores belong to the engine.
_ENCODERS = (
    _Encoder("libx264", {"preset": "ultrafast", "tune": "zerolatency", "crf": "23"}),
    _Encoder("libopenh264", {"rc_mode": "quality"}),
    _Encoder("mpeg4", {"qscale": "4"}),
)
# Divides by all usual frame rates, and is the finest that MPEG-4 Part 2 takes.
_TICKS = 60000
_KEYFRAME_S = 2
# Each holds a picture: 22 MB at 1280x720.
_WAITING = 8
# What a cut of the power costs beside the fragment that was begun.
_SYNC_S = 1.0
_USUAL_NS = 33_333_333


class Recording:
    """Writes the pictures with the times at which they were captured.

    The first picture sets the size; one of another size is fitted into it, with bars.

    Args:
        path: Ending in .mp4 or .mkv.
        meter: Is told "save" a frame, and why a recording ended early.
        force: Replace an existing file.
        every: Keep every frame and let the demo wait; times are those of the file that is read.
            Without it frames are dropped that come faster than they can be encoded.
        inputs: What must not be overwritten.

    Raises:
        BadInput: Another ending, or the file exists.
        Unwritable: The folder cannot be written.
        MissingLibrary: PyAV is not installed.
        Unavailable: It has no encoder for video.
    """

    def __init__(
        self,
        path: Path,
        meter: Meter,
        *,
        force: bool = False,
        every: bool = False,
        inputs: Sequence[Path] = (),
    ) -> None:
        self._place = Destination(path, VIDEO, force=force, option="--save", inputs=inputs)
        with requires("av", extra="demo", why="to record"):
            import av
        self._meter = meter
        self._every = every
        self._encoder = _encoder(av)
        if self._encoder.name == _ENCODERS[-1].name:
            meter.note(
                "PyAV has no encoder for H.264 here; the recording is MPEG-4 Part 2, which is "
                "larger and which browsers do not play."
            )
        self._writer: _Writer | None = None
        self._work = Background(
            "save", self._write, self._finish, meter, length=_WAITING, wait=every
        )

    @property
    def path(self) -> Path | None:
        """The file; None as long as no frame is in it."""
        return None if self._writer is None else self._place.path

    @property
    def wants_picture(self) -> bool:
        """See Output."""
        return self._work.working

    @property
    def dropped(self) -> int:
        """Frames that are not in it because the encoder was behind."""
        return self._work.dropped

    def show(self, view: AnsweredFrame) -> None:
        """See Output."""
        if view.picture is not None:
            self._work.put(view)

    def close(self) -> None:
        """See Output."""
        self._work.close()

    def _write(self, view: AnsweredFrame) -> None:
        assert view.picture is not None
        frame = view.answer.frame
        seconds = frame.position_s if self._every else None
        now = frame.captured_ns if seconds is None else round(seconds * 1e9)
        if self._writer is None:
            self._writer = _Writer(self._place, view.picture, self._encoder)
        self._writer.add(view.picture, now)

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.finish()
        if self.dropped:
            self._meter.note(
                f"{self._place.path} lacks {self.dropped} frames that came while the encoder was "
                "busy."
            )


def _encoder(av: Any) -> _Encoder:
    """Return the first encoder that really opens, with its options."""
    for encoder in _ENCODERS:
        with contextlib.suppress(av.FFmpegError, ValueError):
            context = av.CodecContext.create(encoder.name, "w")
            context.width = context.height = 64
            context.pix_fmt = "yuv420p"
            context.time_base = Fraction(1, _TICKS)
            context.framerate = Fraction(30)
            context.options = dict(encoder.options)
            context.open()
            return encoder
    raise Unavailable(
        f"PyAV has none of the encoders {', '.join(each.name for each in _ENCODERS)} here.",
        hint="Install PyAV's own wheel: pip install --force-reinstall av",
    )


class _Writer:
    """An open file and its encoder; used from one thread."""

    def __init__(self, place: Destination, first: Image, encoder: _Encoder) -> None:
        import av.video.frame

        self._av: Any = av
        # Even, as halved colour asks for; one row or column of an odd picture is cut off.
        self._height, self._width = (max(2, side - side % 2) for side in first.shape[:2])
        self._file = _Growing(place.path, place.create())
        name, attempts = _FORMATS[place.path.suffix.lower()]
        for number, options in enumerate(attempts):
            try:
                self._open(name, options, encoder)
                break
            except self._av.FFmpegError:
                if number == len(attempts) - 1:
                    raise
                self._file.empty()
        self._last = -1
        self._last_ns = self._shift_ns = 0
        self._gap = _TICKS // 30
        self._next_key = 0
        self._check()

    def _open(self, name: str, options: dict[str, str], encoder: _Encoder) -> None:
        options = {**options, "flush_packets": "1"}
        self._container: Any = self._av.open(self._file, "w", format=name, options=options)
        stream: Any = self._container.add_stream(
            encoder.name, rate=30, options=dict(encoder.options)
        )
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(1, _TICKS)
        context.thread_count = 1
        # BT.601 in video range is what OpenCV converts to; players assume BT.709 for a large
        # picture that does not say.
        context.colorspace, context.color_range = 6, 1
        self._stream = stream
        self._container.start_encoding()

    def add(self, picture: Image, now_ns: int) -> None:
        """Encode one picture, captured at `now_ns`.

        Raises:
            Unwritable: The disk takes no more; what is in the file stays playable.
        """
        planes = np.asarray(cv2.cvtColor(self._fitted(picture), cv2.COLOR_BGR2YUV_I420), np.uint8)
        frame = self._av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self._ticks(now_ns)
        frame.time_base = Fraction(1, _TICKS)
        if frame.pts >= self._next_key:
            frame.pict_type = self._av.video.frame.PictureType.I
            self._next_key = frame.pts + _KEYFRAME_S * _TICKS
        for packet in self._encoded(frame):
            # Nobody knows how long the last frame lasts; about as long as the one before.
            packet.duration = self._gap
            self._container.mux(packet)
            self._check()

    def finish(self) -> None:
        """Write what the encoder still holds, and the index.

        Raises:
            Unwritable: The disk takes no more.
        """
        for packet in self._encoded(None):
            self._container.mux(packet)
        self._container.close()
        self._check()
        self._file.close()

    def _encoded(self, frame: Any) -> Any:
        try:
            return self._stream.encode(frame)
        except self._av.FFmpegError as error:
            raise Unavailable(
                f"The recording {self._file.path} ended early: the encoder failed ({error}).",
                hint="What is in it can be played; the demo goes on.",
            ) from error

    def _ticks(self, now_ns: int) -> int:
        """Time since the first frame; goes on where a file starts again from its beginning."""
        if self._last < 0:
            self._shift_ns = -now_ns
        elif now_ns < self._last_ns:
            self._shift_ns += self._last_ns - now_ns + _USUAL_NS
        self._last_ns = now_ns
        before = self._last
        self._last = max(round((now_ns + self._shift_ns) * _TICKS / 1e9), self._last + 1)
        if before >= 0:
            self._gap = self._last - before
        return self._last

    def _fitted(self, picture: Image) -> Image:
        height, width = picture.shape[:2]
        if (height - height % 2, width - width % 2) == (self._height, self._width):
            return picture[: self._height, : self._width]
        scale = min(self._height / height, self._width / width)
        tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas = np.zeros((self._height, self._width, 3), np.uint8)
        top, left = (self._height - tall) // 2, (self._width - wide) // 2
        canvas[top : top + tall, left : left + wide] = cv2.resize(
            picture, (wide, tall), interpolation=how
        )
        return canvas

    def _check(self) -> None:
        """Note that everything so far is whole, or give up what is not."""
        if self._file.failure is None:
            self._file.whole()
            return
        reason = (self._file.failure.strerror or str(self._file.failure)).lower()
        self._file.close()
        raise Unwritable(
            f"The recording {self._file.path} ended early: {reason}.",
            hint="What is in it can be played; the demo goes on.",
        )


class _Growing:
    """A file for PyAV that remembers where the last whole fragment ends, on the disk every second.

    PyAV gets no error of writing: it would raise it from somewhere inside FFmpeg, or on closing.
    """

    def __init__(self, path: Path, file: io.FileIO) -> None:
        self.path = path
        self.failure: OSError | None = None
        self._closing = Event()
        self._file = file  # closed by `close`
        self._whole = 0
        # In a thread: a slow card takes longer for it than the frames' queue is long.
        self._syncing = Thread(target=self._sync, name="sync", daemon=True)
        self._syncing.start()

    def write(self, data: bytes) -> int:
        """Write all of it, or remember why not."""
        rest = memoryview(data)
        while rest and self.failure is None and not self._file.closed:
            try:
                rest = rest[self._file.write(rest) or 0 :]
            except OSError as error:
                self.failure = error
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file."""
        return 0 if self._file.closed else self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return 0 if self._file.closed else self._file.tell()

    def empty(self) -> None:
        """Begin again."""
        self._file.seek(0)
        self._file.truncate()

    def whole(self) -> None:
        """Note that what is written ends with a whole fragment."""
        self._whole = self._file.tell()

    def close(self) -> None:
        """Let go; cut off what is not whole. Twice is allowed."""
        if self._file.closed:
            return
        self._closing.set()
        # It must not find another file under this one's number.
        self._syncing.join()
        if self.failure is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._whole)
        self._file.close()

    def _sync(self) -> None:
        while not self._closing.wait(_SYNC_S):
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTSUP):  # no file that can be synced
                    return
                self.failure = self.failure or error
                return
