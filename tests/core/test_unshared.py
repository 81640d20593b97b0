"""What others can change is copied before it is looked at, and only then."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.core import unshared as module
from edgekit.core.errors import BadInput
from edgekit.core.unshared import is_shared, unshared, unshared_file

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other means")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of files that everyone may write."""
    place = tmp_path / "m.bundle"
    (place / "graphs").mkdir(parents=True)
    (place / "graphs" / "a.onnx").write_bytes(b"graph")
    (place / "manifest.json").write_bytes(b"{}")
    place.chmod(0o777)
    return place


def test_what_only_its_user_changes_is_used_as_it_lies(folder):
    folder.chmod(0o755)
    assert unshared(folder) == folder
    assert unshared_file(folder / "manifest.json") == folder / "manifest.json"


@pytest.mark.parametrize("place", [".", "graphs", "graphs/a.onnx", ".."])
def test_the_copy_is_whole_and_stays_what_it_was(folder, place):
    folder.chmod(0o755)
    (folder / place).chmod(0o777)
    copy = unshared(folder)
    assert copy != folder
    assert copy.name == folder.name
    assert not is_shared(copy)
    (folder / "graphs" / "a.onnx").write_bytes(b"other")
    assert (copy / "graphs" / "a.onnx").read_bytes() == b"graph"
    assert (unshared(folder) / "graphs" / "a.onnx").read_bytes() == b"other"


def test_one_copy_serves_until_something_changes(folder):
    copy = unshared(folder)
    assert unshared(folder) == copy
    # The time of writing is whatever its owner says, and the size may be the same.
    before = (folder / "manifest.json").stat()
    (folder / "manifest.json").write_bytes(b"[]")
    os.utime(folder / "manifest.json", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert unshared(folder) != copy


def test_what_does_not_belong_to_it_is_found_in_the_copy_too(folder):
    (folder / "out").symlink_to("/etc")
    (folder / "gone").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    copy = unshared(folder)
    assert (copy / "out").is_symlink()
    assert (copy / "gone").is_symlink()
    assert stat.S_ISFIFO((copy / "pipe").stat().st_mode)


def test_a_file_brings_what_lies_beside_it(folder, tmp_path):
    (folder / "graphs" / "a.data").write_bytes(b"data")
    link = folder / "graphs" / "link.onnx"
    link.symlink_to("a.onnx")
    copy = unshared_file(link, [folder / "graphs" / "a.data"])
    assert copy.read_bytes() == b"graph"
    assert not copy.is_symlink()
    assert (copy.parent / "a.data").read_bytes() == b"data"


def test_sentences_name_what_the_user_typed(folder):
    copy = unshared(folder)
    assert BadInput(f"{copy / 'graphs' / 'a.onnx'} is bad.").message == (
        f"{folder / 'graphs' / 'a.onnx'} is bad."
    )


def test_a_disk_that_keeps_no_permissions_is_shared(folder, monkeypatch):
    folder.chmod(0o755)
    monkeypatch.setattr(module, "keeps_permissions", lambda _: False)
    assert unshared(folder) != folder


def test_there_is_one_sentence_where_there_is_no_space(folder):
    with open(folder / "large", "wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(BadInput, match="no space"):
        unshared(folder)


def test_the_copy_goes_with_its_process(folder, tmp_path):
    code = (
        "import sys; from pathlib import Path; from edgekit.core.unshared import unshared; "
        "place = unshared(Path(sys.argv[1])); print(place, place.is_dir())"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", code, folder], env=environment, capture_output=True, text=True
    )
    place, there = said.stdout.split()
    assert there == "True"
    assert place.startswith(str(tmp_path))
    assert not Path(place).exists()
    assert list(tmp_path.glob("edgekit-*")) == []


def test_a_temporary_folder_that_others_change_is_no_place_for_it(folder, tmp_path):
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary").chmod(0o777)
    code = (
        "import sys; from pathlib import Path; from edgekit.core.unshared import unshared; "
        "unshared(Path(sys.argv[1]))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    said = subprocess.run(
        [sys.executable, "-c", code, folder], env=environment, capture_output=True, text=True
    )
    assert "BadInput" in said.stderr
    assert "chmod go-w" in said.stderr
