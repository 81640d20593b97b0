"""What a user changes while the demo runs, from the window, the page or a program."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from threading import Event, Lock

from edgekit.core.errors import BadInput
from edgekit.core.names import closest

__all__ = ["Controls", "Setting"]


@dataclass(frozen=True)
class Setting:
    """What is shown at the moment.

    Attributes:
        confidence: Detections below it are left out; None means the card's own threshold.
        classes: Indices of the classes shown; None means all.
    """

    confidence: float | None = None
    classes: frozenset[int] | None = None


class Controls:
    """Threshold, classes, and the wish to stop; used from any thread.

    Args:
        labels: The model's, in class order; empty where it has none.
        confidence: At the start; None means the card's own.
        classes: Names or indices at the start; None means all.
        own: The card's threshold, where a user who changes it begins.

    Raises:
        BadInput: A class or a threshold that does not exist.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        confidence: float | None = None,
        classes: Collection[str] | None = None,
        own: float = 0.25,
    ) -> None:
        self.labels = tuple(labels)
        self.own = own
        self.stopped = Event()
        self._lock = Lock()
        self._setting = Setting()
        if confidence is not None:
            self.set_confidence(confidence)
        if classes is not None:
            self.set_classes(classes)

    @property
    def setting(self) -> Setting:
        """The one now; taken once a frame."""
        with self._lock:
            return self._setting

    def set_confidence(self, confidence: float | None) -> None:
        """Show detections from this score on; None means the card's own threshold.

        Raises:
            BadInput: Not between 0 and 1.
        """
        if confidence is not None and not 0 <= confidence <= 1:
            raise BadInput(f"A confidence lies between 0 and 1, not {confidence}.")
        with self._lock:
            self._setting = replace(self._setting, confidence=confidence)

    def set_classes(self, classes: Collection[str] | None) -> None:
        """Show these classes only, by name or by index; None means all.

        Raises:
            BadInput: The model has no such class; names the closest.
        """
        wanted = None if classes is None else frozenset(self._index(each) for each in classes)
        with self._lock:
            self._setting = replace(self._setting, classes=wanted)

    def stop(self) -> None:
        """End the demo."""
        self.stopped.set()

    def _index(self, name: str) -> int:
        if name in self.labels:
            return self.labels.index(name)
        if name.isdigit() and (not self.labels or int(name) < len(self.labels)):
            return int(name)
        raise BadInput(f"The model has no class {name!r}.", hint=closest(name, self.labels))
