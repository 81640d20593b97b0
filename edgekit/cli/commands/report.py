"""`edgekit report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import ReportDocument

__all__ = ["command"]


@click.command(
    "report",
    epilog=examples(
        "edgekit report my.bundle -o report.html",
        "edgekit report my.bundle --data images -o report.html",
        "edgekit report desktop.bundle jetson.bundle -o both.html",
    ),
)
@click.argument(
    "sources", metavar="BUNDLE…", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@options.output(required=True, metavar="FILE.html", help="The page, one file.")
@options.data(help="Folder of the images that scored: the page then shows them.")
@options.force
@reporting
def command(*, sources: tuple[Path, ...], output: Path, **rest: Any) -> ReportDocument:
    """Write one self-contained page about bundles or results.

    BUNDLE is a bundle, the folder or JSON document of a bench, or the JSON document of a deploy or
    an eval. Several are shown side by side on one page. It opens offline.
    """
    from edgekit import api

    return api.report(sources, output, **rest)
