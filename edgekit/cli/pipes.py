"""A reader that stops reading (`| head`) is no error."""

from __future__ import annotations

import io
import os
import select
import sys

__all__ = ["reader_left"]


def reader_left() -> bool:
    """Say whether nobody reads stdout any more, and if so let it lead nowhere from now on.

    A BrokenPipeError alone does not say which pipe broke: it may be one to a child process.
    """
    try:
        stdout = sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):
        return False
    if not _broken(stdout):
        return False
    # What Python flushes at its own end must go nowhere, or it complains a second time.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stdout)
    os.close(nowhere)
    return True


def _broken(stdout: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        try:
            sys.stdout.flush()
        except OSError:
            return True
        return False
    poller = select.poll()
    poller.register(stdout, 0)
    return any(event & select.POLLERR for _, event in poller.poll(0))
