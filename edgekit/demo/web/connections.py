"""Limits open connections, in all and by address, and closes those that send no request in time."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["ConnectionLimit"]

# A page holds up to six.
_CONNECTIONS = 256
# Ten pages behind one address, as of an office; four such addresses fill the limit, one never does.
_FROM_ONE_ADDRESS = 64
# A connection without a request by then is closed; a browser that connected ahead connects anew.
_SILENT_S = 15.0
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ConnectionLimit:
    """Makes the protocol of every new connection.

    Args:
        application: Reports responses by a signal, so it must not be set up yet.
        runner: Of that application.
    """

    def __init__(self, application: web.Application, runner: web.AppRunner) -> None:
        self._runner = runner
        self._silent: set[asyncio.BaseProtocol] = set()
        self._transports: list[asyncio.WriteTransport] = []
        application.on_response_prepare.append(self._heard)

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of one connection; in the loop's thread."""
        return _Arriving(self)

    @property
    def open(self) -> list[asyncio.WriteTransport]:
        """Connections whose socket is open; aiohttp forgets those that it closes too early."""
        self._transports = [
            each for each in self._transports if each.get_extra_info("socket").fileno() >= 0
        ]
        return self._transports

    def admits(self, transport: asyncio.WriteTransport) -> bool:
        """Take a connection in where there is room, in all and for its address."""
        by_address = Counter(map(_address, self.open))
        # The server is gone where a connection is accepted while the page closes.
        if (
            self._runner.server is None
            or len(self._transports) >= _CONNECTIONS
            or by_address[_address(transport)] >= _FROM_ONE_ADDRESS
        ):
            return False
        self._transports.append(transport)
        return True

    def handler(self) -> asyncio.Protocol:
        """Return aiohttp's protocol, closed where it sends no request in time."""
        assert self._runner.server is not None
        made = self._runner.server()
        self._silent.add(made)
        asyncio.get_running_loop().call_later(_SILENT_S, self._close_silent, made)
        return made

    async def _heard(self, request: web.Request, _: web.StreamResponse) -> None:
        self._silent.discard(request.protocol)

    def _close_silent(self, made: web.RequestHandler) -> None:
        if made in self._silent:
            self._silent.discard(made)
            if made.transport is not None:
                made.transport.abort()


class _Arriving(asyncio.Protocol):
    """Passes a connection on or turns it away: its address is known only once it is made."""

    def __init__(self, limit: ConnectionLimit) -> None:
        self._limit = limit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        if self._limit.admits(transport):
            handler = self._limit.handler()
            transport.set_protocol(handler)
            handler.connection_made(transport)
        else:
            transport.write(_FULL)
            transport.close()


def _address(transport: asyncio.BaseTransport) -> object:
    """The other side's IPv4 address, or its IPv6 network of 64 bits, which one host has whole."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        return None
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except ValueError:
        return peer[0]
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return address.ipv4_mapped or int(address) >> 64
