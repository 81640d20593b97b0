"""An error is one sentence on stderr, with --json a document too; a traceback only on demand."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgekit.core.errors import BadInput, MissingLibrary


def test_an_error_is_its_message_and_its_hint_on_one_line(invoke, answer):
    answer("doctor", MissingLibrary("openvino is not installed.", hint="Install it with: pip …"))
    outcome = invoke("doctor")
    assert outcome.stdout == ""
    assert outcome.stderr == "edgekit: openvino is not installed. Install it with: pip …\n"


def test_with_json_an_error_is_a_document(invoke, answer):
    answer("doctor", BadInput("card.yaml has no key `size`.", hint="Add it."))
    outcome = invoke("doctor", "--json")
    assert outcome.document == {
        "schema": "edgekit.error/1",
        "kind": "bad-input",
        "message": "card.yaml has no key `size`.",
        "hint": "Add it.",
        "exit_status": 2,
    }
    assert outcome.stderr.startswith("edgekit: card.yaml has no key")


def test_quiet_does_not_silence_an_error(invoke, answer):
    answer("doctor", BadInput("No."))
    assert invoke("doctor", "--quiet").stderr == "edgekit: No.\n"


def test_debug_adds_the_traceback(invoke, answer):
    answer("doctor", BadInput("No."))
    assert "Traceback" not in invoke("doctor").stderr
    outcome = invoke("doctor", "--debug")
    assert "Traceback (most recent call last)" in outcome.stderr
    assert outcome.status == 2


def test_a_bug_is_one_sentence_that_says_so(invoke, answer):
    answer("doctor", ZeroDivisionError("division\nby zero"))
    outcome = invoke("doctor", "--json")
    assert outcome.stderr == (
        "edgekit: This is a bug in edgekit: ZeroDivisionError: division by zero. "
        "Run the same command with --debug to see the traceback.\n"
    )
    assert (outcome.document["kind"], outcome.status) == ("bug", 1)


def test_an_interruption_is_said_and_is_a_document_too(invoke, answer):
    answer("doctor", KeyboardInterrupt())
    outcome = invoke("doctor", "--json")
    assert outcome.stderr == "edgekit: Interrupted.\n"
    assert outcome.document["exit_status"] == 130


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["depoly"], "Did you mean 'deploy'?"),
        (["deploy", "--tarjet", "x"], "Did you mean '--target'?"),
        (["bench", "m.onnx", "--thread=2"], "Did you mean '--threads'?"),
        (["deploy", "m", "--zzzzzz"], "See edgekit deploy --help."),
        (["xyzzy"], "Known: doctor, data,"),
        (["inspect"], "See edgekit inspect --help."),
    ],
)
def test_a_typo_gets_the_closest_match(invoke, arguments, hint):
    assert hint in invoke(*arguments).stderr


def test_wrong_usage_is_a_document_with_json_too(invoke):
    outcome = invoke("deploy", "--tarjet", "x", "--json")
    assert outcome.document["schema"] == "edgekit.error/1"
    assert outcome.document["kind"] == "usage"
    assert outcome.document["exit_status"] == 2
    assert outcome.document["hint"] == "Did you mean '--target'?"


def test_json_after_a_double_dash_is_an_argument(invoke, answer, samples):
    answer("inspect", BadInput("--json does not exist."))
    outcome = invoke("inspect", "--", "--json")
    assert (outcome.status, outcome.stdout) == (2, "")


def test_a_reader_that_leaves_early_gets_no_complaint(tool):
    command = f"{sys.executable} -m edgekit --help | true"
    ended = subprocess.run([tool("bash"), "-c", command], capture_output=True, text=True)
    assert ended.stderr == ""


def test_a_result_whose_reader_left_keeps_its_status(tool):
    program = (
        "import sys\n"
        "from edgekit import api\n"
        "from edgekit.cli.main import run\n"
        "from edgekit.core.documents import VerifyDocument\n"
        "api.verify = lambda *a, **k: VerifyDocument(bundle='b' * 100_000, verdict='FAIL',"
        " files=1, damaged=(), entries=())\n"
        "sys.exit(run(['verify', 'b', *sys.argv[1:]]))\n"
    )
    for options in ("", "--json"):
        command = f'set -o pipefail; {sys.executable} -c "$PROGRAM" {options} | true'
        ended = subprocess.run(
            [tool("bash"), "-c", command], capture_output=True, text=True, env={"PROGRAM": program}
        )
        assert (ended.stderr, ended.returncode) == ("", 1)


def test_a_pipe_that_broke_elsewhere_is_a_bug_and_not_a_success(invoke, answer):
    answer("doctor", BrokenPipeError(32, "Broken pipe"))
    outcome = invoke("doctor")
    assert outcome.status == 1
    assert "bug" in outcome.stderr


def test_a_terminal_without_unicode_gets_plain_signs():
    program = (
        "import sys\n"
        "from edgekit import api\n"
        "from edgekit.cli.main import run\n"
        "from edgekit.core.documents import DataDocument\n"
        "api.data = lambda *a, **k: DataDocument(name='★猫', folder='f', images=1, roles={})\n"
        "sys.exit(run(['data', 'x', '-o', 'f', '--quiet']))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"of *? in f" in ended.stdout


@pytest.mark.parametrize(
    "error", [MemoryError(), PermissionError(13, "Permission denied", "/data/card.yaml")]
)
def test_what_the_machine_refuses_is_no_bug(invoke, answer, error):
    answer("doctor", error)
    outcome = invoke("doctor")
    assert outcome.status == 2
    assert "bug" not in outcome.stderr
    assert (getattr(error, "filename", None) or "memory") in outcome.stderr


def test_a_sentence_of_usage_or_of_a_bug_is_bounded(invoke, answer):
    answer("doctor", ZeroDivisionError("x" * 100_000))
    assert len(invoke("doctor").stderr) < 3_000
    assert len(invoke("doctor", "--" + "x" * 100_000).stderr) < 3_000
    assert len(invoke("x" * 100_000).stderr) < 5_000


def test_a_name_that_no_document_can_hold_is_refused_before_any_work(invoke):
    name = b"caf\xe9.onnx".decode("utf-8", "surrogateescape")
    outcome = invoke("bench", name, "--json")
    assert outcome.status == outcome.document["exit_status"] == 2
    assert "caf" in outcome.document["message"]


def test_one_that_comes_to_light_later_is_no_bug(invoke, answer):
    answer("doctor", UnicodeEncodeError("utf-8", "a\udce9", 1, 2, "surrogates not allowed"))
    assert invoke("doctor").status == 2


@pytest.mark.parametrize("sizes", ["1" * 5000, "²", "1,,2", ""])
def test_sizes_that_are_none_are_wrong_usage(invoke, sizes):
    outcome = invoke("bench", "edgekit:digits", "--sweep", f"batch={sizes}")
    assert outcome.status == 2
    assert "--sweep" in outcome.stderr
