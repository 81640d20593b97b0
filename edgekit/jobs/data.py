"""`edgekit data`: write a built-in data set."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.destination import FOLDER, Destination
from edgekit.core.documents import DataDocument
from edgekit.export.builtin.catalogue import builtin, write_data

__all__ = ["run"]


def run(
    name: str, output: Path, *, count: int | None, seed: int | None, force: bool
) -> DataDocument:
    """See edgekit.api.data."""
    builtin(name)
    place = Destination(output, FOLDER, force=force)
    with place.writing() as folder:
        roles = write_data(name, folder, count=count, seed=seed)
    return DataDocument(name=name, folder=str(output), images=sum(roles.values()), roles=roles)
