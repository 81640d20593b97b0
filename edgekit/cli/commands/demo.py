"""`edgekit demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completing, options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting
from edgekit.cli.types import Number, StreamSize

if TYPE_CHECKING:
    from edgekit.core.documents import DemoDocument

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


def _names(
    _ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Split a,b,c; None where nothing was given."""
    names = tuple(name.strip() for value in values for name in value.split(",") if name.strip())
    return names or None


@click.command(
    "demo",
    epilog=examples(
        "edgekit demo",
        "edgekit demo yolo11n.onnx --source 0",
        "edgekit demo my.bundle --source rtsp://camera/stream --display web",
        "edgekit demo yolo11n.onnx --source street.mp4 --every-frame \\\n"
        "    --display none --save boxes.mp4 --stats stats.json",
    ),
)
@click.argument("model", default="edgekit:shapes", shell_complete=completing.models)
@click.option(
    "--source",
    metavar="SOURCE",
    help="Camera (0, /dev/video0), file, folder of images, rtsp:// or http:// stream, csi, "
    "gst:PIPELINE, synthetic. Default: camera 0, or synthetic where there is none.",
)
@click.option("--size", type=StreamSize(), help="Ask the source for this size.")
@click.option(
    "--rate", type=Number(min=0, min_open=True), help="Ask the source for so many frames a second."
)
@click.option("--pixel-format", metavar="FOURCC", help="Ask a camera for MJPG, YUYV, ….")
@click.option(
    "--display",
    type=click.Choice(["window", "web", "none"]),
    help="Where to show it. Default: a window; the page where there is no display.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address of the page; any other than this machine's own asks for a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port of the page; 0 takes a free one.",
)
@click.option(
    "--every-frame", is_flag=True, help="Answer every frame, as fast as it goes: for files."
)
@click.option("--save", metavar="FILE.mp4", type=_FILE, help="Record what is shown.")
@click.option(
    "--detections",
    metavar="FILE.jsonl",
    help="Write the answers as JSON lines; - is stdout.",
)
@click.option("--stats", metavar="FILE.json", type=_FILE, help="Write the summary as JSON.")
@click.option(
    "--confidence",
    type=Number(min=0, max=1),
    help="Leave out detections below it, 0 to 1; default: the card's.",
)
@click.option(
    "--classes",
    metavar="NAME,NAME",
    multiple=True,
    callback=_names,
    help="Show these classes only, by name or index; repeatable.",
)
@click.option("--track", is_flag=True, help="Give objects a number that follows them.")
@click.option(
    "--fit",
    type=click.Choice(["stream", "model"]),
    help="Network input: the stream's own shape, without padding, or the model's. Default: the "
    "stream's where the model allows it; a bundle's own.",
)
@options.target(help="Run here or not at all; default: the fastest that agrees.")
@options.fastest_compute
@options.threads
@options.card
@options.card_options
@options.arch
@click.option(
    "--time",
    metavar="SECONDS",
    type=Number(min=0, min_open=True),
    help="End by itself after so long.",
)
@options.trust_code
@options.trust_pickle
@options.trust_engine
@options.force
@reporting
def command(*, model: str, **rest: Any) -> DemoDocument:
    """Show what MODEL sees, live, and how old it is when you see it.

    MODEL is a bundle (its best entry runs), BUNDLE@VARIANT, an ONNX file, a folder of engines, or
    a trained model that is exported first: edgekit:NAME, a .pt2 file, ultralytics:FILE.pt.

    Ctrl-C, or q in the window, ends it; then it says where the time went.
    """
    from edgekit import api

    return api.demo(model, **rest)
