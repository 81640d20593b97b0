"""What the outputs report back, and what they may ask for: the demo so far."""

from __future__ import annotations

from typing import Protocol

from edgekit.core.documents import DemoDocument

__all__ = ["Meter"]


class Meter(Protocol):
    """Counts and times of a running demo; used from any thread."""

    def shown(self, captured_ns: int, shown_ns: int) -> None:
        """Note that a frame was shown, both by `time.perf_counter_ns`."""
        ...

    def stage(self, name: str, nanoseconds: int) -> None:
        """Note how long a stage of an output took for one frame: "draw", "encode", "show"."""
        ...

    def note(self, sentence: str) -> None:
        """Note what a user must know: the disk is full, the recording ended."""
        ...

    def document(self) -> DemoDocument:
        """The demo so far; rates are of the last two seconds."""
        ...
