"""What an engine raises where it cannot run a graph, as a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.subject import reason_of, subject

__all__ = ["engine_error", "is_foreign", "run_engine"]

T = TypeVar("T")


def engine_error(library: str, error: Exception, hint: str = "") -> BadInput:
    """Return the error of an engine that cannot run what is worked on.

    Args:
        library: The engine's, as a sentence calls it.
        error: What it raised.
        hint: What to do.
    """
    name = subject() or "the graph"
    return BadInput(
        f"{library} cannot run {name} on these inputs: {reason_of(error)}.",
        hint=hint or "Check the values of the inputs: they must be what the model was made for.",
    )


def run_engine(call: Callable[[], T]) -> T:
    """Make a call in which an engine runs without a check of each inference.

    Raises:
        BadInput: The engine failed. Engines raise RuntimeError, or classes of their own.
    """
    try:
        return call()
    except Exception as error:
        if not is_foreign(error):
            raise
        raise engine_error("The engine", error) from error


def is_foreign(error: Exception) -> bool:
    """Whether a library raised it on what it was given; else it is edgekit's own, or a fault."""
    if isinstance(error, EdgekitError):
        return False
    return type(error).__module__ != "builtins" or isinstance(error, RuntimeError)
