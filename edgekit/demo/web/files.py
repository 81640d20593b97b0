"""The files of the page, by name: nothing else is ever read for a request."""

from __future__ import annotations

from importlib import resources

__all__ = ["FILES", "POLICY", "page_file"]

# Path of the request to the file beside this module and its type.
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/controls.js": ("controls.js", "text/javascript"),
    "/history.js": ("history.js", "text/javascript"),
    "/link.js": ("link.js", "text/javascript"),
    "/panels.js": ("panels.js", "text/javascript"),
    "/picture.js": ("picture.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

# What the page may load and do; no text that a label brings can make it more.
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "edgekit",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def page_file(name: str) -> bytes:
    """Return a file of FILES."""
    return resources.files("edgekit.demo.web").joinpath(name).read_bytes()
