"""A Source becomes networks by role: torch modules, exported programs or ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.no_model import unloaded
from edgekit.core.source import Source
from edgekit.export.arch import build_networks
from edgekit.export.builtin.catalogue import builtin
from edgekit.export.ultralytics_source import load_ultralytics
from edgekit.export.weights import fill, read_program, read_weights

__all__ = ["Loaded", "load_source"]

# What a folder of several graphs may hold, one file a role.
_ROLE_SUFFIXES = (".onnx", ".pt2")


@dataclass(frozen=True)
class Loaded:
    """One network of a source; one of `module`, `program` and `onnx` is set.

    Attributes:
        module: torch.nn.Module in eval mode, on the CPU.
        program: torch.export.ExportedProgram.
        relations: What its guards say of its axes, as text that nothing executes.
        onnx: An ONNX file, not opened yet.
        card: The card that a module brings itself; None where it knows none.
    """

    module: Any = None
    program: Any = None
    relations: tuple[str, ...] = ()
    onnx: Path | None = None
    card: ModelCard | None = None


def load_source(
    source: Source,
    card: ModelCard | None = None,
    *,
    trust_code: bool = False,
    trust_pickle: bool = False,
) -> dict[str, Loaded]:
    """Load a source's networks by role; a single network has the role "main".

    A folder is one file a role (encoder.pt2, step.onnx); other files in it are ignored. A state
    dict for an `arch` of several networks names its keys ROLE.KEY.

    Args:
        source: What the user named.
        card: The user's: a network with two heads keeps the one that it decodes.
        trust_code: Allow `arch` in a file of the user's, and a program to name a library.
        trust_pickle: Allow weights that only a full pickle can load.

    Raises:
        BadInput: See the message; nothing is repaired.
        MissingLibrary: torch, or the library that the source is of, is not installed.
    """
    if source.kind == "onnx":
        return {"main": Loaded(onnx=Path(source.location))}
    if source.kind == "exported-program":
        path = Path(source.location)
        return {"main": _program(path, trust_code=trust_code, trust_pickle=trust_pickle)}
    if source.kind == "state-dict":
        return _load_state_dict(source, trust_code=trust_code, trust_pickle=trust_pickle)
    if source.kind == "folder":
        path = Path(source.location)
        return _load_folder(path, trust_code=trust_code, trust_pickle=trust_pickle)
    if source.kind == "edgekit":
        entry = builtin(source.location)
        networks = build_networks(entry.factory, trust_code=False)
        weights = read_weights(entry.weights, trust_pickle=False)
        return _filled(networks, weights, source.text, entry.factory)
    if source.kind == "ultralytics":
        module, own = load_ultralytics(
            source.location, card, trust_code=trust_code, trust_pickle=trust_pickle
        )
        return {"main": Loaded(module=module, card=own)}
    raise unloaded(source.kind, source.location)


def _load_state_dict(source: Source, *, trust_code: bool, trust_pickle: bool) -> dict[str, Loaded]:
    from torch import nn

    weights = read_weights(Path(source.location), trust_pickle=trust_pickle)
    if source.arch is None:
        if isinstance(weights, nn.Module):
            return {"main": Loaded(module=weights.eval())}
        raise BadInput(
            f"{source.text} holds weights only, so the network that they belong to must be named.",
            hint="Give --arch module:factory, or --arch file.py:factory with --trust-code.",
        )
    if isinstance(weights, nn.Module):
        # The user named the network, so a pickled one lends its weights only.
        weights = weights.state_dict()
    networks = build_networks(source.arch, trust_code=trust_code)
    return _filled(networks, weights, source.text, source.arch)


def _filled(
    networks: dict[str, Any], weights: Mapping[str, Any], path: str, arch: str
) -> dict[str, Loaded]:
    if set(networks) == {"main"}:
        fill(networks["main"], weights, path, arch)
    else:
        from torch import nn

        # A ModuleDict prefixes every key with its role, which is the form asked for.
        fill(nn.ModuleDict(networks), weights, path, arch)
    return {
        role: Loaded(module=network.eval().requires_grad_(False))
        for role, network in networks.items()
    }


def _program(path: Path, *, trust_code: bool, trust_pickle: bool) -> Loaded:
    program, relations = read_program(path, trust_code=trust_code, trust_pickle=trust_pickle)
    return Loaded(program=program, relations=relations)


def _load_folder(folder: Path, *, trust_code: bool, trust_pickle: bool) -> dict[str, Loaded]:
    found: dict[str, Loaded] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _ROLE_SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            raise BadInput(f"{folder} holds two files for the role {path.stem!r}.")
        if path.suffix.lower() == ".onnx":
            found[path.stem] = Loaded(onnx=path)
        else:
            found[path.stem] = _program(path, trust_code=trust_code, trust_pickle=trust_pickle)
    if not found:
        raise BadInput(
            f"{folder} holds no model.",
            hint="A model of several graphs is one .onnx or .pt2 file a role, "
            "as encoder.onnx and step.onnx.",
        )
    return found
