"""The door of the public calls: arguments are checked and brought into one form by annotation.

A path or a model may be `str` or `os.PathLike`, and one thing may stand for a sequence of it. What
comes behind this door takes `Path`, `str` and sequences alone.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

from edgekit.core.errors import BadInput

if TYPE_CHECKING:
    from typing import ParamSpec, TypeAlias

    P = ParamSpec("P")

__all__ = ["ModelText", "PathText", "at_the_door", "handed_to"]

R = TypeVar("R")

# A MODEL or SOURCE: a path, BUNDLE@VARIANT, SCHEME:NAME. The jobs take it as text.
ModelText: TypeAlias = Annotated[str | os.PathLike[str], str]
# A file or a folder.
PathText: TypeAlias = Annotated[str | os.PathLike[str], Path]


def handed_to(job: str, **names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a signature a public call, which hands its arguments to a job by their names.

    Args:
        job: "module:function"; imported when it is called.
        names: Name of an argument to the job's own, where they differ.
    """

    def decorate(signature: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(signature)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given = _taken(signature, args, kwargs)
            if "progress" in given and given["progress"] is None:
                from edgekit.core.progress import Silent

                given["progress"] = Silent()
            result: R = _function(job)(**{names.get(key, key): one for key, one in given.items()})
            return result

        return call

    return decorate


def _function(job: str) -> Callable[..., Any]:
    module, _, name = job.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def at_the_door(call: Callable[P, R]) -> Callable[P, R]:
    """Make a function a public call, which gets its arguments checked and in one form."""

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        run: Callable[..., R] = call
        return run(**_taken(call, args, kwargs))

    return checked


def _taken(
    call: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """All arguments by name, those that were left out too.

    Raises:
        BadInput: One is of a wrong kind; names it.
    """
    import inspect

    bound = inspect.signature(call).bind(*args, **given)
    bound.apply_defaults()
    kinds = _kinds(call)
    return {
        name: _one(f"{call.__name__}: {name}", value, kinds[name])
        for name, value in bound.arguments.items()
    }


@functools.cache
def _kinds(call: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a call's arguments; that of its result may name what is not imported."""
    import types
    import typing

    texts = {name: text for name, text in call.__annotations__.items() if name != "return"}
    holder = types.SimpleNamespace(__annotations__=texts)
    return typing.get_type_hints(holder, getattr(call, "__globals__", {}), include_extras=True)


def _one(what: str, value: Any, kind: Any) -> Any:
    """An argument in the form that its annotation stands for."""
    import types
    import typing

    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        # Path("") would be the current folder.
        if not isinstance(text, str) or not text:
            _wrong(what, value, "a path, str or os.PathLike")
        return inner[1](text)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        # A thing or a sequence of it: a sequence takes the one thing too.
        return _one(what, value, [one for one in inner if one is not type(None)][-1])
    if origin is Sequence:
        single = isinstance(value, str | bytes | os.PathLike | Mapping)
        several: Any = [value] if single or not isinstance(value, Iterable) else value
        return tuple(_one(what, one, inner[0]) for one in several)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            _wrong(what, value, "a mapping")
        return {_one(what, key, inner[0]): _one(what, one, inner[1]) for key, one in value.items()}
    if origin is tuple:
        if not isinstance(value, Sequence) or len(value) != len(inner):
            _wrong(what, value, f"{len(inner)} values")
        return tuple(_one(what, *pair) for pair in zip(value, inner, strict=True))
    if origin is typing.Literal:
        if value not in inner:
            _wrong(what, value, " or ".join(map(repr, inner)))
        return value
    return _scalar(what, value, kind)


def _scalar(what: str, value: Any, kind: Any) -> Any:
    import numbers

    # numpy's numbers are numbers too; True is none.
    if kind in (int, float):
        wanted: Any = numbers.Integral if kind is int else numbers.Real
        if isinstance(value, bool) or not isinstance(value, wanted):
            _wrong(what, value, "a whole number" if kind is int else "a number")
        return kind(value)
    # Of a protocol anything will do that has its members.
    known = isinstance(kind, type) and not getattr(kind, "_is_protocol", False)
    if known and not isinstance(value, kind):
        _wrong(what, value, {bool: "True or False", str: "text"}.get(kind, kind.__name__))
    return value


def _wrong(what: str, value: Any, wanted: str) -> NoReturn:
    import reprlib

    raise BadInput(f"{what} must be {wanted}, not {reprlib.repr(value)}.")
