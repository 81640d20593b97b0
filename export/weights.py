"""Weights from files that may be hostile or damaged: state dicts and exported programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.no_model import refuse_no_model
from edgekit.core.opening import open_file
from edgekit.core.reading import reading
from edgekit.core.requires import requires
from edgekit.core.texts import shown
from edgekit.export.program_file import open_program, plain_archive
from edgekit.export.program_refusal import NotAllowedError
from edgekit.export.quiet import quiet

__all__ = ["fill", "read_program", "read_weights"]

_PICKLE_HINT = (
    "Loading it fully runs whatever code the file holds. If you trust where it comes from, allow "
    "it with --trust-pickle; better, save the state_dict alone with torch.save or safetensors."
)
_DAMAGED_HINT = "Copy or download it again and compare its size."
# Names of the object that weights_only refused, in the three forms of torch's message.
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


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

    with _reading(path, "PyTorch weights"), open_file(path) as file:
        start = file.read(2)
        if start == b"PK" and not trust_pickle:
            with plain_archive(file):
                pass
        file.seek(0)
        try:
            # What was checked, and not what lies there by now.
            with quiet():
                content = torch.load(file, weights_only=True, map_location="cpu")
        except pickle.UnpicklingError as error:
            found = _GLOBAL.search(str(error))
            refuse_no_model(str(path), "source")
            saved = start.startswith((b"PK", b"\x80"))  # by torch.save, new or old
            if not (saved or trust_pickle):
                raise
            if not trust_pickle:
                held = f"an object of {found.group(1)!r}" if found else "more than tensors"
                raise BadInput(
                    f"{path} holds {held}, not weights only.", hint=_PICKLE_HINT
                ) from error
            content = _read_pickle(path)
    return _state_dict_of(content, path)


def _read_safetensors(path: Path) -> dict[str, Any]:
    with requires("safetensors", extra="export", why=f"to read {path}"):
        from safetensors.torch import load_file
    with _reading(path, "safetensors file"):
        open_file(path).close()
        return load_file(path)


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    """Make one sentence of whatever torch and its formats raise, with the user's file in it."""
    try:
        with reading(path, what):
            yield
    except NotAllowedError as error:
        raise BadInput(f"{path} {error.what}.", hint=error.hint) from error
    except EdgekitError:
        raise
    except Exception as error:
        raise _damaged(path, what) from error


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


def _state_dict_of(content: object, path: Path, *, within: int = 3) -> Any:
    """Find the state dict, under the keys that training scripts use, or a whole module.

    Args:
        content: Of the file; it may hold itself.
        path: For the message.
        within: How many mappings may lie around it.
    """
    from torch import Tensor, nn

    if isinstance(content, nn.Module):
        return content
    if isinstance(content, Mapping):
        if isinstance(content, dict):
            # A file may have put another `items` into an OrderedDict.
            content = dict(dict.items(content))
        tensors = {
            key: value
            for key, value in content.items()
            if isinstance(key, str) and isinstance(value, Tensor)
        }
        for key, value in tensors.items():
            if value.is_nested:
                raise BadInput(f"{path} holds {shown(key)}, a nested tensor, which has no shape.")
        if content and len(tensors) == len(content):
            return tensors
        for key in ("state_dict", "model", "model_state_dict"):
            if key in content and within:
                return _state_dict_of(content[key], path, within=within - 1)
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


def read_program(
    path: Path, *, trust_code: bool = False, trust_pickle: bool
) -> tuple[Any, tuple[str, ...]]:
    """Read a torch.export program (.pt2).

    torch.export.load evaluates, imports and unpickles what it finds, so it opens a trusted file
    only; any other is opened by edgekit.export.program_file, which takes data alone.

    Args:
        path: The file.
        trust_code: Import a library whose classes or operators the program has.
        trust_pickle: Let torch open it, whatever it holds.

    Returns:
        torch.export.ExportedProgram, and what its guards say of its axes, as text.

    Raises:
        BadInput: Damaged, not such a file, or code in it that is not trusted.
    """
    with requires("torch", extra="export", why=f"to read {path}"):
        import torch
    with _reading(path, "torch.export program"), quiet():
        if not trust_pickle:
            return open_program(path, trust_code=trust_code)
        program = torch.export.load(path)
        return program, tuple(getattr(program, "_guards_code", None) or ())


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(
        f"{path} is not a {what}, or it is damaged.".replace(
            "a PyTorch weights", "PyTorch weights"
        ),
        hint=_DAMAGED_HINT,
    )


def _first(items: list[str], count: int = 3) -> str:
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(map(str, items[:count])) + more
