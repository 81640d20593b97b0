"""A user's own detection head: `decode: file.py:function`."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import traceback
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.opening import no_file, placed
from edgekit.core.texts import shown
from edgekit.tasks.heads import Candidates, Float, Reader
from edgekit.tasks.outputs import Outputs

__all__ = ["carried", "decoder_file", "is_user_decoder", "load_decoder"]


_FORM = "A decoder of your own is a Python file in the card's folder: `decode: heads.py:function`."


def is_user_decoder(decode: str) -> bool:
    """Say whether `decode` names a function in a file, as "file.py:function" does."""
    return ":" in decode


def decoder_file(decode: str, folder: Path) -> Path | None:
    """Return the file that `decode` names, relative to the card's folder; None for a built-in.

    Raises:
        BadInput: It is no .py file, or leads out of that folder. It is copied along with the model,
            so nothing else of the user's may pass for it.
    """
    if not is_user_decoder(decode):
        return None
    name = decode.rpartition(":")[0]
    if not name.lower().endswith(".py"):
        raise BadInput(f"`decode` names {shown(name)}, which is no .py file.", _FORM)
    return placed(name, folder, "`decode`", hint=_FORM)


def carried(card: ModelCard, folder: Path) -> tuple[ModelCard, Path | None, str]:
    """Return what of a user's decoder goes along with a graph, an engine or a bundle.

    Args:
        card: That is written with it.
        folder: The card's, that `decode` is relative to.

    Returns:
        The card that names the decoder as a file beside it; the file to put there, None where the
        card names none or it is missing; and a sentence where it is missing. Who only computes
        needs no decoder, so that is no error here.
    """
    head = card.postprocess
    file = decoder_file(head.decode, folder) if head is not None else None
    if head is None or file is None:
        return card, None, ""
    missing = no_file(file)
    if missing:
        return card, None, f"The decoder {file}, which the card names, {missing}: it stays behind."
    decode = f"{file.name}:{head.decode.rpartition(':')[2]}"
    head = msgspec.structs.replace(head, decode=decode)
    return msgspec.structs.replace(card, postprocess=head), file, ""


def load_decoder(decode: str, folder: Path | None, *, trust_code: bool) -> Reader:
    """Load a user's decoder and wrap it so that its faults are named.

    The file must stand alone: it is the only one that travels with a bundle.

    Args:
        decode: "file.py:function".
        folder: The card's folder, that `file.py` is relative to.
        trust_code: Whether the user has allowed code from files to run.

    Returns:
        A reader that checks what the function returns: boxes (N, 4), scores (N, C).

    Raises:
        BadInput: Not trusted, no such file or function, or the file fails as it is loaded.
    """
    file, _, name = decode.rpartition(":")
    path = decoder_file(decode, folder or Path())
    if not trust_code:
        raise BadInput(
            f"The card's decoder {decode!r} is Python code from a file, which runs only with "
            "consent.",
            hint=f"Read {file}, then add --trust-code.",
        )
    if folder is None:
        raise BadInput(
            f"The card's decoder {decode!r} names a file, but the card comes from none.",
            hint="Give the card as a file with --card, the decoder beside it.",
        )
    assert path is not None, "only a decoder of a file is loaded"
    missing = no_file(path)
    if missing:
        raise BadInput(
            f"The decoder's file {path} {missing}.",
            hint="`postprocess.decode` names it relative to the card.",
        )
    module = _run(path)
    function = getattr(module, name, None)
    if not callable(function):
        known = [each for each, value in vars(module).items() if _own_function(value, module)]
        raise BadInput(f"{path} has no function {name!r}.", hint=closest(name, known))

    def head(outputs: Outputs, size: tuple[int, int], _floor: float = -np.inf) -> Candidates:
        try:
            returned = function(dict(outputs), size)
        except Exception as error:
            raise _fault(error, path) from error
        boxes, scores = _checked(returned, f"{name} in {path}")
        return Candidates(boxes, scores, np.arange(len(boxes)))

    return head


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module without leaving a __pycache__ in the user's folder or in a bundle."""

    def set_data(self, path: Any, data: Any, *, _mode: int = 0o666) -> None:
        """Write nothing."""


def _run(path: Path) -> Any:
    # A name of its own, kept out of sys.modules: two cards may each bring a decoders.py.
    name = f"edgekit_decoder_{path.stem}"
    spec = importlib.util.spec_from_loader(name, _Loader(name, str(path)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _fault(error, path) from error
    return module


def _fault(error: Exception, path: Path) -> BadInput:
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    place = f"{path}, line {line}" if line else str(path)
    return BadInput(
        f"The decoder fails in {place}: {type(error).__name__}: {error}.",
        hint="It is the model's own code; see `postprocess.decode` in the card.",
    )


def _own_function(value: object, module: object) -> bool:
    return getattr(value, "__module__", None) == getattr(module, "__name__", "") and callable(value)


def _checked(returned: object, where: str) -> tuple[Float, Float]:
    expected = "boxes (N, 4) in network-input pixels and scores (N, C)"
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise BadInput(f"{where} returned {type(returned).__name__}, not {expected}.")
    boxes, scores = (np.asarray(value) for value in returned)
    for name, array in (("boxes", boxes), ("scores", scores)):
        if array.dtype.kind not in "fiu":
            raise BadInput(f"{where} returned {name} of type {array.dtype}, not numbers.")
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.ndim != 2 or len(boxes) != len(scores):
        raise BadInput(
            f"{where} returned boxes {boxes.shape} and scores {scores.shape}, not {expected}."
        )
    return boxes.astype(np.float32, copy=False), scores.astype(np.float32, copy=False)
