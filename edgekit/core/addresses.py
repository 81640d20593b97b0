"""Addresses of streams as they may be shown: an allow-list, because a secret has no known name.

A password stands in an address as user name, password, path, query or fragment, under whatever key
a camera's maker chose. So only what is known to be harmless is shown; all else is `***`.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

__all__ = ["hide_secrets", "without_secrets"]

_HIDDEN = "***"
# A name or an address of a machine; with brackets, of IPv6.
_HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,253}|\[[0-9A-Fa-f:.]+(?:%[\w.]+)?\])?")
# Words with a number behind them, as in axis-media/media.amp, Streaming/Channels/101, live/ch01_0.
# A key that opens something is longer or mixes digits with letters.
_WORD = r"(?:[A-Za-z]{1,24}[0-9]{0,4}|[0-9]{1,4})"
_SEGMENT = re.compile(rf"{_WORD}(?:[._-]{_WORD}){{0,6}}")
_SHOWN_KEY = re.compile(
    r"cam(?:era)?|ch(?:annel)?|compression|fps|frame_?rate|h(?:eight)?|w(?:idth)?|profile|"
    r"proto(?:col)?|quality|rate|resolution|size|(?:sub|stream)type|stream|transport|unicast|"
    r"video(?:codec)?|codec",
    re.IGNORECASE,
)
_SHOWN_VALUE = re.compile(
    r"[0-9]{1,4}(?:[x.][0-9]{1,4})?|main|sub|tcp|udp|unicast|multicast|onvif|rtsp|rtp|h26[45]|hevc|"
    r"m?jpe?g|true|false|yes|no|on|off",
    re.IGNORECASE,
)
# A scheme was forgotten, USER:PASSWORD@HOST, or half of it.
_NO_SCHEME = re.compile(r"(?://)?[^/\\]*:.*@", re.DOTALL)
# An address inside a sentence, without the quote or bracket behind it. One slash is gone where
# it was taken for a path.
_IN_TEXT = re.compile(
    r"(?<![A-Za-z0-9+.-])(?!file:)([A-Za-z][A-Za-z0-9+.-]*:/|(?:rtsps?|https?|rtmps?|srt|tcp|udp):)"
    r"/([^\s\"'`<>]+)"
)
_CLOSING = ".,:;!?)]}"
# A pipeline's parts: elements, links and key=value, in which quotes hold spaces.
_PART = re.compile(r"""(?:[^\s"']|"(?:\\.|[^"\\])*"|'[^']*')+|\S.*""", re.DOTALL)
_ELEMENT = re.compile(r"[a-z][a-z0-9_]{0,40}\.?")
_CAPS = re.compile(
    r"(?:video|image|audio|application)/[a-z0-9-]{1,20}(?:\(memory:[A-Za-z]{1,12}\))?"
)
_SHOWN_PROPERTY = re.compile(
    r"caps|device|drop(?:-on-latency)?|encoding-name|format|framerate|width|height|io-mode|is-live|"
    r"latency|leaky|max-buffers|media|name|num-buffers|pattern|port|protocols|sensor-(?:id|mode)|sync"
)
_SHOWN_SETTING = re.compile(r"(?:\([a-z]+\))?[\w./:-]{1,40}")


def hide_secrets(text: str) -> str:
    """Put `***` for all of an address or a pipeline that is not known to be harmless.

    Shown are the scheme, the host, the port, a path of plain words, and the usual settings of a
    picture (`channel=1`). Where it is not certain which part is the host, the scheme alone.

    Args:
        text: As the user typed it: SCHEME://…, or gst:PIPELINE. Any other text comes back as it is.
    """
    if text.startswith("gst:"):
        return "gst:" + _pipeline(text.removeprefix("gst:"))
    scheme, found, rest = text.partition("://")
    if not found:
        return _HIDDEN if _NO_SCHEME.match(unquote(text)) else text
    if scheme.lower() == "file":
        return text
    return f"{scheme}://{_address(text, rest)}"


def without_secrets(sentence: str) -> str:
    """Hide the secrets of every address in a sentence; one that never was an address stays."""

    def shown(match: re.Match[str]) -> str:
        scheme, found = match[1].rstrip("/"), match[2]
        address = found.rstrip(_CLOSING)
        if not address:
            return match[0]
        hidden = hide_secrets(f"{scheme}//{address}")
        return f"{match[1]}/{hidden.partition('://')[2]}{found[len(address) :]}"

    return _IN_TEXT.sub(shown, sentence)


def _address(text: str, rest: str) -> str:
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    behind = rest[len(authority) :]
    user, at, place = authority.rpartition("@")
    host, port = _host_and_port(place)
    if host is None or "@" in behind:
        # A "/" or "?" that nobody escaped in a password ends the host for every reader of it.
        return _HIDDEN
    try:
        parts = urlsplit(text)
    except ValueError:
        return _HIDDEN
    shown = f"{_HIDDEN}@" if user else at
    path = "/".join(
        part if not part or _SEGMENT.fullmatch(part) else _HIDDEN for part in parts.path.split("/")
    )
    shown += f"{host}{port}{path}"
    if parts.query:
        shown += f"?{_query(parts.query)}"
    return f"{shown}#{_HIDDEN}" if parts.fragment else shown


def _host_and_port(place: str) -> tuple[str | None, str]:
    """Host and ":port"; None where it is no host."""
    found = re.fullmatch(r"(.*?)(:[0-9]{0,5})?", place, re.DOTALL)
    assert found is not None
    host = found[1]
    return (host if _HOST.fullmatch(host) else None), found[2] or ""


def _query(query: str) -> str:
    """The settings of a picture as they stand, and one *** for each run of anything else."""
    shown: list[str] = []
    for part in query.split("&"):
        key, _, value = part.partition("=")
        harmless = _SHOWN_KEY.fullmatch(key) and _SHOWN_VALUE.fullmatch(value)
        if harmless or shown[-1:] != [_HIDDEN]:
            shown.append(part if harmless else _HIDDEN)
    return "&".join(shown)


def _pipeline(description: str) -> str:
    shown: list[str] = []
    for part in _PART.findall(description):
        is_element = shown[-1:] in ([], ["!"]) and _ELEMENT.fullmatch(part)
        if part == "!" or is_element:
            shown.append(part)
        elif _CAPS.match(part):
            shown.append(_caps(part))
        else:
            shown.append(_property(part))
    return " ".join(shown)


def _caps(part: str) -> str:
    kind, *fields = part.split(",")
    kept = [kind if _CAPS.fullmatch(kind) else _HIDDEN]
    return ",".join(kept + [_property(field) for field in fields])


def _property(part: str) -> str:
    key, equals, value = part.partition("=")
    if not equals or not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", key):
        return _HIDDEN
    bare = value.strip("\"'")
    if key == "location" and "://" in bare:
        return f"location={hide_secrets(bare)}"
    harmless = _SHOWN_PROPERTY.fullmatch(key) and _SHOWN_SETTING.fullmatch(bare)
    return part if harmless else f"{key}={_HIDDEN}"
