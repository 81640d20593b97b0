"""Two opened models in one child process, taking turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgekit.benchmarks.clock import Clock, monotonic_clock
from edgekit.benchmarks.duel import Duel, DuelSummary, quads_per_opening
from edgekit.benchmarks.ratio import RatioRule
from edgekit.benchmarks.steady import Run
from edgekit.core.runtime import Binding, Feeds, Session
from edgekit.jobs.process.gauge import quickest

__all__ = ["DuelFigures", "DuelWorker", "Duellist"]


@dataclass(frozen=True)
class Duellist:
    """One of the two.

    Attributes:
        opener: Opens its sessions by role; travels to the child process.
        feeds: Inputs by role; one inference runs every role once, in order.
    """

    opener: Callable[[], dict[str, Session]]
    feeds: Mapping[str, Feeds]


@dataclass(frozen=True)
class DuelFigures:
    """What the child found.

    Attributes:
        openings: How often both were opened.
        summary: Every figure.
    """

    openings: int
    summary: DuelSummary


class _Opened:
    """A duellist's sessions and bindings; opened again on demand."""

    def __init__(self, duellist: Duellist) -> None:
        self._duellist = duellist
        self._sessions: dict[str, Session] = {}
        self._bindings: list[Binding] = []

    def open(self) -> None:
        self._sessions = self._duellist.opener()
        self._bindings = [
            self._sessions[role].bind(feeds) for role, feeds in self._duellist.feeds.items()
        ]

    def close(self) -> None:
        self._bindings = []
        for session in self._sessions.values():
            session.close()
        self._sessions = {}

    @property
    def run(self) -> Run:
        """One inference, as short as it can be called."""
        return quickest(self._bindings)


class DuelWorker:
    """Both models in a process of their own.

    Args:
        base: What the other is held against.
        new: The other.
        rule: How they take turns and when that ends.
        clock: Nanoseconds.

    Attributes:
        duel: The figures so far.
    """

    def __init__(
        self, base: Duellist, new: Duellist, rule: RatioRule, clock: Clock = monotonic_clock
    ) -> None:
        self._base, self._new = _Opened(base), _Opened(new)
        self._rule = rule
        self._clock = clock
        self.duel = Duel(rule, clock=clock)
        self._openings = 0
        self._opening_seconds = 0.0

    def warm(self) -> None:
        """Open both, and run each until its speed is steady."""
        self._open()
        self.duel.warm(self._base.run, self._new.run)
        # The first opening also loads libraries; the second one tells what each will cost.
        self._reopen()

    def round(self) -> float | None:
        """Sample one round, both opened anew where that is affordable.

        Returns:
            Seconds of sampling so far; None where it is done.
        """
        quads = self.duel.quads
        sampled = self.duel.seconds / quads if quads else 0.0
        wanted = quads_per_opening(
            self._rule, self._opening_seconds, self.duel.quad_seconds, sampled
        )
        if wanted and quads:
            self._reopen()
        self.duel.round(self._base.run, self._new.run, max(1, wanted))
        return None if self.duel.done else self.duel.seconds

    def finish(self) -> DuelFigures:
        """Return every figure."""
        return DuelFigures(self._openings, self.duel.summary())

    def _reopen(self) -> None:
        self._base.close()
        self._new.close()
        began = self._clock()
        self._open()
        for side in self._order():
            self.duel.settle(side.run)
        self._opening_seconds = (self._clock() - began) / 1e9

    def _open(self) -> None:
        self._openings += 1
        for side in self._order():
            side.open()

    def _order(self) -> tuple[_Opened, _Opened]:
        """Who is opened first, in turns: the first finds the memory that the last one left."""
        if self._openings % 2:
            return self._base, self._new
        return self._new, self._base
