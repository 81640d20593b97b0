"""What is said of a .pt2 that holds something it may not."""

from __future__ import annotations

from edgekit.core.texts import shown

__all__ = ["TRUST_HINT", "NotAllowedError", "needs_library"]

TRUST_HINT = (
    "Such a program can run whatever its author wrote. If you trust where it comes from, allow it "
    "with --trust-pickle."
)


class NotAllowedError(Exception):
    """Something in a program that may not be there.

    Args:
        what: The rest of a sentence that begins with the file, without its stop.
        hint: What to do.
    """

    def __init__(self, what: str, hint: str = TRUST_HINT) -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint


def needs_library(name: str, what: str) -> NotAllowedError:
    """Say whose a class or an operator is."""
    library = name.partition(".")[0]
    return NotAllowedError(
        f"needs the library {shown(library)}: it has {what}",
        hint=f"With {library} installed, allow edgekit to import it with --trust-code.",
    )
