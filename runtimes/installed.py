"""Which engine libraries are installed, from metadata alone: nothing heavy is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence

__all__ = ["files_present", "installed", "older_than"]


def installed(distributions: Sequence[str]) -> dict[str, str]:
    """Return name to full version of those distributions that are installed, in the given order."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def files_present(module: str) -> bool:
    """Whether a top-level module can be found, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def older_than(version: str, minimum: str) -> bool:
    """Whether a version comes before another, by their leading numbers."""
    return _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
