"""Every help ends with examples that parse; those that cost nothing are run."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from edgekit.cli.catalogue import COMMANDS, TOOLS
from edgekit.cli.group import edgekit

# What a summary begins with: it says what the command does, in the imperative.
VERBS = {
    "Answer", "Check", "Compile", "Do", "Explain", "Export", "Find", "Judge", "List", "Measure",
    "Name", "Print", "Put", "Remove", "Say", "Score", "Show", "Store", "Write",
}  # fmt: skip
# Examples that take no more than a second or two, and leave nothing but a folder behind.
CHEAP = ("edgekit doctor", "edgekit data digits", "edgekit cache", "edgekit completion")


def commands():
    """Every command by its words, "cache list"."""
    found = {}
    for name in (*COMMANDS, *TOOLS):
        command = edgekit.get_command(click.Context(edgekit), name)
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": one for sub, one in command.commands.items()}
    return found


def examples(command):
    """The lines of its examples, those that go on behind a backslash joined."""
    text = re.sub(r"\\\n\s*", "", command.epilog or "").partition("Examples:")[2]
    return [line.partition(" # ")[0].strip() for line in text.splitlines() if line.strip()]


def parsed(line):
    """Parse a line as a shell and click would, up to what would be called."""
    words = shlex.split(line.partition(" > ")[0])
    assert words[0] == "edgekit"
    context = edgekit.make_context("edgekit", words[1:])
    rest = [*context._protected_args, *context.args]
    name, command, arguments = edgekit.resolve_command(context, rest)
    while isinstance(command, click.Group):
        inner = command.make_context(name, arguments, parent=context)
        rest = [*inner._protected_args, *inner.args]
        name, command, arguments = command.resolve_command(inner, rest)
        context = inner
    command.make_context(name, arguments, parent=context)
    return command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    bundle = tmp_path / "my.bundle"
    bundle.mkdir()
    (bundle / "recipe.yaml").write_text("source: edgekit:digits\ntarget: [openvino:cpu]\n")
    return tmp_path


@pytest.mark.parametrize("name", commands())
def test_every_help_has_examples_that_parse(folder, name):
    lines = examples(commands()[name])
    assert lines
    for line in lines:
        if line.startswith("eval "):
            line = re.search(r"\$\((.*)\)", line)[1]
        assert line.startswith(f"edgekit {name}")
        command = parsed(line)
        if not isinstance(commands()[name], click.Group):
            assert command.name == name.split()[-1]


@pytest.mark.parametrize("name", [name for name in commands() if " " not in name])
def test_examples_are_printed_as_they_are_and_fit(invoke, name):
    text = invoke(name, "--help").stdout
    shown = text.partition("Examples:\n")[2].splitlines()
    assert all(len(line) <= 80 for line in shown)
    joined = re.sub(r"\\\n\s*", "", "\n".join(shown))
    assert all(line in joined for line in examples(commands()[name]))


CHEAP_LINES = [
    line for command in commands().values() for line in examples(command) if line.startswith(CHEAP)
]


@pytest.mark.parametrize("line", sorted(set(CHEAP_LINES)))
def test_examples_that_cost_nothing_work(invoke, folder, line):
    outcome = invoke(*shlex.split(line.partition(" > ")[0])[1:])
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout


@pytest.mark.parametrize("name", commands())
def test_a_summary_begins_with_what_the_command_does(name):
    summary = {**COMMANDS, **TOOLS}.get(name) or commands()[name].get_short_help_str(limit=200)
    for text in (summary, commands()[name].help):
        assert text.split()[0].rstrip(",") in VERBS
