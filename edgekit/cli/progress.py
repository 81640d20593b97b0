"""Progress on stderr: a bar that leaves no trace on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from edgekit.core.progress import Progress, Silent

__all__ = ["Lines", "OnTerminal", "progress_on_stderr"]

T = TypeVar("T")

# Bars are redrawn by the loop that advances them and not by a thread of their own: a thread that
# wakes up several times a second would show in the latencies measured meanwhile.
_SECONDS_BETWEEN_DRAWINGS = 0.1


@contextmanager
def progress_on_stderr(*, quiet: bool) -> Iterator[Progress]:
    """Yield where a job reports to, and clear the bars at the end."""
    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        terminal = OnTerminal(Console(stderr=True, highlight=False))
        try:
            yield terminal
        finally:
            terminal.close()
    else:
        yield Lines(Console(stderr=True, highlight=False, no_color=True))


class Lines:
    """Stages and notes as plain lines, for a log; no bars."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def stage(self, name: str) -> None:
        """Print the stage's name."""
        self._console.print(f"edgekit: {name}", markup=False, soft_wrap=True)

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items as they are."""
        yield from items

    def note(self, message: str) -> None:
        """Print the sentence."""
        self._console.print(f"edgekit: {message}", markup=False, soft_wrap=True)


class OnTerminal:
    """The stage and its bars at the foot of a terminal, notes above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            auto_refresh=False,
        )
        self._stage = self._bars.add_task("", total=None, visible=False)
        self._drawn = 0.0

    def stage(self, name: str) -> None:
        """Show the stage's name until the next one begins."""
        self._bars.start()
        self._bars.reset(self._stage, total=None, visible=True, description=name)
        self._bars.refresh()

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items while a bar shows how far along they are."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        self._bars.start()
        bar = self._bars.add_task(label, total=total)
        try:
            for item in items:
                self._draw()
                yield item
                self._bars.advance(bar)
        finally:
            self._bars.remove_task(bar)
            self._draw()

    def note(self, message: str) -> None:
        """Print the sentence above the bars; it stays."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True, style="dim")

    def close(self) -> None:
        """Clear the bars."""
        self._bars.stop()

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
            self._drawn = now
            self._bars.refresh()
