"""A network stream: RTSP, HTTP, MPEG-TS over UDP or TCP."""

from __future__ import annotations

import time
from threading import Event

from edgekit.core.addresses import hide_secrets
from edgekit.core.errors import BadInput
from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.source import SourceEnded, SourceLost
from edgekit.pipeline.sources.clock import StreamClock
from edgekit.pipeline.sources.decoding import Broken, Decoding, Picture

__all__ = ["SCHEMES", "Stream"]

_HTTP = "http,https,httpproxy,tcp,tls,crypto,data"
_RTSP = "rtsp,rtp,srtp,udp,tcp,tls"
# FFmpeg's protocols by scheme: all that a server may lead to. A playlist that came over the network
# would else name files of this machine.
_PROTOCOLS = {
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "http": _HTTP,
    "https": _HTTP,
    "udp": "udp,rtp",
    "tcp": "tcp",
}
SCHEMES = tuple(_PROTOCOLS)
# How long late pictures are left out in the hope of catching up.
_CATCH_UP_NS = 2_000_000_000


class Stream:
    """Frames of a network stream, newest first of all: what lay in a buffer for long is left out.

    A recording behind an address (it has a length), and what comes in pieces (HLS), plays at its
    own rate; the capture of a frame is then when it is due.

    Args:
        address: URL with one of SCHEMES.
        every_frame: Leave none out, and play a recording as fast as it comes.
        open_s: Seconds until a server must have answered and sent enough to know the codec.
        read_s: Seconds that a read may last; FFmpeg sometimes takes twice that.
        late_s: A picture that is older than that on arrival is not handed out, for two seconds at
            most.
    """

    def __init__(
        self,
        address: str,
        *,
        every_frame: bool = False,
        open_s: float = 10.0,
        read_s: float = 5.0,
        late_s: float = 1.0,
    ) -> None:
        self._address = address
        self._scheme = address.partition(":")[0].lower()
        self._every_frame = every_frame
        self._timeouts = (open_s, read_s)
        self._late_ns = round(late_s * 1e9)
        self._interrupted = Event()
        self._decoding: Decoding | None = None
        self._clock = StreamClock()
        self._number = -1
        self._catching_up_ns: int | None = None
        self._first_due_ns: int | None = None

    @property
    def name(self) -> str:
        """See FrameSource."""
        return hide_secrets(self._address)

    @property
    def live(self) -> bool:
        """See FrameSource."""
        return True

    def open(self) -> Granted:
        """See FrameSource."""
        self.close()
        self._clock = StreamClock()
        self._catching_up_ns = self._first_due_ns = None
        try:
            self._decoding = Decoding(
                self._address,
                why="to read network streams",
                options=self._options(),
                timeouts=self._timeouts,
                low_delay=True,
            )
        except Broken as broken:
            sentence = f"{self.name} cannot be opened: {broken.reason}."
            if broken.permanent:
                hint = "Try the address in a player such as ffplay or VLC."
                raise BadInput(sentence, hint=hint) from None
            raise SourceLost(sentence) from None
        granted = self._decoding.granted
        if granted.width == 0:
            self.close()
            raise SourceLost(f"{self.name} did not send enough to tell its size.")
        return granted

    def read(self) -> Frame:
        """See FrameSource."""
        decoding = self._decoding
        if decoding is None:
            raise SourceLost(f"{self.name} is not open.")
        while not self._interrupted.is_set():
            picture = self._next(decoding)
            self._number += 1
            captured_ns = self._captured(decoding, picture)
            if not self._every_frame and self._is_stale(captured_ns):
                continue
            begin_ns = time.perf_counter_ns()
            pixels = decoding.pixels(picture)
            convert_ns = time.perf_counter_ns() - begin_ns
            return Frame(pixels, self._number, captured_ns, picture.decode_ns + convert_ns)
        raise SourceEnded

    def interrupt(self) -> None:
        """See FrameSource; FFmpeg itself gives up after the time it was given."""
        self._interrupted.set()

    def close(self) -> None:
        """See FrameSource."""
        decoding, self._decoding = self._decoding, None
        if decoding is not None:
            decoding.close()

    def _next(self, decoding: Decoding) -> Picture:
        try:
            return decoding.next()
        except StopIteration:
            # A camera has no end: what its server closes, it may open again.
            if self._scheme in ("http", "https") and decoding.form != "mpjpeg":
                raise SourceEnded(f"{self.name} ended.") from None
            raise SourceLost(f"{self.name} closed the connection.") from None
        except Broken as broken:
            raise SourceLost(f"{self.name} broke off: {broken.reason}.") from None

    def _captured(self, decoding: Decoding, picture: Picture) -> int:
        if not decoding.timed or picture.seconds is None:
            return picture.arrived_ns
        if decoding.ahead and self._scheme in ("http", "https"):
            if self._every_frame:
                return picture.arrived_ns
            return self._wait_until_due(picture)
        return self._clock.captured(picture.seconds, picture.arrived_ns)

    def _wait_until_due(self, picture: Picture) -> int:
        stamp_ns = round((picture.seconds or 0) * 1e9)
        if self._first_due_ns is None:
            self._first_due_ns = picture.arrived_ns - stamp_ns
        early_ns = self._first_due_ns + stamp_ns - time.perf_counter_ns()
        # The network was slow: the rest is played that much later.
        self._first_due_ns += max(0, -early_ns - self._late_ns)
        self._interrupted.wait(max(0, early_ns) / 1e9)
        return self._first_due_ns + stamp_ns

    def _is_stale(self, captured_ns: int) -> bool:
        now_ns = time.perf_counter_ns()
        if now_ns - captured_ns <= self._late_ns:
            self._catching_up_ns = None
            return False
        if self._catching_up_ns is None:
            self._catching_up_ns = now_ns
        # This machine is too slow for the stream: old frames, and an age that says so.
        return now_ns - self._catching_up_ns < _CATCH_UP_NS

    def _options(self) -> dict[str, str]:
        """FFmpeg's: no buffers of its own, few bytes until the codec is known."""
        options = {
            # Without a buffer, what told the codec is not played: it would be old.
            "fflags": "discardcorrupt" if self._every_frame else "nobuffer+discardcorrupt",
            "analyzeduration": "1000000",
            # Twenty frames are usual, which is a second at 20 frames a second.
            "fpsprobesize": "2",
            "protocol_whitelist": _PROTOCOLS[self._scheme],
        }
        if self._scheme in ("rtsp", "rtsps"):
            # Over UDP a lost packet tears pictures, and firewalls hold it up.
            options["rtsp_transport"] = "tcp"
        if self._scheme == "udp":
            options["overrun_nonfatal"] = "1"
        return options
