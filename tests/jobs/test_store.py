"""What was made once is found again by its content, and only when it is whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import write_bytes
from edgekit.core.progress import Silent
from edgekit.jobs.steps.cache import RECORD, CacheUnwritable, fetch, key_of, lookup, records


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Told(Silent):
    def __init__(self):
        self.notes = []

    def stage(self, name, position=None):
        self.notes.append(name)


def made(content="made"):
    """A stage's work, and how often it was done."""
    calls = []

    def make(folder):
        calls.append(folder)
        (folder / "sub").mkdir()
        (folder / "sub" / "result.txt").write_text(content)

    return make, calls


def take(make, parts, *, subject="digits", progress=None, **options):
    return fetch("export", subject, parts, make, progress=progress or Silent(), **options)


def test_the_same_parts_are_made_once_in_whatever_order():
    make, calls = made()
    first = take(make, {"a": "1", "b": "2"})
    second = take(make, {"b": "2", "a": "1"})
    assert (first.hit, second.hit, len(calls)) == (False, True, 1)
    assert second.folder == first.folder
    assert (second.folder / "sub" / "result.txt").read_text() == "made"


@pytest.mark.parametrize("parts", [{"a": "1", "b": "3"}, {"a": "1"}, {"a": "1", "b": "2", "c": ""}])
def test_any_other_part_is_another_stage(parts):
    make, calls = made()
    take(make, {"a": "1", "b": "2"})
    assert not take(make, parts).hit
    assert len(calls) == 2


def test_parts_cannot_run_into_each_other():
    assert key_of("s", {"a": "b"}) != key_of("sa", {"": "b"})
    assert key_of("s", {"a": "1", "b": "2"}) != key_of("s", {"a": "1,b:2"})


def test_every_hit_and_miss_says_why():
    make, _ = made()
    told = Told()
    take(make, {"weights": "1", "opset": "18"}, progress=told)
    take(make, {"weights": "1", "opset": "18"}, progress=told)
    take(make, {"weights": "2", "opset": "20"}, progress=told)
    take(make, {"weights": "2", "opset": "20"}, progress=told, force=True)
    take(make, {"weights": "9"}, progress=told, subject="another")
    first, again, changed, forced, other = told.notes
    assert first == "export of digits: made for the first time."
    assert again.startswith("export of digits: from the cache (")
    assert ", made 20" in again
    assert "because opset and weights changed since 20" in changed
    assert forced == "export of digits: made again: it was asked for."
    # Another model's run is no earlier run of this one.
    assert other == "export of another: made for the first time."


def test_what_is_there_may_be_refused_for_a_reason():
    make, calls = made()
    told = Told()
    take(make, {"a": "1"})
    take(make, {"a": "1"}, progress=told, usable=lambda _: "the machine was disturbed")
    assert told.notes == ["export of digits: made again: the machine was disturbed."]
    assert len(calls) == 2


@pytest.mark.parametrize("damage", ["flip", "shorten", "remove", "record"])
def test_a_damaged_stage_is_made_again_and_named(damage):
    make, calls = made("0123456789")
    told = Told()
    folder = take(make, {"a": "1"}).folder
    file = folder / "sub" / "result.txt"
    if damage == "flip":
        file.write_text("0123456788")
    elif damage == "shorten":
        file.write_text("0123")
    elif damage == "remove":
        file.unlink()
    else:
        (folder / RECORD).write_text("{")
    assert lookup("export", {"a": "1"}) is None
    stored = take(make, {"a": "1"}, progress=told)
    assert not stored.hit
    assert len(calls) == 2
    assert file.read_text() == "0123456789"
    if damage != "record":
        assert "result.txt" in told.notes[0]


def test_what_fails_leaves_nothing_behind(root):
    def make(folder):
        (folder / "half.bin").write_bytes(b"half")
        raise BadInput("No.")

    with pytest.raises(BadInput, match="No"):
        take(make, {"a": "1"})
    assert list((root / "stages" / "export").iterdir()) == []


