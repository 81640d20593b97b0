"""Results on stdout, progress on stderr, and nothing else anywhere."""

from __future__ import annotations

import io
import re
import time

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from edgekit.cli.catalogue import COMMANDS
from edgekit.cli.progress import OnTerminal, ProgressLines, progress_on_stderr
from edgekit.core.documents import DOCUMENTS
from edgekit.core.errors import BadInput
from edgekit.core.progress import Placed, Position


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


def test_the_summary_of_a_demo_leaves_stdout_to_the_lines(invoke, answer, samples, arguments):
    answer("demo", samples["demo"])
    outcome = invoke("demo", *arguments["demo"], "--detections", "-")
    assert outcome.stdout == ""
    assert "frame age" in outcome.stderr


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


def written_by(work, *, width=80, terminal=True):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=width, highlight=False)
    progress = OnTerminal(console) if terminal else ProgressLines(console)
    work(progress)
    progress.close()
    return stream.getvalue()


def two_stages(progress):
    """As a deployment tells of them: found or made, then how long, then the parts."""
    progress.stage("export of digits: from the cache (ab), made yesterday.", Position(1, 3))
    progress.stage("engine of digits: made for the first time.", Position(2, 3))
    timed = Position(2, 3, seconds=100.0, seconds_after=200.0)
    progress.stage("engine of digits", timed)
    inside = Placed(progress, timed)
    inside.stage("parity")
    assert list(inside.track([1, 2], "images")) == [1, 2]
    inside.note("One image was skipped.")


def test_a_stage_of_a_name_without_end_is_one_short_line():
    written = written_by(lambda progress: progress.stage("import " + "x" * 5000), terminal=False)
    assert len(written.splitlines()) == 1
    assert len(written) < 2000


def test_without_a_terminal_there_is_one_line_a_stage():
    assert written_by(two_stages, terminal=False).splitlines() == [
        "edgekit: 1 of 3: export of digits: from the cache (ab), made yesterday.",
        "edgekit: 2 of 3: engine of digits: made for the first time.",
        "edgekit: One image was skipped.",
    ]


def test_a_long_loop_says_in_a_log_how_far_it_is():
    """Nothing came between the first line of a calibration and its end, however long it took."""
    stream, now = io.StringIO(), [0.0]
    progress = ProgressLines(Console(file=stream, width=80, highlight=False), clock=lambda: now[0])
    progress.stage("calibration", Position(3, 9))
    for _ in progress.track(range(100), "samples"):
        now[0] += 1.0
    first, *lines = stream.getvalue().splitlines()
    assert first == "edgekit: 3 of 9: calibration"
    assert [" ".join(line.split()[1:8]) for line in lines] == [
        f"3 of 9: calibration: samples {done} of" for done in range(10, 101, 10)
    ]
    assert "min left" in lines[0]


def test_a_stage_without_a_loop_says_in_a_log_that_it_is_under_way():
    stream, now = io.StringIO(), [0.0]
    progress = ProgressLines(Console(file=stream, width=80, highlight=False), clock=lambda: now[0])
    progress.stage("engine")
    for now[0] in (5.0, 11.0, 20.0):
        progress.tell()
    progress.close()
    now[0] = 100.0
    progress.tell()
    assert stream.getvalue().splitlines() == [
        "edgekit: engine",
        "edgekit: engine: 11 s so far",
    ]


def test_a_loop_that_stands_still_is_told_of_in_a_log_too(wait_until, monkeypatch):
    monkeypatch.setattr("edgekit.cli.progress._SECONDS_BETWEEN_LINES", 1.0)
    # Only steps of the loop printed: one calibration of minutes was silence.
    stream, now = io.StringIO(), [0.0]
    progress = ProgressLines(Console(file=stream, width=80, highlight=False), clock=lambda: now[0])
    progress.stage("calibration")
    for _ in progress.track([1], "samples", total=1):
        now[0] = 100.0
        wait_until(lambda: "samples 0 of 1" in stream.getvalue(), "a line")
    progress.close()


def test_a_terminal_shows_stage_part_item_and_the_time_left_in_all():
    written = written_by(two_stages)
    assert "2 of 3  engine of digits" in written
    assert "about 5 min left" in written
    assert "engine of digits · parity" in written
    assert "images       ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌ 1/2" in written or "0/2" in written


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_what_moves_is_cut_and_never_broken(width):
    def work(progress):
        progress.stage("certificate of " + "x猫" * 100, Position(12, 120, 60.0, 600.0))
        list(progress.track(range(3), "a label that is long " * 9))

    for line in re.split(r"\n|\r|\x1b\[[0-9;?]*[A-Za-z]", written_by(work, width=width)):
        assert cell_len(line) < width


def test_names_in_progress_cannot_steer_the_terminal():
    def work(progress):
        progress.stage("export of \x1b[31mred\x07")
        progress.note("\x1b]0;title\x07")

    for terminal in (True, False):
        written = written_by(work, terminal=terminal)
        assert "\x1b[31m" not in written
        assert "\x1b]0" not in written
        assert "\x07" not in written


def test_a_stage_without_a_loop_shows_that_time_passes(monkeypatch, wait_until):
    monkeypatch.setattr("edgekit.cli.progress._SECONDS_BETWEEN_SIGNS_OF_LIFE", 0.01)
    drawn = []

    def work(progress):
        progress.stage("export", Position(1, 1, 30.0, 0.0))
        real = progress._draw
        monkeypatch.setattr(progress, "_draw", lambda **how: (drawn.append(1), real(**how)))
        wait_until(lambda: len(drawn) > 2, "three signs of life")
        # While a loop runs nobody wakes up but the loop.
        for _ in progress.track(iter([1]), "blocks", 1):
            time.sleep(0.05)
            before = len(drawn)
            time.sleep(0.2)
            assert len(drawn) == before

    written_by(work)


def test_a_position_outside_its_plan_is_refused():
    with pytest.raises(BadInput, match="no stage 4 of 3"):
        Position(4, 3)
