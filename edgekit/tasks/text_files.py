"""Reading text files that a user wrote."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.errors import BadInput

__all__ = ["read_text"]


def read_text(path: Path, hint: str = "") -> str:
    """Return a UTF-8 file's text, without a byte order mark.

    Raises:
        BadInput: The file is missing, cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text.", hint=hint) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"{path} cannot be read: {reason}.", hint=hint) from error
