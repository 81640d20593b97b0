"""Asking a vendor's program, in a process of its own: a driver that hangs does not hang us."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.interpreter import absolute_entries

__all__ = ["Run", "ToolOutput", "ask"]

# A GPU without persistence mode wakes for every question, seconds each on a server of eight.
_TIMEOUT_S = 20.0
# Where Windows puts nvidia-smi for WSL, and where root's programs lie, which no user's PATH names.
_MORE_FOLDERS = ("/usr/lib/wsl/lib", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class ToolOutput:
    """What a program said.

    Attributes:
        status: Its exit status.
        text: Standard output, and what it complained of where it failed.
    """

    status: int
    text: str


# Takes a command; None where there is no such program, or it does not answer.
Run = Callable[[Sequence[str]], "ToolOutput | None"]


def ask(command: Sequence[str]) -> ToolOutput | None:
    """Run a vendor's program; None where it is not there or does not answer in time.

    Args:
        command: Name of the program and its arguments.
    """
    found = shutil.which(command[0], path=absolute_entries("PATH"))
    # Windows looks in the current folder too, whatever PATH says.
    program = (
        found
        if found and Path(found).is_absolute()
        else next(
            (
                str(path)
                for path in (Path(folder, command[0]) for folder in _MORE_FOLDERS)
                if os.access(path, os.X_OK) and path.is_file()
            ),
            None,
        )
    )
    if program is None:
        return None
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Its answers are read by their words.
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError:
        return None
    try:
        out, complaint = process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
        # What waits inside a broken driver does not die of that, and is not waited for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        return None
    said = out.decode(errors="replace")
    if process.returncode != 0:
        said = f"{said}\n{complaint.decode(errors='replace')}".strip()
    return ToolOutput(process.returncode, said)
