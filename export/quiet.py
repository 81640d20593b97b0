"""Keep a library's chatter off the terminal: prints and warnings go to the log."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

__all__ = ["quiet"]

_LOG = logging.getLogger("edgekit.export")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, log records below ERROR and prints inside the block.

    torch.onnx prints its progress to stdout, warns that torchvision is missing and logs failed
    attempts that it recovers from; stdout belongs to our own results. What was printed is logged
    at DEBUG level afterwards. Acts on the whole process: use it around one library call.
    """
    printed = io.StringIO()
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        if printed.getvalue().strip():
            _LOG.debug("%s", printed.getvalue().strip())
