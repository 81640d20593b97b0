"""Addresses of streams, as they may be shown: without what opens the door."""

from __future__ import annotations

import re

__all__ = ["hide_secrets"]

# Everything up to the last "@" before the path: a password may hold an "@" that nobody escaped.
# Where there is none before it, up to the path's, for it may hold a "/" too. What looks like a port
# is one.
_USER = re.compile(r"(?<=://)([^/?#\s:@]*):(?!\d{1,5}(?:[/?#]|$))(?:[^/?#\s]*|\S*)@")
_SECRETS = re.compile(
    r"([?&;][^=&;#\s]*(?:pass|pwd|token|secret|key|auth|sig|user)[^=&;#\s]*=)[^&;#\s]+",
    re.IGNORECASE,
)
# Properties of GStreamer elements: user-pw="…", user-id=….
_PROPERTY = re.compile(r"(\b(?:user-pw|user-id|password|passphrase|proxy-pw)=)(\"[^\"]*\"|[^\s&]+)")


def hide_secrets(text: str) -> str:
    """Put `***` for passwords, tokens and keys in an address or a pipeline.

    Args:
        text: As the user typed it.
    """
    shown = _USER.sub(r"\1:***@", text)
    return _PROPERTY.sub(r"\1***", _SECRETS.sub(r"\1***", shown))
