"""The recipe that repeats a deploy, as `deploy --config recipe.yaml` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.core.files import write_text
from edgekit.core.version import __version__
from edgekit.core.yaml_text import dump_yaml
from edgekit.jobs.steps.request import DeployRequest

__all__ = ["write_recipe"]


def write_recipe(path: Path, request: DeployRequest) -> None:
    """Write a deployment's options under their command-line names; what is unset is left out.

    Args:
        path: recipe.yaml.
        request: What was asked for; paths are written absolute, so that the recipe works from any
            folder. Where the key that signs lies is nobody else's business: it is left out.
    """
    source, limits = request.parsed, request.limits
    options = {
        "edgekit": __version__,
        "source": source.absolute,
        "output-path": request.output,
        "target": list(request.targets),
        "data": request.data,
        "calibration": request.calibration,
        "precision": list(request.precision),
        "compute": list(request.compute),
        "max-drop": limits.max_drop,
        "min-agreement": limits.min_agreement,
        "max-shift": limits.max_shift,
        "min-parity": limits.min_parity,
        "require-proven": limits.require_proven or None,
        "allow-fallback": limits.allow_fallback or None,
        "arch": request.arch,
        "card": request.card,
        "set": dict(request.options),
        "input": dict(request.inputs),
        "opset": request.opset,
        "bake": list(request.bake),
        "stream": None if request.stream is None else "{}x{}".format(*request.stream),
        "threads": request.threads,
        "provider-option": dict(request.provider_options),
        "time": request.time,
        "golden": request.golden,
        "report-images": request.report_images or None,
        "trust-code": request.trust_code or None,
        "trust-pickle": request.trust_pickle or None,
        "seed": request.seed,
    }
    content = {
        name: _plain(value) for name, value in options.items() if value not in (None, (), [], {})
    }
    heading = "# Repeats this deploy: edgekit deploy --config recipe.yaml -o again\n"
    write_text(path, heading + dump_yaml(content, allow_unicode=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.resolve())
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return [f"{key}={item}" for key, item in value.items()]
    return value
