"""The pages that look on, and their limit."""

from __future__ import annotations

import time

__all__ = ["Viewers"]

# A page that waits for a frame asks again within four seconds.
_GONE_S = 6.0


class Viewers:
    """Counts pages by a name that each gives itself.

    Args:
        most: That may look on at the same time.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._asked: dict[str, float] = {}

    def admit(self, name: str) -> bool:
        """Note that a page asks for a frame; False where it would be one too many."""
        self._forget()
        if name not in self._asked and len(self._asked) >= self.most:
            return False
        self._asked[name[:64]] = time.monotonic()
        return True

    @property
    def count(self) -> int:
        """Pages that asked for a frame lately."""
        self._forget()
        return len(self._asked)

    def _forget(self) -> None:
        limit = time.monotonic() - _GONE_S
        self._asked = {name: asked for name, asked in self._asked.items() if asked > limit}
