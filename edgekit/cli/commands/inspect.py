"""`edgekit inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import InspectDocument

__all__ = ["command"]


@click.command("inspect")
@click.argument("model")
@reporting
def command(*, model: str, **_options: Any) -> InspectDocument:
    """Show card, graph facts and sizes of MODEL: an ONNX file, a folder of graphs or a bundle."""
    from edgekit import api

    return api.inspect(model)
