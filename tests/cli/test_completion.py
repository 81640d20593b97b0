"""Completion in bash, zsh and fish: asked of the shells themselves, and quick."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from edgekit.cli.catalogue import COMMANDS
from edgekit.cli.completing import builtins
from edgekit.cli.group import edgekit
from edgekit.cli.main import run
from edgekit.cli.shells import SHELLS, script
from edgekit.export.builtin.catalogue import BUILTIN
from edgekit.runtimes.catalogue import targets

HEAVY = {"cv2", "nncf", "numpy", "onnx", "onnxruntime", "openvino", "psutil", "rich", "torch"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a program called edgekit, a bundle and files, for shells to work in."""
    folder = tmp_path_factory.mktemp("home")
    program = folder / "bin" / "edgekit"
    program.parent.mkdir()
    root = Path(__file__).parents[2]
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m edgekit "$@"\n')
    program.chmod(0o755)
    bundle = folder / "my.bundle"
    bundle.mkdir()
    variants = [{"id": name} for name in ("fp32", "int8-u8s8")]
    (bundle / "manifest.json").write_text(json.dumps({"variants": variants}))
    (folder / "model.onnx").write_bytes(b"")
    for shell in SHELLS:
        (folder / f"edgekit.{shell}").write_text(script(shell))
    return folder


def environment(home):
    return {
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }


def answered(home, line):
    """What the program says to bash's script."""
    ended = subprocess.run(
        [sys.executable, "-m", "edgekit"],
        cwd=home,
        env={**os.environ, "_EDGEKIT_COMPLETE": "bash_complete", "COMP_WORDS": line},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return [word.partition(",") for word in ended.stdout.split()]


def words(home, line):
    return [value for kind, _, value in answered(home, line) if kind == "plain"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("edgekit de", ["deploy", "demo", "debug"]),
        ("edgekit compl", ["completion"]),
        ("edgekit data ", sorted(BUILTIN)),
        ("edgekit deploy edgekit:dig", ["edgekit:digits"]),
        ("edgekit deploy x --target openvino:", ["openvino:cpu", "openvino:gpu", "openvino:npu"]),
        ("edgekit deploy x --target=openvino:c", ["openvino:cpu"]),
        (
            "edgekit deploy x --precision ",
            ["fp32", "fp16", "int8", "int8-u8s8", "int8-s8s8"],
        ),
        ("edgekit bench m --compute b", ["bf16"]),
        ("edgekit bench my.bundle@", ["my.bundle@fp32", "my.bundle@int8-u8s8", "my.bundle@int8"]),
        ("edgekit inspect --diff my.bundle@f", ["my.bundle@fp32"]),
        ("edgekit bench nowhere@", []),
        ("edgekit cache p", ["prune"]),
        ("edgekit debug parity my.bundle@int8 --ag", ["--against"]),
        ("edgekit deploy --require-v", ["--require-verified", "--require-valid"]),
        ("edgekit pack b --layout f", ["folder"]),
        ("edgekit completion ", ["bash", "zsh", "fish"]),
        ("edgekit nonsense ", None),
        ("edgekit deploy 'unclosed", []),
    ],
)  # fmt: skip
def test_words_become_what_they_may_be(home, line, expected):
    found = words(home, line)
    assert found == expected if expected is not None else isinstance(found, list)


def test_files_are_left_to_the_shell(home):
    for line in ("edgekit deploy ", "edgekit deploy mo", "edgekit bench mo", "edgekit x --data "):
        kinds = {kind for kind, _, _ in answered(home, line)}
        assert "plain" not in kinds or "x" in line


def test_every_target_and_every_built_in_name_is_offered(home):
    offered = words(home, "edgekit deploy x --target ")
    assert {str(target) for target in targets()} <= set(offered)
    context = click.Context(edgekit)
    names = [item.value for item in builtins(context, click.Argument(["name"]), "")]
    assert names == sorted(BUILTIN)


def test_a_manifest_that_is_none_offers_nothing(home):
    broken = home / "broken"
    broken.mkdir()
    for content in ("", "[]", '{"variants": 3}', '{"variants": [{}]}', "\x00"):
        (broken / "manifest.json").write_text(content)
        assert words(home, "edgekit bench broken@") == []


