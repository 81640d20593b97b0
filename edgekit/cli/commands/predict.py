"""`edgekit predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting
from edgekit.cli.types import Number

if TYPE_CHECKING:
    from edgekit.core.documents import PredictDocument

__all__ = ["command"]


@click.command(
    "predict",
    epilog=examples(
        "edgekit predict my.bundle street.jpg",
        "edgekit predict my.bundle images -o answers --confidence 0.4",
    ),
)
@options.model
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.output(metavar="DIR", help="Folder for annotated pictures and predictions.json.")
@options.target(help="Run here or not at all; default: the bundle's best.")
@options.best_compute
@click.option(
    "--confidence",
    type=Number(min=0, max=1),
    help="Leave out detections below it, 0 to 1; default: the card's.",
)
@options.threads
@options.batch
@options.trust_code
@options.trust_engine
@options.force
@reporting
def command(
    *, model: str, images: tuple[Path, ...], output: Path | None, **rest: Any
) -> PredictDocument:
    """Answer IMAGES with MODEL: annotated pictures and JSON.

    MODEL is a bundle (its best entry runs), BUNDLE@VARIANT, an ONNX file, or a folder of engines
    (compile -o). IMAGES are files, or folders that are searched for them; what cannot be read is
    skipped and named.
    """
    from edgekit import api

    return api.predict(model, images, output, **rest)
