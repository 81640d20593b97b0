"""What the page's server answers, request by request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from edgekit.core.documents import DemoDocument, Document, ErrorDocument
from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json
from edgekit.demo.controls import Controls
from edgekit.demo.meter import Meter
from edgekit.demo.web.access import Access
from edgekit.demo.web.files import FILES, POLICY, page_file
from edgekit.demo.web.metrics import metrics_text
from edgekit.demo.web.moment import health_of, moment_of
from edgekit.demo.web.picture import EncodedViews, Jpeg
from edgekit.demo.web.viewers import Viewers

if TYPE_CHECKING:
    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["Server"]

_LOG = logging.getLogger(__name__)
_LARGEST_BODY = 1 << 18
# A request for a frame is answered with "none yet" then, and asked again.
_POLL_S = 4.0
# A page that takes longer to read one picture is cut off.
_SLOWEST_S = 10.0
# The document is made anew at most so often, however many pages ask.
_FRESH_S = 0.1
_NO_PICTURE = "There is no picture yet."
_NOT_HERE = "There is nothing here; the page is at /."
# An unlinked page that another site led to: the cookie, which is kept from links of other sites, is
# sent once the page itself asks again.
_AGAIN = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>edgekit</title><p>{}'


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /controls; what is left out stays, classes null means all."""

    confidence: float | msgspec.UnsetType = msgspec.UNSET
    classes: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET


