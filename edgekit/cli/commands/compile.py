"""`edgekit compile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting
from edgekit.cli.types import named_profiles, whole_numbers

if TYPE_CHECKING:
    from edgekit.core.documents import CompileDocument

__all__ = ["command"]


@click.command(
    "compile",
    epilog=examples(
        "edgekit compile model.onnx --target openvino:cpu --compute bf16",
        "edgekit compile my.bundle@int8 --target onnxruntime:cpu",
        "edgekit compile model.onnx --target tensorrt-rtx --sm 86,89,120 -o engines",
    ),
)
@options.model
@options.target()
@options.compute
@options.threads
@options.allow_fallback
@click.option(
    "--sm",
    metavar="N,N",
    multiple=True,
    callback=whole_numbers,
    help="GPU architectures to build for without that GPU, 89 for SM 8.9; tensorrt-rtx only.",
)
@click.option(
    "--shapes",
    metavar="NAME=MIN:TYPICAL:MAX",
    multiple=True,
    callback=named_profiles,
    help="Shapes to build for, 1x3x640x640:1x3x640x640:8x3x640x640; again for another profile.",
)
@click.option("--workspace", metavar="SIZE", help="Memory for scratch in the build, such as 1GB.")
@click.option(
    "--portable",
    type=click.Choice(["version", "hardware"]),
    multiple=True,
    help="Let the engine run on newer versions of its library, or on newer GPUs; costs speed.",
)
@click.option(
    "--mend-qdq",
    is_flag=True,
    help="Write another tool's Q/DQ as TensorRT takes it: symmetric, biases in float.",
)
@options.trust_engine
@options.output(metavar="DIR", help="Folder for the engines and their card.")
@options.provider_options
@click.option("--force", is_flag=True, help="Compile again although it is cached.")
@reporting
def command(*, model: str, output: Path | None, **rest: Any) -> CompileDocument:
    """Compile MODEL for one target; engines are cached by content.

    MODEL is an ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT; or a
    plan file of TensorRT (.engine, .plan) that another program built, which -o
    makes a folder of that other commands take.
    """
    from edgekit import api

    return api.compile(model, output, **rest)
