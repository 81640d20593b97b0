"""Connections: so many at once, and none that never says what it wants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Door"]

# A page holds up to six.
_CONNECTIONS = 256
# Who has asked for nothing by then is let go; a page whose browser connected ahead connects anew.
_SILENT_S = 15.0
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Door:
    """Makes the protocol of every new connection.

    Args:
        application: Told of by signals, so before it is set up.
        runner: Of that application.
    """

    def __init__(self, application: web.Application, runner: web.AppRunner) -> None:
        self._runner = runner
        self._silent: set[asyncio.BaseProtocol] = set()
        application.on_response_prepare.append(self._heard)

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of one connection; in the loop's thread."""
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= _CONNECTIONS:
            return _Full()
        made = server()
        self._silent.add(made)
        asyncio.get_running_loop().call_later(_SILENT_S, self._drop, made)
        return made

    async def _heard(self, request: web.Request, _: web.StreamResponse) -> None:
        self._silent.discard(request.protocol)

    def _drop(self, made: web.RequestHandler) -> None:
        if made in self._silent:
            self._silent.discard(made)
            if made.transport is not None:
                made.transport.abort()


class _Full(asyncio.Protocol):
    """Turns a connection away."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(_FULL)
        transport.close()