def test_a_half_written_stage_is_never_taken_for_a_whole_one(root, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal
        from edgekit.core.progress import Silent
        from edgekit.jobs.steps.cache import fetch

        def make(folder):
            (folder / "half.bin").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)

        fetch("export", "digits", {"a": "1"}, make, progress=Silent())
        """)
    )
    assert subprocess.run([sys.executable, script], env=environment()).returncode == -9
    assert [path.name[0] for path in (root / "stages" / "export").iterdir()] == ["."]
    assert lookup("export", {"a": "1"}) is None
    assert list(records()) == []
    make, calls = made()
    assert not take(make, {"a": "1"}).hit
    assert len(calls) == 1


def test_two_processes_that_want_the_same_make_it_once(root, tmp_path):
    script = tmp_path / "both.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        from edgekit.core.progress import Silent
        from edgekit.jobs.steps.cache import fetch

        def make(folder):
            (folder / "maker").write_text(str(os.getpid()))
            time.sleep(0.5)

        stored = fetch("export", "digits", {"a": "1"}, make, progress=Silent())
        print(stored.hit, (stored.folder / "maker").read_text())
        """)
    )
    both = [
        subprocess.Popen([sys.executable, script], env=environment(), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=60)[0].decode().split() for process in both)
    assert [hit for hit, _ in said] == ["False", "True"]
    assert said[0][1] == said[1][1]


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file" / "cache"))
    make, _ = made()
    with pytest.raises(CacheUnwritable, match="cannot be written") as caught:
        take(make, {"a": "1"})
    assert "EDGEKIT_CACHE" in caught.value.hint


def test_a_cache_where_nothing_can_be_made_is_one_sentence_too(monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", "/proc/edgekit")
    make, _ = made()
    with pytest.raises(CacheUnwritable, match="The cache /proc/edgekit cannot be written: no such"):
        take(make, {"a": "1"})


def test_what_else_cannot_be_written_is_not_called_the_cache(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unwritable) as caught:
        take(lambda _: write_bytes(tmp_path / "file" / "x", b""), {"a": "1"})
    assert not isinstance(caught.value, CacheUnwritable)
    assert "file/x cannot be written" in caught.value.message


def test_a_full_disk_of_the_cache_names_the_cache(root):
    # A limit on the size of files stands in for a full disk: writing fails in the same place.
    script = textwrap.dedent("""
        import resource, signal, sys
        from edgekit.core.progress import Silent
        from edgekit.jobs.steps.cache import CacheUnwritable, fetch

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

        def write(folder):
            (folder / "large.bin").write_bytes(bytes(1 << 20))

        def engine(folder):
            try:
                write(folder)
            except OSError:
                raise RuntimeError("Serialization failed.")

        # Whether Python says so, or a library that calls it something else.
        for make in (write, engine):
            try:
                fetch("export", "digits", {"a": "1"}, make, progress=Silent(), needs_bytes=1 << 20)
            except CacheUnwritable as error:
                print(error)
        try:
            fetch("export", "digits", {"a": "1"}, engine, progress=Silent(), needs_bytes=1)
        except RuntimeError as error:
            print(error)
    """)
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True
    )
    first, second, third = result.stdout.splitlines()
    assert first == second
    assert f"The cache {root} cannot be written: file too large." in first
    assert "edgekit cache prune" in first
    assert third == "Serialization failed."
    assert list((root / "stages" / "export").iterdir()) == []


def test_use_is_noted_for_whoever_prunes():
    make, _ = made()
    folder = take(make, {"a": "1"}).folder
    long_ago = time.time() - 1000
    os.utime(folder / RECORD, (long_ago, long_ago))
    take(make, {"a": "1"})
    assert (folder / RECORD).stat().st_mtime > long_ago + 500


def test_the_record_says_what_it_was_made_from():
    make, _ = made()
    folder = take(make, {"a": "1"}).folder
    record = json.loads((folder / RECORD).read_text())
    assert record["schema"] == "edgekit.stage/1"
    assert record["parts"] == {"a": "1"}
    assert record["key"] == folder.name == key_of("export", {"a": "1"})
    assert list(record["files"]) == ["sub/result.txt"]


def environment():
    root = Path(__file__).resolve().parents[2]
    return {**os.environ, "PYTHONPATH": str(root)}
