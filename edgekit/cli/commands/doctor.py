"""`edgekit doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import DoctorDocument
    from edgekit.core.progress import Progress

__all__ = ["command"]


@click.command(
    "doctor",
    epilog=examples(
        "edgekit doctor",
        "edgekit doctor --deep",
    ),
)
@click.option("--deep", is_flag=True, help="Open every engine in a child process and run it.")
@reporting
def command(*, deep: bool, progress: Progress) -> DoctorDocument:
    """Say what works on this machine, what does not, why, and the fix."""
    from edgekit import api

    return api.doctor(deep=deep, progress=progress)
