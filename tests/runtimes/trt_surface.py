"""TensorRT as if only the names of one version existed; see trt_surfaces/read.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["SURFACES", "Held", "Module", "real"]

Surface = dict[str, frozenset[str]]


def _read(path: Path) -> Surface:
    content = json.loads(path.read_text())
    return {name: frozenset(words.split()) for name, words in content.items()}


SURFACES: dict[str, Surface] = {
    path.name.removesuffix(".json"): _read(path)
    for path in sorted((Path(__file__).parent / "trt_surfaces").glob("*.json"))
}
# What these give is read as a buffer, which nothing in between can offer.
_RAW = ("IHostMemory",)
# Made by the user of the bindings: subclassed, so the class itself is handed out.
_SUBCLASSED = ("ILogger", "IProgressMonitor")


def real(value: Any) -> Any:
    """What a `Held` or a `Members` holds; anything else as it is."""
    return object.__getattribute__(value, "_real") if isinstance(value, Held) else value


class Held:
    """An object of the bindings that has only the attributes its class has in a version.

    Args:
        what: The object.
        kind: Name of its class.
        surface: Names of the version.
    """

    def __init__(self, what: Any, kind: str, surface: Surface) -> None:
        object.__setattr__(self, "_real", what)
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_surface", surface)

    def __getattr__(self, name: str) -> Any:
        kind, surface = (object.__getattribute__(self, one) for one in ("_kind", "_surface"))
        if name not in surface[kind]:
            raise AttributeError(f"{kind} has no {name} in this version")
        return _held(getattr(real(self), name), surface)

    def __setattr__(self, name: str, value: Any) -> None:
        kind, surface = (object.__getattribute__(self, one) for one in ("_kind", "_surface"))
        if name not in surface[kind]:
            raise AttributeError(f"{kind} has no {name} in this version")
        setattr(real(self), name, real(value))


def _held(value: Any, surface: Surface) -> Any:
    """Hold back what a value offers beyond a version, and what it returns."""
    kind = getattr(value, "surface_name", type(value).__name__)
    if kind in surface and kind not in _RAW and not hasattr(type(value), "__members__"):
        return Held(value, kind, surface)
    if callable(value) and not isinstance(value, type):
        return lambda *given, **named: _held(
            value(*map(real, given), **{name: real(one) for name, one in named.items()}), surface
        )
    return value


class Members:
    """An enumeration that has only the members of a version."""

    def __init__(self, kind: type, name: str, surface: Surface) -> None:
        self._kind, self._name, self._surface = kind, name, surface

    @property
    def __members__(self) -> dict[str, Any]:
        return {name: one for name, one in self._kind.__members__.items() if name in self._names}

    @property
    def _names(self) -> frozenset[str]:
        return self._surface[self._name]

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(f"{self._name} has no {name} in this version")
        return getattr(self._kind, name)


class Module:
    """The bindings themselves, with the names of a version.

    Args:
        module: tensorrt_rtx, or a fake.
        surface: Names of the version.
    """

    def __init__(self, module: Any, surface: Surface) -> None:
        self._module, self._surface = module, surface

    def __getattr__(self, name: str) -> Any:
        if name not in self._surface[""]:
            raise AttributeError(f"tensorrt has no {name} in this version")
        value = getattr(self._module, name)
        if name in _SUBCLASSED:
            return value
        if name not in self._surface:
            raise AttributeError(f"read.py does not write down what {name} has: add it there")
        if hasattr(value, "__members__"):
            return Members(value, name, self._surface)
        return lambda *given: Held(value(*map(real, given)), name, self._surface)
