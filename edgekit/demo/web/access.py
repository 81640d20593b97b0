"""Who may see the page: everybody on this machine, and elsewhere who holds the link.

Bound to the loopback address the page needs no secret, but a web site that the user visits must
not reach it through the user's browser: the Host header has to be a loopback name (a foreign name
that was made to point here is refused), and requests that another site's page sends are refused.

Bound elsewhere every request needs one of:

- the link: a token that opens the page once and is exchanged for a session cookie; the next link is
  announced then, so that a link spent by a mail scanner locks nobody out;
- the session cookie (HttpOnly, SameSite=Strict), until the demo ends;
- `Authorization: Bearer TOKEN` with the monitoring token, which lasts, and only reads.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Access", "AccessRefusal", "is_loopback"]

_READING = ("GET", "HEAD")


@dataclass(frozen=True)
class AccessRefusal:
    """Why a request is not answered.

    Attributes:
        status: 401 where nothing was shown, 403 where it was wrong.
        sentence: For the one who asked; tells nothing about the demo.
    """

    status: int
    sentence: str


NO_LINK = AccessRefusal(
    401, "Open this page by the link that edgekit printed where it was started."
)
WRONG_LINK = AccessRefusal(
    403, "This link is wrong or was used before: open the newest one that edgekit printed."
)
WRONG_TOKEN = AccessRefusal(403, "This token opens nothing here.")
ONLY_READS = AccessRefusal(403, "The monitoring token reads; it changes nothing.")
WRONG_HOST = AccessRefusal(
    403, "This page answers to the names of this machine only, such as localhost."
)
WRONG_SITE = AccessRefusal(403, "This page takes no requests from other sites.")


class Access:
    """Decides over requests; used from one thread.

    Args:
        host: The address that the server is bound to.
        monitor_token: What programs on other machines show; None makes one.
        announce: Called with a new link's token once the last one was used.
    """

    def __init__(
        self,
        host: str,
        *,
        monitor_token: str | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.needs_token = not is_loopback(host)
        self.monitor_token = monitor_token or secrets.token_urlsafe(32)
        self.link_token = secrets.token_urlsafe(32)
        self._announce = announce
        self._sessions: list[str] = []

    def refusal(
        self, method: str, headers: Mapping[str, str], session: str | None
    ) -> AccessRefusal | None:
        """Return why a request is refused; None where it is not.

        Args:
            method: "GET", "POST", …
            headers: Of the request, in any case of letters.
            session: The session cookie, where one was sent.
        """
        if not self.needs_token and not is_loopback(_name_of(headers.get("Host", ""))):
            return WRONG_HOST
        if _from_elsewhere(method, headers):
            return WRONG_SITE
        if not self.needs_token or self._knows(session):
            return None
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if not _same(token.strip(), self.monitor_token):
                return WRONG_TOKEN
            return None if method in _READING else ONLY_READS
        return NO_LINK

    def exchange(self, token: str) -> str | None:
        """Spend a link's token; return the cookie of a new session, None for a wrong token."""
        if not _same(token, self.link_token):
            return None
        self.link_token = secrets.token_urlsafe(32)
        session = secrets.token_urlsafe(32)
        self._sessions.append(session)
        self._announce(self.link_token)
        return session

    def _knows(self, session: str | None) -> bool:
        # Every one is compared, so that the time taken tells nothing.
        return session is not None and sum(_same(session, known) for known in self._sessions) > 0


def is_loopback(host: str) -> bool:
    """Return whether a name or an address can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """The name in a Host header; its port may be that of a tunnel."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _from_elsewhere(method: str, headers: Mapping[str, str]) -> bool:
    """Whether the page of another site sent this; following a link from there is all right.

    Browsers send Sec-Fetch-Site over https and to this machine, Origin with everything that is no
    plain GET; programs send neither.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        followed = method in _READING and headers.get("Sec-Fetch-Mode") == "navigate"
        return site not in ("same-origin", "none") and not followed
    origin = headers.get("Origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("Host", "").lower()
    except ValueError:
        return True


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
