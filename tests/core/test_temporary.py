"""What a killed process left behind goes with the next one, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit.core import temporary
from edgekit.core.destination import FOLDER, JSON, Destination
from edgekit.core.errors import Unwritable
from edgekit.core.files import atomic_folder, atomic_path, write_text
from edgekit.core.temporary import scratch

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that tell")

# Every way that a temporary name is made; what is inside the block is what a kill interrupts.
WAYS = {
    "file": "atomic_path(place / 'graph.onnx')",
    "folder": "atomic_folder(place / 'bundle')",
    "scratch": "scratch('debug')",
    "destination": "Destination(place / 'out.json', JSON).writing()",
    "adding": "Destination(place / 'grows', FOLDER, keep=True).adding()",
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """A folder that both the files and the system's temporary folders lie in."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(temporary.tempfile, "tempdir", None)
    temporary.sweep.cache_clear()
    return tmp_path


@contextmanager
def inside(block: str, place: Path):
    """A process in the middle of a block, killed at the end."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from edgekit.core.destination import FOLDER, JSON, Destination\n"
        "from edgekit.core.files import atomic_folder, atomic_path\n"
        "from edgekit.core.temporary import scratch\n"
        "place = Path(sys.argv[1])\n"
        f"with {block} as path:\n"
        "    half = path / 'half' if path.is_dir() else path\n"
        "    half.write_text('half')\n"
        "    print(path, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Path(process.stdout.readline().strip())
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("way", WAYS)
def test_what_a_killed_process_left_goes_with_the_next_and_not_before(way, place):
    (place / "grows").mkdir()
    with inside(WAYS[way], place) as left:
        assert left.exists()
        # Another process beside it, in the same place and in the same way.
        for _ in range(2):
            temporary.sweep.cache_clear()
            with atomic_path(place / "other.txt"), scratch("other"):
                assert left.exists()
    assert left.exists()
    temporary.sweep.cache_clear()
    with atomic_path(place / "other.txt"):
        assert not left.exists()
    assert sorted(path.name for path in place.iterdir()) == ["grows", "other.txt"]


def test_this_process_leaves_its_own_alone(place):
    with atomic_folder(place / "bundle") as mine, scratch("mine") as also_mine:
        temporary.sweep.cache_clear()
        write_text(mine / "a", "1")
        write_text(place / "b", "2")
        assert (mine / "a").exists()
        assert also_mine.exists()
    assert (place / "bundle" / "a").read_text() == "1"


def test_what_somebody_named_alike_stays(place):
    # Names of the system's own function, of earlier releases, and of a user who likes them.
    names = [".file.abcd1234", "edgekit-debug-0123456789abcdef", ".edgekit-old", ".a.edgekit-old"]
    for name in names:
        (place / name).mkdir()
        (place / name / "mine").write_text("mine")
    write_text(place / ".run.0123456789abcdef.txt", "mine")
    write_text(place / "b", "2")
    assert {*names, ".run.0123456789abcdef.txt"} <= {path.name for path in place.iterdir()}


def test_a_link_by_such_a_name_is_not_followed(place):
    with scratch("debug") as path:
        name = path.name
    (place / "theirs").mkdir()
    (place / "theirs" / "mine").write_text("mine")
    (place / name).symlink_to(place / "theirs")
    temporary.sweep.cache_clear()
    write_text(place / "b", "2")
    assert (place / "theirs" / "mine").exists()
    assert (place / name).is_symlink()


def test_what_another_user_left_stays(place, monkeypatch):
    with inside(WAYS["scratch"], place) as left:
        pass
    monkeypatch.setattr(os, "geteuid", lambda: left.lstat().st_uid + 1)
    temporary.sweep.cache_clear()
    write_text(place / "b", "2")
    assert left.exists()


def test_where_no_locks_are_nothing_goes(place, monkeypatch):
    with inside(WAYS["scratch"], place) as left:
        pass

    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    temporary.sweep.cache_clear()
    write_text(place / "b", "2")
    assert left.exists()
    assert (place / "b").read_text() == "2"


def test_a_name_that_was_taken_for_left_over_is_replaced(place, monkeypatch):
    # Another process sweeps between the making of the name and its lock.
    lock, lost = temporary._lock, []

    def swept(path):
        if not lost:
            lost.append(path)
            path.rmdir()
        return lock(path)

    monkeypatch.setattr(temporary, "_lock", swept)
    with scratch("debug") as path:
        assert path.is_dir()
        assert path != lost[0]


def test_a_temporary_folder_that_cannot_be_written_is_one_sentence(monkeypatch):
    monkeypatch.setattr(temporary.tempfile, "tempdir", "/proc/none")
    with pytest.raises(Unwritable, match="temporary folder") as refused, scratch("debug"):
        pass
    assert "TMPDIR" in refused.value.hint


def test_trying_a_destination_leaves_nothing(place):
    Destination(place / "out", FOLDER)
    Destination(place / "out.json", JSON)
    assert list(place.iterdir()) == []
