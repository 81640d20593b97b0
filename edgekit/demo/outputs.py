"""The outputs that a request asks for, made and announced."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.core.progress import Progress
from edgekit.demo.controls import Controls
from edgekit.demo.counts import Counts
from edgekit.demo.lines import DocumentLines
from edgekit.demo.output import Output
from edgekit.demo.recording import Recording
from edgekit.demo.request import Display, Request
from edgekit.demo.window import Window, no_window

__all__ = ["Front", "Outputs"]

# What runs in the main thread until the function that it is given says that it is over.
Front = Callable[[Callable[[], bool]], None]


class Outputs:
    """A recording and lines of JSON, checked before anything is compiled; then the display.

    Attributes:
        front: What must run in the main thread: a window's event loop; None without one.

    Args:
        request: What the user asked for.
        counts: What the outputs report to.
        progress: Told where the page is, and why there is no window.

    Raises:
        BadInput: A file of another kind, or one that exists; a port that is in use.
        Unwritable: A folder that cannot be written.
        MissingLibrary: What an output needs is not installed.
    """

    def __init__(self, request: Request, counts: Counts, progress: Progress) -> None:
        self._request = request
        self._counts = counts
        self._progress = progress
        self._display = self._chosen()
        if self._display == "web":
            # The page needs the model's classes; whether it can be served is known now.
            from edgekit.demo.web.page import listen

            listen(request.host, request.port).close()
        self.front: Front | None = None
        self._outputs: list[Output] = []
        self._recording: Recording | None = None
        if request.save is not None:
            self._recording = Recording(
                request.save,
                counts,
                force=request.force,
                every=request.every_frame,
                inputs=request.inputs,
            )
            self._outputs.append(self._recording)
        if request.detections is not None:
            self._outputs.append(
                DocumentLines(
                    request.detections,
                    counts,
                    force=request.force,
                    every=request.every_frame,
                    inputs=request.inputs,
                )
            )

    def open(self, controls: Controls) -> tuple[Output, ...]:
        """Open the display and return all outputs.

        Args:
            controls: Changed by the display.

        Raises:
            BadInput: The page's port is in use.
        """
        if self._display == "window":
            window = Window(controls, self._counts)
            self._outputs.append(window)
            self.front = window.run
        elif self._display == "web":
            self._outputs.append(self._page(controls))
        return tuple(self._outputs)

    def close(self) -> None:
        """Close them all, and say where the recording is."""
        for output in self._outputs:
            output.close()
        if self._recording is not None and self._recording.path is not None:
            self._counts.saved = str(self._recording.path)

    def _chosen(self) -> Display:
        wanted = self._request.display
        if wanted in ("web", "none"):
            return wanted
        reason = no_window()
        if reason is None:
            return "window"
        self._progress.note(f"{reason} The page takes its place.")
        return "web"

    def _page(self, controls: Controls) -> Output:
        from edgekit.demo.web.page import WebPage

        page = WebPage(
            controls,
            self._counts,
            host=self._request.host,
            port=self._request.port,
            announce=lambda url: self._progress.note(f"The next link to the page: {url}"),
        )
        page.start()
        self._progress.note(f"The page: {page.url}")
        if page.monitor_token is not None:
            self._progress.note(
                "For /metrics and /health from elsewhere: "
                f"Authorization: Bearer {page.monitor_token}"
            )
        return page
