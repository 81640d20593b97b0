"""A command line as a page writes it, held against the commands that there are."""

from __future__ import annotations

import re
import shlex

import click

from edgekit.cli.group import edgekit
from edgekit.core.errors import EdgekitError
from edgekit.runtimes.catalogue import parse_target

__all__ = ["known_options", "problems"]

# Where a command ends: another one, a redirection, or the explanation that stands behind it.
_END = re.compile(r"\s{2,}|\s#\s|\s[|>]\s|&&|;")
# What stands for a value: TARGET, KEY.pub, MODEL…, fp32|bf16.
_PLACEHOLDER = re.compile(r"[A-Z]|[|…<]")


def known_options() -> set[str]:
    """Every long and short option of every command."""
    return {
        name
        for command in _commands(edgekit)
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"-h", "--help"}


def problems(line: str, *, targets: bool = True) -> list[str]:
    """What is wrong with a line that begins with `edgekit `; placeholders are let through.

    Args:
        line: As it is printed.
        targets: Whether the target must be one of the catalogue's.
    """
    words = _words(_END.split(line, maxsplit=1)[0])[1:]
    command: click.Command = edgekit
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        if _PLACEHOLDER.search(words[0]):
            return []
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        if found is None:
            return [f"`{line}`: there is no command {name!r}"]
        command = found
    options = {name: one for one in command.params for name in one.opts}
    wrong = []
    for at, word in enumerate(words):
        name, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not name.startswith("-") or name in ("-h", "--help", "-"):
            continue
        if name not in options:
            wrong.append(f"`{line}`: {command.name} has no option {name}")
            continue
        value = value or (words[at + 1] if at + 1 < len(words) else "")
        if targets or "--target" not in options[name].opts:
            wrong += [f"`{line}`: {text}" for text in _wrong_value(options[name], value)]
    return wrong


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    # A synopsis has [OPTION] for what may be left out.
    return [word.strip("[],") if not word.startswith("{") else word for word in words]


def _wrong_value(option: click.Parameter, value: str) -> list[str]:
    if not value or value.startswith("-") or _PLACEHOLDER.search(value):
        return []
    if isinstance(option.type, click.Choice) and value not in option.type.choices:
        return [f"{value!r} is none of {', '.join(option.type.choices)}"]
    if "--target" in option.opts:
        try:
            parse_target(value)
        except EdgekitError as error:
            return [str(error)]
    return []


def _commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found.append(command)
        if isinstance(command, click.Group):
            found += _commands(command)
    return found