def test_an_answer_imports_nothing_heavy_and_is_quick(home):
    program = (
        "import sys; from edgekit.cli.main import run; assert run([]) == 0; "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    for line in ("edgekit deploy --target o", "edgekit bench my.bundle@", "edgekit d"):
        settings = {"_EDGEKIT_COMPLETE": "bash_complete", "COMP_WORDS": line}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = subprocess.run(
            [sys.executable, "-c", program], cwd=home, env={**os.environ, **settings},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert set(ended.stderr.split()) & HEAVY == set()
        # Its own work, which a machine that is busy elsewhere does not change.
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert spent < 0.3


def test_a_question_of_another_kind_is_wrong_usage(monkeypatch, capsys):
    for wrong in ("", "bash", "bash_source", "tcsh_complete", "1"):
        monkeypatch.setenv("_EDGEKIT_COMPLETE", wrong)
        assert run([]) == 2
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script_alone(invoke, shell):
    outcome = invoke("completion", shell)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout.rstrip("\n") == script(shell).rstrip("\n")


def test_another_shell_is_refused_with_those_that_are_known(invoke):
    outcome = invoke("completion", "tcsh")
    assert outcome.status == 2
    assert all(shell in outcome.stderr for shell in SHELLS)


def typed(home, command, setup, line, *, seconds=120.0):
    """Type a line and Tab into a shell on a terminal; return what then stands on the line.

    The line is made an argument of `echo`, so that what the shell completed is printed by itself.
    """
    process, master = pty.fork()
    if process == 0:
        os.chdir(home)
        os.execvpe(command[0], command, environment(home))
    read = b""

    def until(pattern, limit=seconds):
        nonlocal read
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if re.search(pattern, read):
                return True
            if select.select([master], [], [], 0.1)[0]:
                try:
                    read += os.read(master, 65536)
                except OSError:
                    break
        return bool(re.search(pattern, read))

    try:
        os.write(master, f"{setup}; echo rea''dy\n".encode())
        assert until(rb"ready\r?\n"), read.decode(errors="replace")
        read = b""
        os.write(master, f"{line}\t".encode())
        time.sleep(0.5)
        # To the line's begin and its end: it becomes what echo prints.
        os.write(master, b'\x01echo "<\x05>"\n')
        printed = rb"<(edgekit[^<>\r\n]*)>\r?\n"
        assert until(printed), read.decode(errors="replace")
        return re.findall(printed, read)[-1].decode().strip()
    finally:
        os.close(master)
        os.waitpid(process, 0)


LINES = [
    ("edgekit comple", "edgekit completion"),
    ("edgekit deploy x --target openvino:c", "edgekit deploy x --target openvino:cpu"),
    ("edgekit deploy x --target=openvino:c", "edgekit deploy x --target=openvino:cpu"),
    ("edgekit deploy edgekit:d", "edgekit deploy edgekit:digits"),
    ("edgekit bench my.bundle@f", "edgekit bench my.bundle@fp32"),
    ("edgekit bench mod", "edgekit bench model.onnx"),
    ("edgekit deploy --remea", "edgekit deploy --remeasure"),
    ("edgekit deploy x --compute b", "edgekit deploy x --compute bf16"),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bash_completes(tool, home, line, expected):
    command = [tool("bash"), "--norc", "--noprofile", "-i"]
    assert typed(home, command, "source ./edgekit.bash; PS1='> '", line) == expected


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_zsh_completes(tool, home, line, expected):
    setup = "autoload -U compinit; compinit -u; source ./edgekit.zsh; bindkey -e; PS1='> '"
    assert typed(home, [tool("zsh"), "-f", "-i"], setup, line) == expected


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_fish_completes(tool, home, line, expected):
    ended = subprocess.run(
        [tool("fish"), "--no-config", "-c", f"source ./edgekit.fish; complete -C '{line}'"],
        cwd=home, env=environment(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [one.partition("\t")[0] for one in ended.stdout.splitlines()]
    assert expected.split()[-1] in found


def test_fish_shows_what_commands_do(tool, home):
    ended = subprocess.run(
        [tool("fish"), "--no-config", "-c", "source ./edgekit.fish; complete -C 'edgekit '"],
        cwd=home, env=environment(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = dict(one.split("\t") for one in ended.stdout.splitlines())
    assert set(COMMANDS) <= set(found)
    assert found["inspect"].startswith("Explain a model: work; limits")
