"""The library ultralytics, imported without a torchvision that works, without a network or files.

Ultralytics (AGPL-3.0) is an optional extra and comes nowhere near a model that is already a graph.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator
from typing import Any

import cv2

from edgekit.core.requires import requires
from edgekit.core.temporary import scratch
from edgekit.export.quiet import quiet

__all__ = ["ultralytics_tasks"]

# Read at import: no question to the network, no `pip install` on its own, no banners.
_SETTINGS = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
# Older than anything that it would ask of a torchvision.
_NO_TORCHVISION = "0.0.0"


def ultralytics_tasks(why: str) -> Any:
    """Import the module `ultralytics.nn.tasks`, which builds and unpickles its networks.

    It reads the version of torchvision while it is imported, and needs torchvision itself only for
    its own prediction. So where none is installed, the question for its version is answered for the
    time of the import. Its settings go into a temporary folder that is removed at once, and what it
    sets in the process (environment, threads of OpenCV, printing of arrays) is set back.

    Args:
        why: The purpose, as "to ...".

    Returns:
        The module.

    Raises:
        MissingLibrary: ultralytics or torch is not installed, or does not import.
    """
    with requires("torch", extra="export", why=why):
        import torch  # noqa: F401
    with requires("ultralytics", extra="ultralytics", why=why), quiet(), _apart():
        import ultralytics.nn.tasks as tasks
    return tasks


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Keep the import to itself."""
    import numpy as np
    import torch

    environment, threads, printing = dict(os.environ), cv2.getNumThreads(), np.get_printoptions()
    save = torch.save
    with scratch("ultralytics") as folder:
        os.environ.update(_SETTINGS, YOLO_CONFIG_DIR=str(folder))
        try:
            with _torchvision_known():
                yield
        finally:
            os.environ.clear()
            os.environ.update(environment)
            cv2.setNumThreads(threads)
            np.set_printoptions(**printing)
            torch.set_printoptions(profile="default")
            torch.save = save


@contextlib.contextmanager
def _torchvision_known() -> Iterator[None]:
    """Answer `importlib.metadata.version("torchvision")` where no torchvision is installed."""
    asked = importlib.metadata.version

    def version(distribution_name: str) -> str:
        try:
            return asked(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            if distribution_name == "torchvision":
                return _NO_TORCHVISION
            raise

    importlib.metadata.version = version
    try:
        yield
    finally:
        importlib.metadata.version = asked
