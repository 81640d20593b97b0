"""`edgekit compile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import CompileDocument

__all__ = ["command"]


@click.command(
    "compile",
    epilog=examples(
        "edgekit compile model.onnx --target openvino:cpu --compute bf16",
        "edgekit compile my.bundle@int8 --target onnxruntime:cpu",
    ),
)
@options.model
@options.target()
@options.compute
@options.threads
@options.allow_fallback
@options.provider_options
@click.option("--force", is_flag=True, help="Compile again although it is cached.")
@reporting
def command(*, model: str, **rest: Any) -> CompileDocument:
    """Compile MODEL for one target; engines are cached by content.

    MODEL is an ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT.
    """
    from edgekit import api

    return api.compile(model, **rest)
