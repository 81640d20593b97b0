"""Results on stdout, progress on stderr, and nothing else anywhere."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from edgekit.cli.catalogue import COMMANDS
from edgekit.cli.progress import OnTerminal, progress_on_stderr
from edgekit.core.documents import DOCUMENTS


@pytest.mark.parametrize("name", COMMANDS)
def test_with_json_stdout_is_one_document_that_begins_with_its_schema(
    invoke, answer, samples, arguments, kind_of, name
):
    kind = kind_of(name)
    answer(name, samples[kind])
    outcome = invoke(name, *arguments[name], "--json")
    assert outcome.stdout.startswith(f'{{"schema":"edgekit.{kind}/1"')
    assert outcome.stdout.count("\n") == 1
    assert msgspec.json.decode(outcome.stdout, type=DOCUMENTS[kind]) == samples[kind]


def test_progress_is_lines_on_stderr_and_quiet_silences_it(invoke, monkeypatch, samples):
    from edgekit import api

    def doctor(*, deep, progress):
        progress.stage("probing")
        assert list(progress.track([1, 2], "targets")) == [1, 2]
        progress.note("onnxruntime [cpu] is slow to start.")
        return samples["doctor"]

    monkeypatch.setattr(api, "doctor", doctor)
    outcome = invoke("doctor", "--json")
    assert outcome.stderr == ("edgekit: probing\nedgekit: onnxruntime [cpu] is slow to start.\n")
    assert outcome.stdout.count("\n") == 1
    assert invoke("doctor", "--quiet").stderr == ""


def test_bars_on_a_terminal_are_cleared_at_the_end():
    stream = io.StringIO()
    terminal = OnTerminal(Console(file=stream, force_terminal=True, width=80))
    terminal.stage("measure")
    items = terminal.track(iter(range(3)), "samples", 3)
    assert next(items) == 0
    inner = list(terminal.track([4, 5], "inner"))
    assert (inner, list(items)) == ([4, 5], [1, 2])
    terminal.note("kept [as it is]")
    terminal.close()
    written = stream.getvalue()
    assert "measure" in written
    assert "samples" in written
    assert "kept [as it is]" in written
    # The last thing done is to erase the line the bars stood on.
    assert written.rstrip("\x1b[?25h").rpartition("\x1b[2K")[2].strip() in ("", "\x1b[1A")


def test_a_loop_that_is_left_early_takes_its_bar_along():
    terminal = OnTerminal(Console(file=io.StringIO(), force_terminal=True, width=80))
    for item in terminal.track(range(10), "samples"):
        if item == 2:
            break
    terminal.stage("next")
    terminal.close()


def test_an_error_in_a_job_clears_the_bars(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)

    def broken():
        with progress_on_stderr(quiet=False) as progress:
            progress.stage("x")
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        broken()
