"""Which execution providers the installed ONNX Runtime offers, its plugins included.

A provider is built into onnxruntime, or it is a plugin: a library that another distribution brings
and that is registered with onnxruntime before a session is opened. Asking onnxruntime means to
import it, so whoever only wants to know asks in a process of its own.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.interpreter import command, environment
from edgekit.core.json_text import parse_json
from edgekit.runtimes.installed import files_present
from edgekit.runtimes.ort_providers import PROVIDERS, offered_as, provider, short_name

__all__ = ["LIBRARIES", "Offer", "answer", "ask", "listed", "register"]

# NAME=FILE, several separated as in PATH: plugins that no distribution of the table brings.
LIBRARIES = "EDGEKIT_PROVIDER_LIBRARIES"

# Importing onnxruntime takes under a second; a plugin may look for its device for longer.
_SECONDS = 60.0
_registered: set[str] = set()


class Offer(msgspec.Struct, frozen=True):
    """What an onnxruntime said.

    Attributes:
        providers: Their full names.
        problem: Why that is not all: a sentence; empty where it is.
    """

    providers: tuple[str, ...] = ()
    problem: str = ""


def listed() -> tuple[str, ...]:
    """Short names of the providers here, beyond those that have a target of their own.

    Plugins are among them whether or not they find their device: why not is worth telling.
    """
    installed = [one.name for one in PROVIDERS if one.module and files_present(one.module)]
    plugins = tuple(dict.fromkeys([*installed, *_libraries()]))
    offered = [short_name(one) for one in ask(plugins).providers]
    known = {one.name: one.listed for one in PROVIDERS}
    return tuple(one for one in dict.fromkeys([*offered, *plugins]) if known.get(one, True))


def register(library: Any, name: str) -> str:
    """Register the plugin of a provider, if it has one that is installed and is not there yet.

    Args:
        library: onnxruntime.
        name: Of the provider, short.

    Returns:
        What went wrong, a sentence; empty where nothing did.
    """
    if offered_as(name, library.get_available_providers()):
        return ""
    known, own = provider(name), _libraries().get(name.casefold())
    if own is None and (known is None or not known.module or not files_present(known.module)):
        return ""
    what = str(own) if own is not None or known is None else known.plugin
    if not hasattr(library, "register_execution_provider_library"):
        return f"{what} is a plugin, which onnxruntime {library.__version__} cannot load; 1.22 can."
    try:
        if own is None and known is not None:
            own = Path(importlib.import_module(known.module).get_library_path())
        if name not in _registered:  # ONNX Runtime takes a name once
            full = known.full_name if known else name
            library.register_execution_provider_library(full, str(own))
    except Exception as error:  # a vendor's own code
        return f"{what} does not load: {' '.join(str(error).split())[:300]}"
    _registered.add(name)
    if not offered_as(name, library.get_available_providers()):
        return f"{what} is installed and finds no device of its own on this machine."
    return ""


@functools.cache
def ask(names: tuple[str, ...] = ()) -> Offer:
    """Ask onnxruntime for its providers, in a process of its own.

    Args:
        names: Short names of providers whose plugins are to be registered first.
    """
    try:
        done = subprocess.run(
            command("edgekit.runtimes.ort_offered:answer", *names),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env=environment(),
        )
        # Plugins print what they like; the answer is the last line.
        return parse_json(done.stdout.strip().splitlines()[-1], "onnxruntime's answer", Offer)
    except (OSError, subprocess.TimeoutExpired, IndexError, BadInput):
        return Offer(problem="onnxruntime does not say which providers it has.")


def _libraries() -> dict[str, Path]:
    """What EDGEKIT_PROVIDER_LIBRARIES names: short name, folded, to file."""
    entries = os.environ.get(LIBRARIES, "").split(os.pathsep)
    pairs = (entry.partition("=") for entry in entries if "=" in entry)
    return {short_name(name.strip()).casefold(): Path(path.strip()) for name, _, path in pairs}


def answer() -> None:
    """Print which providers onnxruntime offers once the plugins of sys.argv[1:] are registered."""
    try:
        import onnxruntime
    except Exception as error:
        offer = Offer(problem=f"onnxruntime does not import: {' '.join(str(error).split())[:300]}")
    else:
        onnxruntime.set_default_logger_severity(4)
        problems = [problem for name in sys.argv[1:] if (problem := register(onnxruntime, name))]
        offer = Offer(tuple(onnxruntime.get_available_providers()), " ".join(problems))
    sys.stdout.write(f"\n{msgspec.json.encode(offer).decode()}\n")
