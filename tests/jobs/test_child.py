"""A crash in native code costs one call, and the parent says what happened."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from children import Counter

from edgekit.core.errors import BadInput
from edgekit.core.progress import Silent
from edgekit.jobs.process.child import Child, ChildDied, ChildTimedOut, run_in_child


@pytest.fixture(autouse=True, params=[False, True], ids=["pipes", "stdio"])
def over_stdio(request, monkeypatch):
    """Both ways to talk to a child; the second is that of Windows."""
    monkeypatch.setattr("edgekit.jobs.process.child._OVER_STDIO", request.param)


class Recorder(Silent):
    def __init__(self):
        self.notes = []
        self.steps = 0

    def track(self, items, label, total=None):
        for item in items:
            self.steps += 1
            yield item

    def note(self, message):
        self.notes.append(message)


def test_the_object_keeps_its_state_between_calls():
    recorder = Recorder()
    with Child(Counter, 1, what="counting", progress=recorder) as child:
        assert child.call("add", 2) == 3
        assert child.call("add", 1) == 4
    assert recorder.notes == ["now 3", "now 4"]
    assert recorder.steps == 3


def test_an_error_on_purpose_arrives_as_it_was_raised():
    with Child(Counter, 1, what="counting") as child, pytest.raises(BadInput) as caught:
        child.call("refuse")
    assert (caught.value.message, caught.value.hint) == ("No.", "Never.")


def test_a_bug_carries_its_traceback():
    with (
        Child(Counter, 1, what="counting") as child,
        pytest.raises(RuntimeError, match="children.py"),
    ):
        child.call("bug")


def test_a_crash_is_one_sentence_with_the_last_words():
    with (
        Child(Counter, 1, what="counting") as child,
        pytest.raises(ChildDied, match=r"counting died of SIGSEGV.*last words"),
    ):
        child.call("die")


def test_what_a_library_prints_does_not_reach_stdout(capfd):
    with Child(Counter, 1, what="counting") as child:
        assert child.call("noise") == "quiet"
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_a_factory_that_fails_raises_in_the_parent():
    with pytest.raises(RuntimeError, match="TypeError"):
        Child(Counter, what="counting")


def test_run_in_child_returns_the_result():
    assert run_in_child(divmod, 7, 3, what="dividing") == (2, 1)


def test_a_child_ends_with_its_parent(tmp_path, over_stdio):
    program = (
        "import os, sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from children import Counter\n"
        "from edgekit.jobs.process import child\n"
        "child._OVER_STDIO = sys.argv[1] == 'True'\n"
        "one = child.Child(Counter, 1, what='counting')\n"
        "print(one._process.pid, flush=True)\n"
        "one._requests.flush()\n"
        "os._exit(0)\n"
    )
    from edgekit.jobs.process import child

    ended = subprocess.run(
        [sys.executable, "-c", program, str(child._OVER_STDIO)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    orphan = int(ended.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(orphan).wait(timeout=30)
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == "zombie"


def test_a_child_that_is_silent_for_too_long_is_ended(monkeypatch):
    monkeypatch.setenv("EDGEKIT_TIMEOUT", "0.5")
    with (
        Child(Counter, 1, what="counting") as child,
        pytest.raises(ChildTimedOut, match="counting") as caught,
    ):
        child.call("hang")
    assert "EDGEKIT_TIMEOUT" in caught.value.hint


def test_a_child_that_reports_or_waits_for_work_is_not_ended(monkeypatch):
    monkeypatch.setenv("EDGEKIT_TIMEOUT", "60")
    clock = [0.0]
    monkeypatch.setattr("edgekit.jobs.process.child.time.monotonic", lambda: clock[0])

    class Slow(Recorder):
        def track(self, items, label, total=None):
            for item in super().track(items, label, total):
                clock[0] += 50
                assert child._left() == 60 - 50
                yield item

    with Child(Counter, 1, what="counting", progress=Slow()) as child:
        assert child.call("add", 4) == 5
        clock[0] += 1000
        assert child._left() == 60
        assert child.call("add", 1) == 6


@pytest.mark.parametrize("value", ["0", "-1", "soon", "inf", "nan"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(monkeypatch, value):
    monkeypatch.setenv("EDGEKIT_TIMEOUT", value)
    with pytest.raises(BadInput, match=f"EDGEKIT_TIMEOUT is '{value}'"):
        Child(Counter, 1, what="counting")


def test_what_the_machine_refuses_a_child_is_no_bug():
    with (
        Child(Counter, 0, what="counting") as child,
        pytest.raises(BadInput, match="not enough memory"),
    ):
        child.call("without_memory")
