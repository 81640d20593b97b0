"""What the live demo did: how fast, how old, and where a frame's time went."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import NOTHING, facts, grid, line, milliseconds, path, sentence, verdict
from edgekit.core.documents import DemoDocument, Distribution

__all__ = ["show_demo"]

# Cells of the longest bar.
_BAR = 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"
# States of the source that go without saying.
_QUIET = frozenset({"connecting", "live", "ended"})


def show_demo(document: DemoDocument, console: Console) -> None:
    """Print the waterfall of stages, then rates, ages and events."""
    if not document.frames:
        sentence(console, "No frame was answered.", "yellow")
    else:
        console.print(grid(["stage", "p50 ms", "p90 ms", ""], _rows(document), left=(0, 3)))
        line(console)
    source = document.source
    asked = f" at {source.rate:g}/s" if source.rate else ""
    kind = ", ".join(filter(None, (source.pixel_format, source.backend)))
    height, width = document.shape
    own = "the stream's own shape" if document.own_shape else "the model's"
    pairs: list[tuple[str, str | Text]] = [
        ("model", path(document.model)),
        ("target", f"{document.target}, {document.variant} in {document.compute}"),
        ("input", f"{height}x{width} (height x width), {own}"),
        ("source", f"{source.name}: {source.width}x{source.height}{asked} ({kind})"),
        ("frames", _frames(document)),
        ("per second", _rates(document)),
        ("frame age", f"{_age(document.frame_age_ms)} at the detections"),
    ]
    if document.shown_age_ms.n:
        pairs.append(("shown age", f"{_age(document.shown_age_ms)} at the display"))
    if document.verdict is not None:
        pairs.insert(2, ("certificate", verdict(document.verdict)))
    if document.saved:
        pairs.append(("recording", path(document.saved)))
    facts(console, pairs)
    for event in document.events:
        if event.state not in _QUIET:
            reason = f": {event.reason}" if event.reason else ""
            sentence(console, f"{event.at_s:.1f} s {event.state}{reason}", "yellow", indent=2)
    for note in document.notes:
        sentence(console, note, "yellow", indent=2)


def _rows(document: DemoDocument) -> list[list[str | Text]]:
    longest = max((one.mean_ms or 0.0 for one in document.stages.values()), default=0.0)
    return [
        [name, milliseconds(one.p50_ms), milliseconds(one.p90_ms), _bar(one.mean_ms, longest)]
        for name, one in document.stages.items()
    ]


def _bar(value: float | None, longest: float) -> Text:
    eighths = round(8 * _BAR * (value or 0.0) / longest) if longest else 0
    whole, part = divmod(eighths, 8)
    return Text("█" * whole + _EIGHTHS[part].strip(), "cyan")


def _frames(document: DemoDocument) -> str:
    found = f", {document.detections} detections" if document.task == "detection" else ""
    return (
        f"{document.frames} answered of {document.captured} captured, {document.dropped} dropped "
        f"for newer ones{found}"
    )


def _rates(document: DemoDocument) -> str:
    rates = document.rates
    shown = f", shown {rates.shown:.1f}" if document.shown_age_ms.n else ""
    return f"camera {rates.camera:.1f}, inference {rates.inference:.1f}{shown}"


def _age(times: Distribution) -> str:
    if times.p50_ms is None:
        return NOTHING if times.mean_ms is None else f"{milliseconds(times.mean_ms)} ms on average"
    p90 = f", p90 {milliseconds(times.p90_ms)} ms" if times.p90_ms is not None else ""
    return f"p50 {milliseconds(times.p50_ms)} ms{p90}"
