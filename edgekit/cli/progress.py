"""Progress on stderr: lines that leave no trace on a terminal, plain lines for a log elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from edgekit.cli.pace import Countdown, Pace, left
from edgekit.cli.terminal import console_on_stderr
from edgekit.core.progress import Position, Progress, Silent
from edgekit.core.texts import bounded, safe

__all__ = ["OnTerminal", "ProgressLines", "progress_on_stderr"]

T = TypeVar("T")

# Bars are redrawn by the loop that advances them. A stage without a loop is redrawn by a thread,
# once a second, so that its countdown goes on; while a loop runs that thread does nothing, because
# what wakes up meanwhile would show in the latencies that are measured.
_SECONDS_BETWEEN_DRAWINGS = 0.1
_SECONDS_BETWEEN_SIGNS_OF_LIFE = 1.0
_BAR = 20
# Loops inside loops that are shown, the innermost.
_LOOPS = 2
# In a log, a stage that takes longer says how far it is.
_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress_on_stderr(*, quiet: bool) -> Iterator[Progress]:
    """Yield where a job reports to, and clear what was drawn at the end."""
    if quiet:
        yield Silent()
        return
    console = console_on_stderr()
    terminal = sys.stderr.isatty() and not console.is_dumb_terminal
    progress = OnTerminal(console) if terminal else ProgressLines(console)
    try:
        yield progress
    finally:
        progress.close()


@dataclass
class _Loop:
    """One loop that is under way."""

    label: str
    total: int | None
    done: int = 0
    pace: Pace = field(default_factory=Pace)


class ProgressLines:
    """Stages and notes as plain lines, for a log; a long stage says now and then how far it is.

    Args:
        console: On stderr.
        clock: Seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._last: tuple[str, int] | None = None
        self._loops: list[_Loop] = []
        self._name = ""
        self._began = self._printed = clock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._show_life, daemon=True)

    def stage(self, name: str, position: Position | None = None) -> None:
        """Print the stage's name; a part of the stage that was printed last is not."""
        where = f"{position.number} of {position.of}: " if position else ""
        self._name, self._began = f"{where}{name}", self._clock()
        if position is None or self._last is None or self._last[1] != position.number:
            self._print(self._name)
        self._last = (name, position.number) if position else None
        if self._thread.ident is None:
            self._thread.start()

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items; say from time to time how many are done."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        loop = _Loop(label, total, pace=Pace(self._clock))
        self._loops.append(loop)
        try:
            for item in items:
                yield item
                loop.done += 1
                loop.pace.step()
                self.tell()
        finally:
            self._loops.remove(loop)

    def note(self, message: str) -> None:
        """Print the sentence."""
        self._print(message)

    def tell(self) -> None:
        """Print how far the stage is, unless something was printed a moment ago."""
        now = self._clock()
        if now - self._printed < _SECONDS_BETWEEN_LINES or self._closed.is_set():
            return
        parts = [f"{loop.label} {loop.done} of {loop.total or '?'}" for loop in self._loops]
        parts = parts[-_LOOPS:] or [f"{now - self._began:.0f} s so far"]
        inner = self._loops[-1] if self._loops else None
        parts.append(left(inner.pace.left(inner.total)) if inner else "")
        self._print(f"{self._name}: {', '.join(part for part in parts if part)}")

    def close(self) -> None:
        """Print nothing more."""
        self._closed.set()

    def _show_life(self) -> None:
        # A loop may stand still too. Where one moves, this wakes up once in so many seconds.
        due = _SECONDS_BETWEEN_LINES
        while not self._closed.wait(max(1.0, due)):
            self.tell()
            due = self._printed + _SECONDS_BETWEEN_LINES - self._clock()

    def _print(self, message: str) -> None:
        self._printed = self._clock()
        self._console.print(Text(f"edgekit: {safe(bounded(message))}"), soft_wrap=True)


class OnTerminal:
    """The stage and its loops at the foot of a terminal, notes above them.

    Args:
        console: On stderr.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console, transient=True, auto_refresh=False, redirect_stdout=False
        )
        self._name = self._part = ""
        self._position: Position | None = None
        self._whole = Countdown()
        self._loops: list[_Loop] = []
        self._drawn = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._show_life, daemon=True)

    def stage(self, name: str, position: Position | None = None) -> None:
        """Show the stage until the next one begins."""
        number = position.number if position else None
        same = self._position is not None and number == self._position.number
        again = self._name == name or self._name.startswith(f"{name}: ")
        if same and not again:
            # "export" inside "export of digits" says nothing new.
            self._part = "" if self._name.startswith(name) else name
        else:
            self._name, self._part = name, ""
        if position != self._position:
            self._position = position
            self._count_down(position)
        self._draw(always=True)

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items while a bar shows how far along they are."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        loop = _Loop(label, total)
        self._loops.append(loop)
        self._draw(always=True)
        try:
            for item in items:
                yield item
                loop.done += 1
                loop.pace.step()
                self._draw()
        finally:
            self._loops.remove(loop)
            self._draw()

    def note(self, message: str) -> None:
        """Print the sentence above the stage; it stays."""
        self._console.print(Text(safe(bounded(message)), "dim"), soft_wrap=True)

    def close(self) -> None:
        """Clear what was drawn."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._live.stop()

    def _count_down(self, position: Position | None) -> None:
        if position is None or position.seconds is None or position.seconds_after is None:
            self._whole.set(None)
        else:
            after = position.seconds_after
            self._whole.set(position.seconds + after, after)

    def _show_life(self) -> None:
        while not self._closed.wait(_SECONDS_BETWEEN_SIGNS_OF_LIFE):
            if not self._loops:
                self._draw(always=True)

    def _draw(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if self._closed.is_set() or not (always or now - self._drawn >= _SECONDS_BETWEEN_DRAWINGS):
            return
        self._drawn = now
        if not self._live.is_started:
            self._live.start()
            self._thread.start()
        lines = [self._headline(), *map(self._line, self._loops[-_LOOPS:])]
        self._live.update(Group(*lines), refresh=True)

    def _headline(self) -> Text:
        """Where it stands, stage and part, and flush right the time left in all."""
        position = self._position
        where = f"{position.number} of {position.of}  " if position else ""
        part = f" · {self._part}" if self._part else ""
        # With no plan there is no whole to be left of; the loops say theirs.
        return self._fitted(f"{where}{self._name}{part}", left(self._whole.seconds))

    def _line(self, loop: _Loop) -> Text:
        if not loop.total:
            return self._fitted(f"  {loop.label}  {loop.done or ''}", "")
        filled = min(_BAR * loop.done // loop.total, _BAR)
        bar = "━" * filled + "╌" * (_BAR - filled)
        done = f"{loop.done:>{len(str(loop.total))}}/{loop.total}"
        text = f"  {set_cell_size(safe(loop.label), 12)} {bar} {done}"
        return self._fitted(text, left(loop.pace.left(loop.total)))

    def _fitted(self, text: str, right: str) -> Text:
        """One line whatever the width: what moves is cut rather than broken."""
        # A terminal breaks a line that fills it to the last column.
        width = self._console.width - 1
        text = safe(text)
        room = width - (cell_len(right) + 2 if right else 0)
        if cell_len(text) > room:
            text = set_cell_size(text, max(room - 1, 0)) + "…"
        if right:
            text += " " * max(width - cell_len(text) - cell_len(right), 1) + right
        return Text(text, no_wrap=True, overflow="crop")
