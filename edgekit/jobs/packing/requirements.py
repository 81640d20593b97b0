"""What a packed folder needs installed: versions pinned to those that were certified."""

from __future__ import annotations

import importlib.metadata
import re

import cv2
import numpy as np

from edgekit.core.errors import BadInput

__all__ = ["Requirement", "oldest_python", "requirements"]

# All of them are built from the same sources; the headless one needs no desktop on the device.
_OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
# Of edgekit itself, for a library that states nothing.
_OLDEST = (3, 10)


class Requirement:
    """One pinned distribution.

    Attributes:
        module: What is imported.
        text: The line of requirements.txt.
        oldest: The oldest Python that it takes, (major, minor).
    """

    def __init__(self, distribution: str, version: str, module: str, stated: str | None) -> None:
        self.module = module
        self.text = f"{distribution}=={version}"
        found = re.search(r">=\s*(\d+)\.(\d+)", stated or "")
        self.oldest = (int(found[1]), int(found[2])) if found else _OLDEST


def requirements(
    engine: tuple[str, str, str], certified: dict[str, object], *, images: bool
) -> list[Requirement]:
    """Return what the script imports, pinned.

    The engine's library is that of the certificate, as its figures are; numpy too, where the
    certificate names it. OpenCV is edgekit's own, so that a picture becomes the same numbers.

    Args:
        engine: Distribution, version and module of the engine's library.
        certified: Versions by distribution on the machine that certified it.
        images: Whether the script reads pictures.

    Raises:
        BadInput: This OpenCV was not installed from a package, so that its version has no name.
    """
    distribution, version, module = engine
    numpy = str(certified.get("numpy") or np.__version__)
    found = [
        Requirement(distribution, version, module, _stated(distribution)),
        Requirement("numpy", numpy, "numpy", _stated("numpy")),
    ]
    if images:
        opencv, name = _opencv()
        found.append(Requirement("opencv-python-headless", opencv, "cv2", _stated(name)))
    return found


def oldest_python(found: list[Requirement]) -> str:
    """The oldest Python that all of them take, "3.11"; edgekit's own for none."""
    major, minor = max((one.oldest for one in found), default=_OLDEST)
    return f"{major}.{minor}"


def _opencv() -> tuple[str, str]:
    """Version and name of the distribution that OpenCV was installed from."""
    for name in _OPENCV:
        try:
            return importlib.metadata.version(name), name
        except importlib.metadata.PackageNotFoundError:
            continue
    raise BadInput(
        f"OpenCV {cv2.__version__} is here without a package, so its version cannot be pinned.",
        hint="Install it with: pip install opencv-python",
    )


def _stated(distribution: str) -> str | None:
    try:
        return importlib.metadata.metadata(distribution)["Requires-Python"]
    except (importlib.metadata.PackageNotFoundError, KeyError):
        return None
