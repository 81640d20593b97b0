"""What a sentence calls the file that edgekit works on: the user's own, whatever path it has here.

Engines and libraries put paths of the cache and of temporary folders into their messages, which
mean nothing to a user and are gone when they are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

__all__ = [
    "SUBJECT_VARIABLE",
    "call_place",
    "reason_of",
    "subject",
    "without_places",
    "working_on",
    "works_on",
]

P = ParamSpec("P")
T = TypeVar("T")

# Tells a child process what its parent works on.
SUBJECT_VARIABLE = "EDGEKIT_SUBJECT"
_subject: ContextVar[str] = ContextVar("subject", default="")
# Copies that stand for what the user named.
_names: dict[str, str] = {}
# Letters of a path that end it in no sentence.
_LETTER, _LAST = r"[^\s/\\'\":;,()]", r"[^\s/\\'\":;,().]"
# From a root, past blanks, to a stage of the cache or a temporary folder, and what lies in it.
_PLACE = re.compile(
    rf"(?<!\S)[('\"]?(?P<path>(?:/|[A-Za-z]:\\)[^'\"\n]*?[/\\]"
    rf"(?:stages[/\\]\w+[/\\]\.?[0-9a-f]{{64}}|edgekit-[a-z0-9]+-[0-9a-f]{{16}})"
    rf"(?:{_LETTER}*{_LAST})?(?:[/\\]{_LETTER}*{_LAST})*)"
)
# What libraries of C++ put before their words: a source file, a function, a failed condition.
_SOURCE = re.compile(
    r"[/\w.+-]*\w\.(?:cc|cpp|hpp|h|py):\d+:?[ \t]*"
    r"(?:(?:[\w:<>~&*]+ )*[\w<>~]+::[\w<>~:]*\([^)\n]*\)[ \t]*(?:const[ \t]*)?)?"
)
_CONDITION = re.compile(r"Check '[^'\n]*' failed at[ \t]*")
_REASON, _LOOKED_AT = 300, 4000


@contextmanager
def working_on(name: str) -> Iterator[None]:
    """Call what is worked on by the user's name, in every sentence made meanwhile.

    Args:
        name: The file, source or bundle as the user typed it.
    """
    token = _subject.set(name)
    try:
        yield
    finally:
        _subject.reset(token)


def works_on(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function whose first argument is the model, as the user typed it."""
    first = next(iter(signature(function).parameters))

    @wraps(function)
    def named(*args: P.args, **kwargs: P.kwargs) -> T:
        with working_on(str(args[0] if args else kwargs[first])):
            return function(*args, **kwargs)

    return named


def subject() -> str:
    """The user's name for what is worked on; empty where nothing was named."""
    return _subject.get() or os.environ.get(SUBJECT_VARIABLE, "")


def call_place(place: str, name: str) -> None:
    """Call a temporary folder by the user's name in every sentence.

    Args:
        place: Its path.
        name: What it is a copy of, as the user typed it.
    """
    _names[place] = name


def without_places(text: str) -> str:
    """Return a text with the user's name in the place of paths of the cache and temporary ones."""
    if "stages" not in text and "edgekit-" not in text:
        return text
    for place, of_user in _names.items():
        text = text.replace(place, of_user)
    name = subject() or "the graph"
    return _PLACE.sub(lambda found: found[0].replace(found["path"], name), text)


def reason_of(error: BaseException) -> str:
    """Return what a library's error says, as a part of a sentence: one line, at most 300 letters.

    Without colours, places in sources, and the status codes of ONNX Runtime; the name of its class
    where it says nothing.
    """
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error)[:_LOOKED_AT])
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = _CONDITION.sub("", _SOURCE.sub("", text))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith("Exception from")]
    words = without_places(" ".join(said)).rstrip(".: ") or type(error).__name__
    return words if len(words) <= _REASON else f"{words[: _REASON - 1].rsplit(' ', 1)[0]} …"
