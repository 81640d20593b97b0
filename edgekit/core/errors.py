"""The errors edgekit raises on purpose.

The tree, with the exit status of each::

    EdgekitError
    ├── BadInput        wrong usage or bad input            exit status 2
    │   └── Unwritable       a file or folder cannot be written
    ├── CheckFailed     a check, budget or gate failed      exit status 1
    └── Unavailable     the runtime or device is not here   exit status 3
        └── MissingLibrary   an optional library is not installed

Each is one sentence (what is wrong, where) and, apart, a hint (what to do). Anything else that
escapes is a bug in edgekit.
"""

from __future__ import annotations

from typing import ClassVar

from edgekit.core.addresses import without_secrets
from edgekit.core.subject import without_places
from edgekit.core.texts import bounded, safe

__all__ = [
    "BadInput",
    "CheckFailed",
    "EdgekitError",
    "MissingLibrary",
    "Unavailable",
    "Unwritable",
]


class EdgekitError(Exception):
    """Base of every error that edgekit raises on purpose.

    A message has at most 1,500 characters, no control characters and no secret of an address,
    whatever it quotes: names and values of a file that came from anyone. A path of the cache or of
    a temporary folder gives way to the user's name for what is worked on.

    Args:
        message: One sentence: what is wrong and where.
        hint: What the user can do about it; may be empty.
    """

    exit_status: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = bounded(without_places(safe(without_secrets(message))))
        self.hint = bounded(without_places(safe(without_secrets(hint))))
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(EdgekitError):
    """Wrong usage or bad input: a file, an option, a card, a data set."""

    exit_status = 2
    kind = "bad-input"


class Unwritable(BadInput):
    """A file or a folder cannot be written: no space, no permission, something in its place.

    Attributes:
        path: What could not be written, whatever the message calls it; empty where it names none.
    """

    path: str = ""


class CheckFailed(EdgekitError):
    """A check, a budget or a gate failed; what was made is kept."""

    exit_status = 1
    kind = "check-failed"


class Unavailable(EdgekitError):
    """The runtime or the device asked for is not available on this machine."""

    exit_status = 3
    kind = "unavailable"


class MissingLibrary(Unavailable):
    """An optional library is not installed; the hint holds the pip command."""

    kind = "missing-library"
