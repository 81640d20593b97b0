"""Doing what a page says: its files are written and its commands run, in the order they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from page_blocks import Block, Page

__all__ = ["COMMON", "OTHER", "environment", "walk"]

# What every machine with edgekit has, and what a page may start besides.
COMMON = frozenset({"cp", "echo", "edgekit", "export", "mkdir", "pip", "python"})
OTHER = frozenset({"ssh-keygen"})

_Run = Callable[[str], subprocess.CompletedProcess[str]]
_MEASURING = re.compile(r"^(\s*)edgekit (deploy|bench)\b", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z][\w-]{2,}")


def environment(cache: Path) -> dict[str, str]:
    """The environment of a reader with edgekit installed, 80 columns and an empty cache."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "EDGEKIT_CACHE": str(cache),
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }


def walk(
    page: Page, folder: Path, surroundings: dict[str, str], tool: Callable[[str], str]
) -> None:
    """Follow a page in a folder; `tool` is asked for what not every machine has.

    Raises:
        AssertionError: A command ends with another status than the page lets expect, shows a
            traceback, or does not print what the page says.
    """
    run = partial(_run, tool("bash"), folder, surroundings)
    for block in page.blocks:
        if not block.runs:
            continue
        for name in block.programs & OTHER:
            tool(name)
        if block.file:
            file = folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            program = folder / f"block_{block.line}.py"
            program.write_text(block.text, encoding="utf-8")
            _succeed(block, f"python {program.name}", run)
        elif block.language == "bash":
            _succeed(block, block.text, run)
        else:
            _transcript(block, run)


def _quicker(script: str) -> str:
    """The same commands with short measurements; a --time of the page's own comes last and wins."""
    return _MEASURING.sub(r"\1edgekit \2 --time 0.3", script)


def _run(
    bash: str, folder: Path, surroundings: dict[str, str], script: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bash, "-euo", "pipefail", "-c", _quicker(script)],
        cwd=folder,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def _succeed(block: Block, script: str, run: _Run) -> None:
    ended = run(script)
    said = f"{block.where}\n{script}\n{ended.stdout}\n{ended.stderr}"
    assert ended.returncode == 0, said
    assert "Traceback" not in ended.stderr, said


def _transcript(block: Block, run: _Run) -> None:
    """Run the commands of a transcript; `echo $?` behind one says with what status it ends."""
    commands = block.commands()
    for at, (command, printed) in enumerate(commands):
        if command == "echo $?":
            continue
        expected = 0
        if at + 1 < len(commands) and commands[at + 1][0] == "echo $?":
            expected = int(commands[at + 1][1])
        ended = run(command)
        output = ended.stdout + ended.stderr
        assert ended.returncode == expected, f"{block.where}\n{command}\n{output}"
        assert "Traceback" not in ended.stderr, f"{block.where}\n{command}\n{output}"
        absent = set(_WORD.findall(printed)) - set(_WORD.findall(output))
        assert not absent, f"{block.where}\n{command}\nprints no {sorted(absent)}:\n{output}"
