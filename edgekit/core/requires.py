"""Optional imports, and one sentence where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.core.errors import MissingLibrary
from edgekit.core.reading import environment_error

__all__ = ["requires"]


@contextmanager
def requires(library: str, *, extra: str, why: str) -> Iterator[None]:
    """Wrap the import of an optional library.

    Example:
        with requires("openvino", extra="cpu", why="to run on openvino:cpu"):
            import openvino

    Args:
        library: Distribution or module name, as the user would say it.
        extra: The extra of edgekit that installs it.
        why: The purpose, as "to ...".

    Raises:
        MissingLibrary: The library is not installed, or is installed and does not import.
        BadInput: There is not enough memory to load it.
    """
    try:
        yield
    except ImportError as error:
        refused = environment_error(error)
        if refused is not None:
            raise refused from error
        root = library.split(".")[0]
        absent = isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == root
        state = "is not installed" if absent else f"is installed but does not import ({error})"
        raise MissingLibrary(
            f"{library} is needed {why} and {state}.",
            hint=f"Install it with: pip install 'edgekit[{extra}]'",
        ) from error
