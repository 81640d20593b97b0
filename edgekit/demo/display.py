"""Whether OpenCV can open a window here, found out without trying.

Qt, which OpenCV's wheels for Linux draw with, ends the process where it reaches no display.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from threading import Thread

__all__ = ["no_window"]

# A display at the other end of a dead connection answers never.
_ANSWER_S = 2.0


def no_window() -> str | None:
    """Return why no window can be shown, as a sentence; None where one can.

    Where Qt may look for displays of other kinds first, it is told to take X11.
    """
    reason = _reason()
    return None if reason is None else f"There is no window: {reason}."


def _reason() -> str | None:
    import cv2

    toolkit = cv2.currentUIFramework()
    if not toolkit:
        return "this build of OpenCV has no windows (opencv-python-headless)"
    if sys.platform in ("win32", "darwin"):
        return None
    display, wayland = os.environ.get("DISPLAY"), os.environ.get("WAYLAND_DISPLAY")
    by_qt = toolkit.startswith("QT")
    if not display:
        if not wayland:
            return "this session has no display (DISPLAY is not set)"
        if not by_qt or os.environ.get("QT_QPA_PLATFORM", "").startswith("wayland"):
            return None
        return "OpenCV's windows need X11 and DISPLAY is not set"
    plugins = os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH")
    if by_qt and plugins:
        os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
        if reason := _events_lost() or _unloadable(Path(plugins)):
            return reason
    return _unreachable(display)


def _events_lost() -> str | None:
    """Let Qt use the system's libX11-xcb, and say where there is none.

    OpenCV's wheels bring a libX11-xcb of their own and take libX11 from the system. Through the
    first, Qt tells the second to leave the display's events alone, by a field of libX11's inside:
    the wheel's 5.0.0 writes it at 0x40, where libX11 1.8.4 has it at 0x48. So libX11 goes on
    taking events that Qt waits for, and a window whose first "expose" was taken stays black for
    good: up to every second one on a busy machine. What is loaded globally comes first when Qt's
    calls are resolved.
    """
    try:
        ctypes.CDLL("libX11-xcb.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return "libX11-xcb.so.1 is not installed (libx11-xcb1)"
    return None


def _unloadable(plugins: Path) -> str | None:
    """Load Qt's plugin for the platform as Qt would, and say what it misses."""
    platform = os.environ["QT_QPA_PLATFORM"].partition(":")[0]
    plugin = plugins / "platforms" / f"libq{platform}.so"
    if not plugin.exists():
        return f"OpenCV's Qt has no platform {platform!r} (QT_QPA_PLATFORM)"
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return f"a library of Qt's does not load ({error})"
    return None


def _unreachable(display: str) -> str | None:
    """Connect to an X display by the library that Qt uses, with its passwords, and leave again."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return "libxcb.so.1 is not installed"
    xcb.xcb_connect.restype = ctypes.c_void_p
    failed: list[bool] = []

    def connect() -> None:
        connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
        failed.append(bool(xcb.xcb_connection_has_error(connection)))
        xcb.xcb_disconnect(connection)

    attempt = Thread(target=connect, name="display", daemon=True)
    attempt.start()
    attempt.join(_ANSWER_S)
    if not failed:
        return f"the display {display} does not answer"
    return f"the display {display} takes no connection" if failed[0] else None
