"""Several runs of one engine in flight, each on a stream of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["TensorRtQueue"]


class _Started(Protocol):
    def start(self) -> None: ...

    def wait(self) -> None: ...


class TensorRtQueue:
    """Starts bindings in turn; see edgekit.core.runtime.Queue.

    Args:
        bindings: Of one session, each with a stream and buffers of its own.
    """

    def __init__(self, bindings: Sequence[_Started]) -> None:
        self._bindings = list(bindings)
        self._started = 0

    @property
    def depth(self) -> int:
        """Inferences in flight at most."""
        return len(self._bindings)

    def submit(self) -> None:
        """Start one inference; waits for the oldest while `depth` are in flight.

        Raises:
            BadInput: TensorRT refuses to run.
            Unavailable: The GPU failed.
        """
        binding = self._bindings[self._started % self.depth]
        if self._started >= self.depth:
            binding.wait()
        binding.start()
        self._started += 1

    def drain(self) -> None:
        """Wait until all are done.

        Raises:
            Unavailable: The GPU failed.
        """
        for binding in self._bindings:
            binding.wait()
        self._started = 0
