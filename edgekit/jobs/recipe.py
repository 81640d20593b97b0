"""The recipe that repeats a deploy, as `deploy --config recipe.yaml` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from edgekit.core.files import write_text

__all__ = ["write_recipe"]


def write_recipe(path: Path, options: Mapping[str, Any]) -> None:
    """Write the options of a deploy under their command-line names; what is unset is left out.

    Args:
        path: recipe.yaml.
        options: Option name ("max-drop") to value; paths are written absolute, so that the recipe
            works from any folder.
    """
    content = {
        name: _plain(value) for name, value in options.items() if value not in (None, (), [], {})
    }
    heading = "# Repeats this deploy: edgekit deploy --config recipe.yaml\n"
    write_text(path, heading + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.resolve())
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return [f"{key}={item}" for key, item in value.items()]
    return value
