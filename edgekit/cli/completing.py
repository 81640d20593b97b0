"""What a word on the command line may become: names from plain data and from a bundle's manifest.

No engine is asked and nothing heavy imported: a shell waits for the answer at every Tab.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from edgekit.core.errors import BadInput
from edgekit.core.json_text import read_json
from edgekit.core.no_model import builtin_names

__all__ = ["bakes", "builtins", "models", "sources", "targets"]

Items = list[CompletionItem]
_PREFIX = "edgekit:"


def targets(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """--target: every device of the catalogue's runtimes, whether it is here or not."""
    from edgekit.runtimes.catalogue import ALL, CATALOGUE

    listed = {name: entry for name, entry in CATALOGUE.items() if entry.listed}
    words = [f"{name}:{device}" for name, entry in listed.items() for device in entry.devices]
    devices = {device for entry in listed.values() for device in entry.devices}
    return _starting(incomplete, [*words, *sorted(devices - {"ep="}), ALL])


def builtins(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """The name of a built-in model or data set."""
    return _starting(incomplete, builtin_names())


def sources(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """SOURCE: a file, or edgekit:NAME as soon as it begins like that."""
    names = [f"{_PREFIX}{name}" for name in builtin_names()]
    return (_starting(incomplete, names) if incomplete else []) or _files(incomplete)


def models(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """MODEL: a file, a folder, or after a bundle's name and @ its variants."""
    bundle, at, _ = incomplete.rpartition("@")
    if not at:
        return _files(incomplete)
    found = _variants(bundle)
    # The bare precision picks the dialect of the target.
    found += [word for word in ("int8",) if any(name.startswith(word) for name in found)]
    return _starting(incomplete, [f"{bundle}@{name}" for name in found]) or _files(incomplete)


def bakes(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """--bake."""
    return _starting(incomplete, ["preprocess", "nms"])


def _variants(bundle: str) -> list[str]:
    """Ids, as far as the manifest can be read; whether it is whole is not asked here."""
    try:
        manifest = read_json(Path(bundle).expanduser() / "manifest.json")
        return [str(variant["id"]) for variant in manifest["variants"]]
    except (BadInput, RuntimeError, LookupError, TypeError):  # no home: RuntimeError
        return []


def _starting(incomplete: str, words: Iterable[str]) -> Items:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _files(incomplete: str) -> Items:
    """Let the shell complete file names, as it does everywhere."""
    return [CompletionItem(incomplete, type="file")]
