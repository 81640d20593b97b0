"""Help is quick because it imports nothing but click, and says what the contract says."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from edgekit import __version__
from edgekit.cli.catalogue import COMMANDS
from edgekit.cli.group import edgekit
from edgekit.core.certificate import Limits

# Libraries that help must not wait for.
HEAVY = {
    "cv2",
    "jinja2",
    "matplotlib",
    "msgspec",
    "nncf",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "psutil",
    "rich",
    "torch",
    "yaml",
}

PROGRAM = """
import sys
from edgekit.cli.main import run
assert run(sys.argv[1:]) == 0
roots = {name.partition(".")[0] for name in sys.modules}
own = [name for name in sys.modules if name.startswith("edgekit.cli.commands.")]
print("ROOTS", *sorted(roots))
print("OWN", *own)
"""


def loaded(*arguments):
    """Run in a process of its own; return its help, third-party roots and command modules."""
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    ).stdout
    text, _, tail = output.partition("ROOTS")
    roots, _, own = tail.partition("OWN")
    return text, set(roots.split()), own.split()


def test_help_of_the_group_imports_no_heavy_module_and_no_command():
    text, roots, own = loaded("--help")
    assert roots & HEAVY == set()
    assert own == []
    assert all(name in text for name in COMMANDS)


def test_help_of_a_command_imports_no_heavy_module_and_no_other_command():
    _, roots, own = loaded("deploy", "--help")
    assert roots & HEAVY == set()
    assert own == ["edgekit.cli.commands.deploy"]


def test_help_of_all_commands_together_imports_no_heavy_module():
    program = PROGRAM.replace(
        "assert run(sys.argv[1:]) == 0",
        "assert [run([name, '--help']) for name in sys.argv[1:]] == [0] * len(sys.argv[1:])",
    )
    output = subprocess.run(
        [sys.executable, "-c", program, *COMMANDS], capture_output=True, text=True, check=True
    ).stdout
    roots = set(output.partition("ROOTS")[2].partition("OWN")[0].split())
    assert roots & HEAVY == set()


def test_every_command_has_a_module_and_one_sentence_of_help():
    context = click.Context(edgekit)
    for name in COMMANDS:
        command = edgekit.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(limit=200)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_fits_80_columns(invoke, name):
    outcome = invoke(name, "-h")
    assert outcome.status == 0
    assert outcome.stderr == ""
    assert max(len(line) for line in outcome.stdout.splitlines()) <= 80


def test_summaries_in_the_group_fit_one_line_each(invoke):
    lines = invoke("--help").stdout.splitlines()
    for name, summary in COMMANDS.items():
        assert any(line.split() == [name, *summary.split()] for line in lines)


def groups():
    """The words that lead to every group of the command line, found by walking it."""
    context = click.Context(edgekit)
    commands = {name: edgekit.get_command(context, name) for name in COMMANDS}
    return [(), *((name,) for name, one in commands.items() if isinstance(one, click.Group))]


@pytest.mark.parametrize("words", groups(), ids=" ".join)
def test_a_group_alone_shows_its_help_and_is_no_error(invoke, words):
    # Red where click's own NoArgsIsHelpError becomes one paragraph on stderr, status 2.
    outcome = invoke(*words)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout == invoke(*words, "--help").stdout
    assert len(outcome.stdout.splitlines()) > 5


@pytest.mark.parametrize(("words", "closest"), [(("benhc",), "bench"), (("cache", "lst"), "list")])
def test_a_command_that_does_not_exist_is_answered_with_the_closest(invoke, words, closest):
    outcome = invoke(*words)
    assert outcome.status == 2
    assert f"'{closest}'" in outcome.stderr


def test_every_command_takes_json_quiet_and_debug():
    context = click.Context(edgekit)
    for name in COMMANDS:
        command = edgekit.get_command(context, name)
        assert command is not None
        several = command.commands.values() if isinstance(command, click.Group) else [command]
        for one in several:
            options = {text for parameter in one.params for text in parameter.opts}
            assert {"--json", "--quiet", "--debug"} <= options


def test_defaults_of_the_budget_in_the_help_are_those_of_the_code(invoke):
    text = " ".join(invoke("deploy", "--help").stdout.split())
    limits = Limits()
    for option, default in (
        ("--max-drop", limits.max_drop),
        ("--min-agreement", limits.min_agreement),
        ("--max-shift", limits.max_shift),
    ):
        assert f"[default: {default}]" in text.partition(option)[2][:200]


def test_version_is_the_packages(invoke):
    outcome = invoke("--version")
    assert (outcome.status, outcome.stdout) == (0, f"edgekit {__version__}\n")


def test_python_dash_m_is_the_same_program():
    output = subprocess.run(
        [sys.executable, "-m", "edgekit", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert output == f"edgekit {__version__}\n"


def test_the_calls_and_their_documents_import_no_numpy():
    program = "import sys, edgekit.api; print('numpy' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
