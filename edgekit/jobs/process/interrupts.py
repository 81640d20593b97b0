"""Ctrl-C that waits for the end of a step, so that what was measured is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["Interruption", "deferred_interrupt"]


@dataclass
class Interruption:
    """Whether Ctrl-C was pressed meanwhile."""

    asked: bool = False


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Let the first Ctrl-C only be noted; the second interrupts as usual.

    Signals reach a program's main thread alone; elsewhere nothing is changed.
    """
    noted = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        # Somebody else's way to end, or ignored: theirs to say.
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        if noted.asked:
            signal.default_int_handler(number, frame)
        noted.asked = True

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
