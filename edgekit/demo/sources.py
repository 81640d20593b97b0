"""The source that a user names, generated scenes among them."""

from __future__ import annotations

from pathlib import Path

from edgekit.demo.synthetic import SyntheticSource
from edgekit.pipeline.frame import FrameRequest
from edgekit.pipeline.source import FrameSource
from edgekit.pipeline.sources.camera import Camera
from edgekit.pipeline.sources.gstreamer import Pipeline
from edgekit.pipeline.sources.parse import frame_source
from edgekit.pipeline.sources.stream import Stream

__all__ = ["can_wait", "demo_source", "usual_source"]

_SYNTHETIC = "synthetic"
_FIRST_CAMERA = Path("/dev/video0")


def usual_source() -> str:
    """What is shown where the user names no source: the first camera, else generated scenes."""
    return "0" if _FIRST_CAMERA.exists() else _SYNTHETIC


def demo_source(text: str, wanted: FrameRequest, *, every_frame: bool) -> FrameSource:
    """Make the source that a user names; nothing is opened yet.

    Args:
        text: "synthetic", or what `frame_source` takes.
        wanted: What to ask it for.
        every_frame: Files, folders and generated scenes give every frame as fast as it is taken.

    Raises:
        BadInput: It does not exist, or cannot be what it was asked for.
    """
    if text.strip() == _SYNTHETIC:
        return SyntheticSource(wanted, live=not every_frame)
    return frame_source(text, wanted, every_frame=every_frame)


def can_wait(source: FrameSource) -> bool:
    """Say whether a source can be held up without its frames growing old: it is no camera."""
    return not isinstance(source, Camera | Stream | Pipeline)
