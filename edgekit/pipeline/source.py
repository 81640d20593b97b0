"""What gives frames."""

from __future__ import annotations

from typing import Protocol

from edgekit.pipeline.frame import Frame, Granted

__all__ = ["FrameSource", "SourceEnded", "SourceLost"]


class SourceEnded(Exception):
    """The source has no more frames: the end of a file or of a stream."""


class SourceLost(Exception):
    """The source gives no frames now and may give some later: unplugged, cut, silent, garbage.

    Args:
        reason: One sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FrameSource(Protocol):
    """A camera, a file, a folder, a stream, or generated scenes.

    One thread opens, reads and closes it; `interrupt` alone comes from another.
    """

    @property
    def name(self) -> str:
        """As the user named it, passwords in it hidden."""
        ...

    @property
    def live(self) -> bool:
        """Whether frames come at their own pace, and are lost where nobody takes them."""
        ...

    def open(self) -> Granted:
        """Connect; called again after SourceLost.

        Raises:
            SourceLost: It is not there now and may come: busy, unreachable, no answer in time.
            BadInput: It will never be: no such file, nothing that can be decoded.
            MissingLibrary: What reads it is not installed.
        """
        ...

    def read(self) -> Frame:
        """Wait for the next frame, never longer than the source's own time limit.

        Raises:
            SourceEnded: There are no more.
            SourceLost: None came in time, or it broke off.
        """
        ...

    def interrupt(self) -> None:
        """Let a blocked `open` or `read` return soon, where that can be done; never waits."""
        ...

    def close(self) -> None:
        """Let go of it; twice is allowed."""
        ...
