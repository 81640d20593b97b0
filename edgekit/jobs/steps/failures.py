"""What a stage says that failed: it costs its variant or its entry, and not the deployment."""

from __future__ import annotations

from edgekit.core.errors import EdgekitError
from edgekit.core.subject import reason_of
from edgekit.jobs.steps.cache import CacheUnwritable
from edgekit.jobs.steps.step import Missing

__all__ = ["sentence_of"]


def sentence_of(error: Exception) -> str:
    """Return why a stage failed; raise what says nothing about its variant again.

    Args:
        error: edgekit's own, or one that a library raised and nobody expected.

    Raises:
        CacheUnwritable: A full disk fails every stage alike.
        Missing: A dry run looks only.
    """
    if isinstance(error, CacheUnwritable | Missing):
        raise error
    if isinstance(error, EdgekitError):
        return str(error)
    # What a child process raised carries its traceback, whose last line is the error.
    last = str(error).strip().rpartition("\n")[2] or type(error).__name__
    return f"It ended in an error that edgekit does not know: {reason_of(RuntimeError(last))}."
