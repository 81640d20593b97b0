"""Weights from files that may be hostile or damaged: state dicts and exported programs."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.no_model import refuse_no_model
from edgekit.core.requires import requires
from edgekit.export.quiet import quiet

__all__ = ["fill", "read_program", "read_weights"]

_PICKLE_HINT = (
    "Loading it fully runs whatever code the file holds. If you trust where it comes from, allow "
    "it with --trust-pickle; better, save the state_dict alone with torch.save or safetensors."
)
# Names of the object that weights_only refused, in the three forms of torch's message.
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
# torch.export keeps sizes as sympy text, "Symbol('s77', integer=True)", and sympy evaluates text
# as Python. This is all that a size needs: quotes around anything but a plain name, attributes and
# dunders are what an attack needs.
_PLAIN_EXPRESSION = re.compile(
    r"(?!.*(?:__|\.[A-Za-z_]))(?:'[A-Za-z_]\w*'|[\w\s+\-*/(),<>=&|~.%])*", re.ASCII
)


def read_weights(path: Path, *, trust_pickle: bool) -> Any:
    """Read a state dict: parameter name to tensor, on the CPU.

    Args:
        path: .safetensors, .pth or .pt.
        trust_pickle: Whether a file that only a full pickle can load may be loaded.

    Returns:
        A mapping of name to tensor; with `trust_pickle` possibly a torch.nn.Module.

    Raises:
        BadInput: Damaged, not such a file, or a pickle with code in it that is not trusted.
    """
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    with requires("torch", extra="export", why=f"to read {path}"):
        import torch
    import pickle  # only for its error class

    try:
        with quiet():
            content = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        found = _GLOBAL.search(str(error))
        refuse_no_model(str(path), "source")
        with path.open("rb") as file:
            saved = file.read(2).startswith((b"PK", b"\x80"))  # by torch.save, new or old
        if not (saved or trust_pickle):
            raise _damaged(path, "PyTorch weights") from error
        if not trust_pickle:
            held = f"an object of {found.group(1)!r}" if found else "more than tensors"
            raise BadInput(f"{path} holds {held}, not weights only.", hint=_PICKLE_HINT) from error
        content = _read_pickle(path)
    except Exception as error:
        raise _damaged(path, "PyTorch weights") from error
    return _state_dict_of(content, path)


def _read_safetensors(path: Path) -> dict[str, Any]:
    with requires("safetensors", extra="export", why=f"to read {path}"):
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise _damaged(path, "safetensors file") from error


def _read_pickle(path: Path) -> object:
    import torch

    try:
        with quiet():
            return torch.load(path, weights_only=False, map_location="cpu")
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadInput(
            f"{path} cannot be loaded, even trusted: {reason}.",
            hint="The classes inside it must be importable here.",
        ) from error


def _state_dict_of(content: object, path: Path) -> Any:
    """Find the state dict, under the keys that training scripts use, or a whole module."""
    from torch import Tensor, nn

    if isinstance(content, nn.Module):
        return content
    if isinstance(content, Mapping):
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return content
        for key in ("state_dict", "model", "model_state_dict"):
            if key in content:
                return _state_dict_of(content[key], path)
        tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
        # Some modules keep extra state that is no tensor beside their parameters.
        if len(tensors) * 2 > len(content):
            return content
    raise BadInput(
        f"{path} holds no state dict (parameter names to tensors) but {type(content).__name__!r}.",
        hint="Save it with torch.save(model.state_dict(), …).",
    )


def fill(network: Any, weights: Mapping[str, Any], path: str, arch: str) -> None:
    """Load weights into a network; every name and every shape must fit.

    Raises:
        BadInput: Names the first keys that are missing, unexpected or of another shape.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in weights]
    unexpected = [key for key in weights if key not in own]
    shapes = [
        f"{key} is {list(weights[key].shape)} in the file and {list(own[key].shape)} in the network"
        for key in own
        if key in weights
        and hasattr(own[key], "shape")
        and getattr(weights[key], "shape", None) != own[key].shape
    ]
    problems = []
    if missing:
        problems.append(f"missing {_first(missing)}")
    if unexpected:
        problems.append(f"unexpected {_first(unexpected)}")
    if shapes:
        problems.append(_first(shapes))
    if problems:
        hint = ""
        if unexpected and all(key.startswith("module.") for key in weights):
            hint = "Its names begin with 'module.': save model.module.state_dict() instead."
        raise BadInput(f"{path} does not fit {arch}: {'; '.join(problems)}.", hint=hint)
    try:
        network.load_state_dict(dict(weights))
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise BadInput(f"{path} does not fit {arch}: {reason}.") from error


def read_program(path: Path, *, trust_pickle: bool) -> Any:
    """Read a torch.export program (.pt2).

    torch.export.load unpickles what it finds and hands sizes to sympy, which evaluates them as
    Python; both are checked first, so that a program is data unless it is trusted.

    Raises:
        BadInput: Damaged, not such a file, or code in it that is not trusted.
    """
    with requires("torch", extra="export", why=f"to read {path}"):
        import torch
    if not trust_pickle:
        _refuse_code(path)
    guard = _tensors_only() if not trust_pickle else quiet()
    try:
        with guard, quiet():
            return torch.export.load(path)
    except Exception as error:
        found = _GLOBAL.search(str(error))
        if found and not trust_pickle:
            raise BadInput(
                f"{path} holds an object of {found.group(1)!r}, not weights only.",
                hint=_PICKLE_HINT,
            ) from error
        raise _damaged(path, "torch.export program") from error


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Make every torch.load inside the block refuse what is no tensor."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _refuse_code(path: Path) -> None:
    """Raise BadInput where a .pt2 holds compiled code, pickled objects or expressions as code."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for name in names:
                if "/aotinductor/" in name or name.endswith((".so", ".dll", ".dylib")):
                    raise BadInput(f"{path} holds compiled code ({name}).", hint=_PICKLE_HINT)
                if name.endswith(".json"):
                    _refuse_code_in(json.loads(archive.read(name)), path)
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError) as error:
        raise _damaged(path, "torch.export program") from error


def _refuse_code_in(content: object, path: Path) -> None:
    if isinstance(content, list):
        for value in content:
            _refuse_code_in(value, path)
        return
    if not isinstance(content, dict):
        return
    expression = content.get("expr_str")
    if isinstance(expression, str) and not _PLAIN_EXPRESSION.fullmatch(expression):
        raise BadInput(
            f"{path} holds a size that is no plain expression: {expression[:80]!r}.",
            hint=_PICKLE_HINT,
        )
    payload = content.get("path_name")
    # Constants of these two kinds are pickles, which no weights-only switch covers.
    if isinstance(payload, str) and payload.startswith(("custom_obj", "opaque_obj")):
        raise BadInput(f"{path} holds a pickled object ({payload}).", hint=_PICKLE_HINT)
    for value in content.values():
        _refuse_code_in(value, path)


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(
        f"{path} is not a {what}, or it is damaged.".replace(
            "a PyTorch weights", "PyTorch weights"
        ),
        hint="Copy or download it again and compare its size.",
    )


def _first(items: list[str], count: int = 3) -> str:
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more
