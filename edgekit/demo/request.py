"""What a demo is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgekit.pipeline.frame import FrameRequest

__all__ = ["Display", "Request"]

Display = Literal["window", "web", "none"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Source and outputs of a demo, as the user asked for them.

    Attributes:
        source: As typed; None means a camera, or generated scenes where there is none.
        wanted: What the source is asked for.
        display: None means a window, or the page where there is no display.
        host: Address of the page.
        port: Of the page; 0 takes a free one.
        every_frame: Nothing is left out, and nothing waits for a clock.
        save: The recording.
        detections: JSON lines; "-" is stdout.
        track: Whether objects get a number that follows them.
        seconds: End by itself after so many; None means never.
        force: Replace files that exist.
        inputs: Files and folders that are read, or written by another output.
    """

    source: str | None = None
    wanted: FrameRequest
    display: Display | None = None
    host: str
    port: int
    every_frame: bool = False
    save: Path | None = None
    detections: str | None = None
    track: bool = False
    seconds: float | None = None
    force: bool = False
    inputs: Sequence[Path] = ()
