"""`edgekit verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import VerifyDocument

__all__ = ["command"]


@click.command(
    "verify",
    epilog=examples(
        "edgekit verify my.bundle",
        "edgekit verify my.bundle --target openvino:cpu --require-signature key.pub",
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path))
@options.targets(help="Only this target; default: all of the bundle usable here.")
@options.threads
@options.trust_engine
@options.min_parity("as certified")
@click.option(
    "--require-signature",
    metavar="KEY.pub",
    type=click.Path(path_type=Path),
    help="Fail where the bundle is not signed by this public key (Ed25519).",
)
@options.require_verified
@reporting
def command(*, bundle: Path, **rest: Any) -> VerifyDocument:
    """Check BUNDLE on arrival: checksums, signature, golden outputs, placement, repeatability.

    Needs neither torch nor a data set.
    """
    from edgekit import api

    return api.verify(bundle, **rest)
