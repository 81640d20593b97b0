"""The page as an output: a server in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from edgekit.core.errors import BadInput
from edgekit.core.requires import requires
from edgekit.demo.controls import Controls
from edgekit.demo.meter import Meter
from edgekit.demo.output import AnsweredFrame
from edgekit.demo.web.access import Access, is_loopback
from edgekit.demo.web.connections import ConnectionLimit
from edgekit.demo.web.metrics import load_metrics
from edgekit.demo.web.picture import EncodedViews, bare_picture
from edgekit.demo.web.server import Server
from edgekit.tasks.task import Image

__all__ = ["WebPage", "listen"]

# Three of them and the rest of close() make less than a second.
_SHUTDOWN_S = 0.2


class WebPage:
    """Shows the demo in browsers. An Output.

    Args:
        controls: Changed by the page.
        meter: Asked for figures, told of frames shown.
        host: Address or name to bind to; any but the loopback ones asks for a token.
        port: 0 takes any free one.
        viewers: Pages that may look on at the same time.
        monitor_token: Lets programs on other machines read /metrics, /health, /state and pictures;
            None makes one.
        announce: Called with the address of a new link, from the page's thread, once the last one
            was used; only where tokens are asked for.
        picture_of: Draws a view that came without its picture: the first one after nobody looked.
    """

    def __init__(
        self,
        controls: Controls,
        meter: Meter,
        *,
        host: str = "127.0.0.1",
        port: int = 8765,
        viewers: int = 16,
        monitor_token: str | None = None,
        announce: Callable[[str], None] = lambda _: None,
        picture_of: Callable[[AnsweredFrame], Image] = bare_picture,
    ) -> None:
        self._controls = controls
        self._meter = meter
        self._host = host
        self._port = port
        self._viewers = viewers
        self._picture_of = picture_of
        self._access = Access(
            host,
            monitor_token=monitor_token,
            announce=lambda token: announce(self._address(token)),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pictures: EncodedViews | None = None
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to serve.

        Raises:
            BadInput: The port is in use or not allowed, or the address is none of this machine.
            MissingLibrary: aiohttp or prometheus-client is not installed.
        """
        listening = listen(self._host, self._port)
        self._port = listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._pictures = EncodedViews(self._loop, self._meter, self._picture_of)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._serve,
            args=(self._loop, self._pictures, listening, ready),
            name="edgekit-page",
            daemon=True,
        )
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def url(self) -> str:
        """Where the page is; with the token that opens it once, where it needs one."""
        return self._address(self._access.link_token)

    @property
    def monitor_token(self) -> str | None:
        """What programs send as `Authorization: Bearer …`; None where nothing is asked for."""
        return self._access.monitor_token if self._access.needs_token else None

    @property
    def wants_picture(self) -> bool:
        """Whether a page is looking."""
        return self._pictures is not None and self._pictures.wanted

    def show(self, view: AnsweredFrame) -> None:
        """Take the newest view; pages that are not ready for it never see it."""
        if self._pictures is not None and self._thread is not None:
            self._pictures.offer(view)

    def close(self) -> None:
        """Stop serving, whatever the pages are doing; twice is allowed."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        with suppress(RuntimeError):  # the loop ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(0.9)

    def _serve(
        self,
        loop: asyncio.AbstractEventLoop,
        pictures: EncodedViews,
        listening: socket.socket,
        ready: threading.Event,
    ) -> None:
        server = Server(
            pictures,
            self._controls,
            self._meter,
            self._access,
            cookie=f"edgekit_demo_{self._port}",
            viewers=self._viewers,
        )
        try:
            loop.run_until_complete(self._until_closed(server, pictures, listening, ready))
        except BaseException as error:
            self._failure = error
        finally:
            ready.set()
            loop.close()

    async def _until_closed(
        self,
        server: Server,
        pictures: EncodedViews,
        listening: socket.socket,
        ready: threading.Event,
    ) -> None:
        from aiohttp import web

        # What strangers send to an open port is no news for the terminal of the demo.
        log = logging.getLogger("edgekit.demo.web")
        log.addHandler(logging.NullHandler())
        application = server.application()
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=log,
            handler_cancellation=True,
            keepalive_timeout=15.0,
            shutdown_timeout=_SHUTDOWN_S,
        )
        limit = ConnectionLimit(application, runner)
        await runner.setup()
        serving = await asyncio.get_running_loop().create_server(limit, sock=listening)
        ready.set()
        await self._stop.wait()
        with suppress(NotImplementedError):  # Windows
            # A connection accepted just before close() would never be closed: CPython gh-109564.
            asyncio.get_running_loop().remove_reader(listening)
            await asyncio.sleep(0)
        serving.close()
        pictures.close()
        await runner.cleanup()
        # A task that is left when the loop is closed is reported on the terminal of the demo.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_SHUTDOWN_S)
        for transport in limit.open:
            # Closing alone waits for a reader who may never read.
            transport.abort()
        await asyncio.sleep(0)

    def _address(self, token: str) -> str:
        host = _reachable(self._host)
        name = f"[{host}]" if ":" in host else host
        query = f"?token={token}" if self._access.needs_token else ""
        return f"http://{name}:{self._port}/{query}"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket for the page, once all that serves it is here.

    Raises:
        BadInput: The port is in use or not allowed, or the address is none of this machine.
        MissingLibrary: aiohttp or prometheus-client is not installed.
    """
    with requires("aiohttp", extra="demo", why="to serve the page"):
        import aiohttp.web  # noqa: F401
    load_metrics()
    if not 0 <= port <= 65535:
        raise BadInput(f"A port lies between 0 and 65535, not {port}.", hint="Give --port.")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BadInput(
                f"Port {port} of {host} is in use.",
                hint="Give another one with --port; --port 0 takes any that is free.",
            ) from error
        if error.errno == errno.EACCES:
            raise BadInput(
                f"Port {port} of {host} is not allowed for this user.",
                hint="Give one from 1024 on with --port.",
            ) from error
        raise BadInput(
            f"The page cannot be bound to {host}: {error.strerror or error}.",
            hint="Give an address of this machine with --host.",
        ) from error


def _reachable(host: str) -> str:
    """The name to print: of "all addresses" the one that other machines most likely reach."""
    if host not in ("", "0.0.0.0", "::") or is_loopback(host):  # noqa: S104
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing; asks only which address would be used. 192.0.2.0/24 is for examples.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
