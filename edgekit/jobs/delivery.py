"""Finished graphs put where the user wants them: one file, or a folder of one file a role."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgekit.core.errors import BadInput
from edgekit.core.files import atomic_folder, atomic_path

__all__ = ["deliver_graphs", "refuse_existing"]


def refuse_existing(output: Path, *, force: bool) -> None:
    """Refuse early what would be refused after the work was done.

    Raises:
        BadInput: `output` exists and `force` is not given.
    """
    if output.exists() and not force:
        raise BadInput(f"{output} exists already.", hint="Use --force or another path.")


def deliver_graphs(graphs: Mapping[str, Path], output: Path, *, force: bool) -> dict[str, Path]:
    """Copy graphs to `output`, whole or not at all.

    Args:
        graphs: Role to file.
        output: The file for a single graph, the folder for several.
        force: Replace what is there.

    Returns:
        Role to the path written.
    """
    if len(graphs) == 1:
        ((role, path),) = graphs.items()
        if output.is_dir():
            raise BadInput(f"{output} is a folder.", hint="Name the .onnx file to write.")
        with atomic_path(output) as temporary:
            shutil.copyfile(path, temporary)
        return {role: output}
    with atomic_folder(output, force=force) as folder:
        for path in graphs.values():
            shutil.copyfile(path, folder / path.name)
    return {role: output / path.name for role, path in graphs.items()}