class Server:
    """The requests, answered from one loop.

    Args:
        pictures: Where frames come from.
        controls: Changed by the page.
        meter: Asked for the demo so far.
        access: Who may ask.
        cookie: Name of the session cookie; cookies are shared by all ports of a host.
        viewers: Pages that may look on at the same time.
    """

    def __init__(
        self,
        pictures: EncodedViews,
        controls: Controls,
        meter: Meter,
        access: Access,
        *,
        cookie: str,
        viewers: int,
    ) -> None:
        self._pictures = pictures
        self._controls = controls
        self._meter = meter
        self._access = access
        self._cookie = cookie
        self._viewers = Viewers(viewers)
        self._document: tuple[float, DemoDocument] | None = None
        self._files = {path: (page_file(name), kind) for path, (name, kind) in FILES.items()}

    def application(self) -> web.Application:
        """Return what aiohttp serves."""
        from aiohttp import web

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guarded(request, handler)

        @web.middleware
        async def one_sentence(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._one_sentence(request, handler)

        made = web.Application(client_max_size=_LARGEST_BODY, middlewares=[guarded, one_sentence])
        made.on_response_prepare.append(_with_headers)
        routes = made.router
        for path in self._files:
            routes.add_get(path, self._file)
        routes.add_get("/frame", self._frame, allow_head=False)
        routes.add_post("/drawn", self._drawn)
        routes.add_get("/snapshot.jpg", self._snapshot, allow_head=False)
        routes.add_get("/state", self._state)
        routes.add_post("/controls", self._change)
        routes.add_get("/health", self._health)
        routes.add_get("/metrics", self._metrics)
        return made

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer nobody who may not ask, whatever was asked for."""
        from aiohttp import web

        session = request.cookies.get(self._cookie)
        refusal = self._access.refusal(request.method, request.headers, session)
        link = request.query.get("token") if request.path == "/" else None
        if link is None or not self._access.needs_token:
            if refusal is None:
                return await handler(request)
            if refusal.status == 401 and request.headers.get("Sec-Fetch-Site") == "cross-site":
                text = _AGAIN.format(refusal.sentence)
                return web.Response(status=401, text=text, content_type="text/html")
            return web.Response(status=refusal.status, text=refusal.sentence + "\n")
        return self._opened(request, link, known=refusal is None)

    def _opened(self, request: web.Request, link: str, *, known: bool) -> web.Response:
        """Exchange a link for a session, and lead on to the address without the token."""
        from aiohttp import web

        from edgekit.demo.web.access import NO_LINK, WRONG_LINK

        # A browser may fetch an address before its user goes there, a mail scanner asks by HEAD:
        # neither spends the link.
        purpose = request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
        if request.method != "GET" or "prefetch" in purpose:
            return web.Response(status=NO_LINK.status, text=NO_LINK.sentence + "\n")
        led_on = web.Response(status=303, headers={"Location": "/"})
        if known:
            return led_on
        session = self._access.exchange(link)
        if session is None:
            return web.Response(status=WRONG_LINK.status, text=WRONG_LINK.sentence + "\n")
        led_on.set_cookie(self._cookie, session, path="/", httponly=True, samesite="Strict")
        return led_on

    async def _one_sentence(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn whatever goes wrong into one sentence."""
        from aiohttp import web

        try:
            return await handler(request)
        except BadInput as error:
            said = ErrorDocument(
                kind=error.kind, message=error.message, hint=error.hint, exit_status=2
            )
            return _json(said, status=400)
        except web.HTTPException as error:
            text = _NOT_HERE if error.status == 404 else f"{error.reason}."
            kept = {key: error.headers[key] for key in ("Allow",) if key in error.headers}
            return web.Response(status=error.status, text=text + "\n", headers=kept)
        except Exception:
            _LOG.exception("a request for %s failed", request.path)
            return web.Response(status=500, text="edgekit failed to answer this.\n")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        content, kind = self._files[request.path]
        charset = None if kind.startswith("image/") else "utf-8"
        return web.Response(body=content, content_type=kind, charset=charset)

    async def _frame(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        after, width = _number(request, "after", -1), _number(request, "width", 1280)
        if width < 1:
            raise BadInput(f"The width of a picture is at least 1 pixel, not {width}.")
        if not self._viewers.admit(request.query.get("client", "")):
            text = f"{self._viewers.most} pages look on already, which is the limit.\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "5"})
        jpeg = await self._pictures.newer(after, width, _POLL_S)
        if jpeg is None:
            return web.Response(status=204)
        self._pictures.sent(jpeg)
        return await _picture(request, jpeg)

    async def _drawn(self, request: web.Request) -> web.StreamResponse:
        age = self._pictures.drawn(_number(request, "number", -1))
        from aiohttp import web

        said = {"age_ms": None if age is None else round(age, 1)}
        return web.Response(body=msgspec.json.encode(said), content_type="application/json")

    async def _snapshot(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        jpeg = await self._pictures.newer(-1, 1 << 20, 1.0)
        if jpeg is None:
            return web.Response(status=503, text=_NO_PICTURE + "\n")
        return await _picture(request, jpeg)

    async def _state(self, request: web.Request) -> web.StreamResponse:
        return _json(moment_of(self._so_far(), self._pictures.newest, self._viewers.count))

    async def _change(self, request: web.Request) -> web.StreamResponse:
        change = parse_json(await request.read(), "The change of the controls", _Change)
        confidence = None if change.confidence is msgspec.UNSET else change.confidence
        classes = None if change.classes is msgspec.UNSET else change.classes
        # Both are looked at before one is changed.
        Controls(self._controls.labels, confidence=confidence, classes=classes)
        if confidence is not None:
            self._controls.set_confidence(confidence)
        if change.classes is not msgspec.UNSET:
            self._controls.set_classes(classes)
        self._document = None
        return await self._state(request)

    async def _health(self, request: web.Request) -> web.StreamResponse:
        health = health_of(self._so_far(), self._pictures.newest)
        return _json(health, status=200 if health.healthy else 503)

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        content, kind = metrics_text(self._so_far(), self._viewers.count)
        return web.Response(body=content, headers={"Content-Type": kind})

    def _so_far(self) -> DemoDocument:
        now = time.monotonic()
        if self._document is None or now - self._document[0] > _FRESH_S:
            self._document = now, self._meter.document()
        return self._document[1]


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in POLICY.items():
        response.headers[name] = value


async def _picture(request: web.Request, jpeg: Jpeg) -> web.StreamResponse:
    """Send a picture, for as long as its reader reads."""
    from aiohttp import web

    response = web.StreamResponse(
        headers={
            "Content-Type": "image/jpeg",
            "Content-Length": str(len(jpeg.content)),
            "Frame-Number": str(jpeg.number),
            "Frame-Age-Ms": f"{jpeg.age_ms:.1f}",
            "Frame-Result-Age-Ms": f"{jpeg.result_ms:.1f}",
            "Frame-Size": f"{jpeg.width}x{jpeg.height}",
        }
    )

    async def send() -> None:
        await response.prepare(request)
        await response.write(jpeg.content)
        await response.write_eof()

    try:
        await asyncio.wait_for(send(), _SLOWEST_S)
    except (asyncio.TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return response


def _json(document: Document, *, status: int = 200) -> web.Response:
    from aiohttp import web

    body = msgspec.json.encode(document)
    return web.Response(status=status, body=body, content_type="application/json")


def _number(request: web.Request, name: str, otherwise: int) -> int:
    given = request.query.get(name)
    if given is None:
        return otherwise
    try:
        return int(given)
    except ValueError:
        raise BadInput(f"{name} is a whole number, not {given[:40]!r}.") from None
