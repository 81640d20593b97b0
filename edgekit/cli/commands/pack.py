"""`edgekit pack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completing, options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import PackDocument

__all__ = ["command"]


@click.command(
    "pack",
    epilog=examples(
        "edgekit pack my.bundle --target openvino:cpu -o device",
        "edgekit pack my.bundle@int8 --target onnxruntime:cpu --layout triton -o m",
    ),
)
@click.argument("bundle", shell_complete=completing.models)
@options.output(required=True, metavar="DIR", help="The folder to write.")
@options.target(required=True, help="Of the bundle's targets.")
@click.option(
    "--compute",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    help="Float precision the engine may compute in; default: the recommended one.",
)
@click.option(
    "--layout",
    type=click.Choice(["folder", "triton", "openvino-model-server"]),
    default="folder",
    show_default=True,
    help="A folder with its own script, or a server's model repository.",
)
@options.force
@options.require_verified
@reporting
def command(*, bundle: str, output: Path, **rest: Any) -> PackDocument:
    """Put what the device needs into one folder that runs without edgekit.

    BUNDLE alone packs what it recommends for the target; BUNDLE@VARIANT packs that variant, even
    one that failed its certificate: the folder is written then, and the exit status is 1.
    """
    from edgekit import api

    return api.pack(bundle, output, **rest)
