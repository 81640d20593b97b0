"""What the user typed, as a source of frames."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgekit.core.addresses import hide_secrets
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.pipeline.frame import FrameRequest
from edgekit.pipeline.source import FrameSource
from edgekit.pipeline.sources.camera import Camera
from edgekit.pipeline.sources.gstreamer import Pipeline, csi_pipeline
from edgekit.pipeline.sources.paced import PacedVideo
from edgekit.pipeline.sources.pictures import ImageFiles
from edgekit.pipeline.sources.stream import SCHEMES, Stream
from edgekit.pipeline.sources.video import VideoFile
from edgekit.tasks.images import IMAGE_SUFFIXES, image_files

__all__ = ["KINDS", "frame_source"]

KINDS = (
    "a camera (0 or /dev/video0), a video file, an image or a folder of images, a stream "
    "(rtsp://, http://, udp://, tcp://), a Jetson's camera (csi or csi:1), gst:PIPELINE"
)
_INDEX = re.compile(r"[0-9]{1,4}", re.ASCII)
_DEVICE = re.compile(r"/dev/(video|v4l/)\S+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CSI = re.compile(r"csi(?::([0-9]{1,2}))?", re.ASCII)
# A look at each; faster, a folder flickers past.
_PICTURES_A_SECOND = 2.0


def frame_source(
    text: str, wanted: FrameRequest | None = None, *, every_frame: bool = False
) -> FrameSource:
    """Make the source that a user names; nothing is opened yet.

    Args:
        text: One of KINDS.
        wanted: What to ask it for.
        every_frame: Files and folders give every frame as fast as it is taken; without it a video
            plays at its own rate, and pictures come one after the other.

    Raises:
        BadInput: It does not exist, or cannot be what it was asked for.
    """
    wanted = wanted or FrameRequest()
    text = text.strip()
    if not text:
        raise BadInput("The source is empty.", hint=f"A source is {KINDS}.")
    if _INDEX.fullmatch(text):
        return Camera(int(text), _valid(wanted))
    if _DEVICE.fullmatch(text):
        return Camera(Path(text), _valid(wanted))
    csi = _CSI.fullmatch(text)
    if csi and not Path(text).exists():
        _refuse(text, wanted, pixel_format=True)
        return Pipeline(text, csi_pipeline(int(csi[1] or 0), _valid(wanted)))
    if text.startswith("gst:"):
        return _pipeline(text, wanted)
    scheme = _SCHEME.match(text)
    if scheme:
        return _address(text, scheme[1].lower(), wanted, every_frame)
    # Unlike Path.expanduser, it leaves the name of a user who does not exist as it is.
    return _files(Path(os.path.expanduser(text)), wanted, every_frame)  # noqa: PTH111


def _pipeline(text: str, wanted: FrameRequest) -> FrameSource:
    _refuse(text, wanted, size=True, rate=True, pixel_format=True)
    description = text.removeprefix("gst:").strip()
    if not description:
        raise BadInput("gst: names no pipeline.", hint="For example: gst:v4l2src ! videoconvert")
    return Pipeline(text, description)


def _address(text: str, scheme: str, wanted: FrameRequest, every_frame: bool) -> FrameSource:
    if scheme == "file":
        path = unquote(text.partition("://")[2])
        if not path.startswith("/"):
            raise BadInput(f"{text} names no file.", hint="A file's address is file:///PATH.")
        return _files(Path(path), wanted, every_frame)
    shown = hide_secrets(text)
    if scheme not in SCHEMES:
        raise BadInput(f"{shown} is no stream that can be read.", hint=closest(scheme, SCHEMES))
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        hint = "In a password, / is written as %2F, @ as %40, : as %3A."
        raise BadInput(f"{shown} is no valid address.", hint=hint) from None
    if not host and scheme != "udp":
        raise BadInput(f"{shown} names no host.")
    _refuse(shown, wanted, size=True, rate=True, pixel_format=True)
    return Stream(text, every_frame=every_frame)


def _files(path: Path, wanted: FrameRequest, every_frame: bool) -> FrameSource:
    try:
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    except (OSError, ValueError):
        # Longer than a name may be, or with a character that none may have.
        exists = is_folder = is_file = False
    if not exists:
        raise BadInput(
            f"The source {hide_secrets(str(path))} does not exist.", hint=f"A source is {KINDS}."
        )
    _refuse(str(path), wanted, size=True, pixel_format=True, rate=every_frame)
    rate = _valid(wanted).rate
    if is_folder or (is_file and path.suffix.lower() in IMAGE_SUFFIXES):
        pictures = image_files(path) if is_folder else (path,)
        if not pictures:
            suffixes = " ".join(sorted(IMAGE_SUFFIXES))
            raise BadInput(f"The folder {path} holds no images.", hint=f"Images are {suffixes}.")
        pace = None if every_frame else rate or _PICTURES_A_SECOND
        return ImageFiles(str(path), pictures, rate=pace)
    if not is_file:
        raise BadInput(f"The source {path} is neither a file nor a folder.")
    return VideoFile(path) if every_frame else PacedVideo(path, rate=rate)


def _refuse(
    name: str,
    wanted: FrameRequest,
    *,
    size: bool = False,
    rate: bool = False,
    pixel_format: bool = False,
) -> None:
    """Refuse what a kind of source cannot be asked for."""
    for what, refused, value in (
        ("size", size, wanted.size),
        ("rate", rate, wanted.rate),
        ("pixel format", pixel_format, wanted.pixel_format),
    ):
        if refused and value is not None:
            raise BadInput(
                f"{name} cannot be asked for a {what}: it gives its own.",
                hint=f"A camera can be asked for a {what}.",
            )


def _valid(wanted: FrameRequest) -> FrameRequest:
    if wanted.size is not None and min(wanted.size) < 1:
        raise BadInput(f"A frame is at least 1x1 pixels, not {wanted.size[0]}x{wanted.size[1]}.")
    if wanted.rate is not None and not 0 < wanted.rate <= 1000:
        raise BadInput(f"A rate lies between 0 and 1000 frames a second, not {wanted.rate:g}.")
    letters = wanted.pixel_format
    if letters is not None and not (len(letters) == 4 and letters.isascii()):
        raise BadInput(f"A pixel format has four letters, as MJPG or YUYV, not {letters!r}.")
    return wanted
