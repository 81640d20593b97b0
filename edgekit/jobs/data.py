"""`edgekit data`: write a built-in data set."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.documents import DataDocument
from edgekit.core.errors import BadInput
from edgekit.core.files import atomic_folder
from edgekit.core.names import closest
from edgekit.export.builtin.catalogue import DATA

__all__ = ["run"]


def run(name: str, output: Path, *, force: bool) -> DataDocument:
    """See edgekit.api.data."""
    write = DATA.get(name)
    if write is None:
        raise BadInput(f"There is no built-in data set {name!r}.", closest(name, DATA))
    with atomic_folder(output, force=force) as folder:
        roles = write(folder)
    return DataDocument(name=name, folder=str(output), images=sum(roles.values()), roles=roles)
