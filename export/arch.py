"""The network that a state dict belongs to: "module:factory" or "file.py:factory"."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.requires import requires

__all__ = ["build_networks", "import_factory"]


def build_networks(arch: str, *, trust_code: bool) -> dict[str, Any]:
    """Call the factory and return its networks by role.

    Args:
        arch: "module:factory" or "file.py:factory"; called without arguments it returns a
            torch.nn.Module (role "main") or a dict of them by role.
        trust_code: Whether a file of the user's may be run.

    Raises:
        BadInput: It cannot be imported or called, or returns something else.
    """
    with requires("torch", extra="export", why=f"to build the network {arch}"):
        from torch import nn
    factory = import_factory(arch, trust_code=trust_code)
    try:
        made = factory()
    except Exception as error:
        raise BadInput(
            f"{arch} failed when it was called without arguments: {_reason(error)}.",
            hint="The factory takes no arguments and returns the network, or a dict of networks "
            "by role.",
        ) from error
    networks = made if isinstance(made, dict) else {"main": made}
    for role, network in networks.items():
        if not isinstance(network, nn.Module) or not isinstance(role, str):
            raise BadInput(
                f"{arch} returned {type(network).__name__!r} where a torch.nn.Module is needed."
            )
    if not networks:
        raise BadInput(f"{arch} returned no network.")
    return dict(networks)


def import_factory(arch: str, *, trust_code: bool) -> Callable[[], object]:
    """Import the callable that "module:factory" or "file.py:factory" names.

    Raises:
        BadInput: Not of that form, code that is not trusted, a failing import, or no such name.
    """
    place, colon, name = arch.rpartition(":")
    if not colon or not place or not name:
        raise BadInput(
            f"{arch!r} does not name a network.",
            hint="Write it as module:factory or file.py:factory.",
        )
    module = _from_file(place, trust_code=trust_code) if place.endswith(".py") else _import(place)
    factory = getattr(module, name, None)
    if factory is None:
        known = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise BadInput(f"{place} has no {name!r}.", hint=closest(name, known))
    if not callable(factory):
        raise BadInput(f"{name!r} in {place} is {type(factory).__name__!r}, not a function.")
    return factory  # type: ignore[no-any-return]


def _import(name: str) -> object:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise BadInput(
            f"The module {name!r} of --arch cannot be imported: {_reason(error)}.",
            hint="Install it where edgekit runs, or name the file: file.py:factory.",
        ) from error


def _from_file(place: str, *, trust_code: bool) -> object:
    path = Path(place)
    if not path.is_file():
        raise BadInput(f"{place} of --arch does not exist.")
    if not trust_code:
        raise BadInput(
            f"Building the network runs the Python code in {place}.",
            hint="Read it, then allow it with --trust-code.",
        )
    # Named after its path, so that two files of one name do not take each other's place.
    label = f"edgekit_arch_{abs(hash(str(path.resolve()))):x}"
    spec = importlib.util.spec_from_file_location(label, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # a definition may import its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[label]
        raise BadInput(f"{place} of --arch cannot be imported: {_reason(error)}.") from error
    finally:
        sys.path.remove(folder)
    return module


def _reason(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
