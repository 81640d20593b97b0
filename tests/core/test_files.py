"""Files are whole or not there."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import (
    atomic_folder,
    atomic_path,
    refuse_unwritable,
    sha256_file,
    write_text,
)


def test_a_file_appears_only_when_the_block_succeeds(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("boom")
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_as_parent_is_one_sentence(tmp_path):
    parent = tmp_path / "file"
    parent.write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        write_text(parent / "child.txt", "x")


def test_an_error_of_reading_is_not_called_an_error_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out"):
        (tmp_path / "missing").read_bytes()


def test_a_folder_replaces_another_only_when_forced(tmp_path):
    target = tmp_path / "folder"
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(BadInput, match="not empty"), atomic_folder(target):
        pass
    with atomic_folder(target, force=True) as temporary:
        (temporary / "b").write_text("2")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_failed_folder_keeps_the_old_one(tmp_path):
    target = tmp_path / "folder"
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(target, force=True) as temporary:
        (temporary / "b").write_text("2")
        raise RuntimeError("boom")
    assert [path.name for path in target.iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(small_disk):
    disk = small_disk("1m")
    with pytest.raises(BadInput, match="no space left"), atomic_path(disk / "big") as file:
        file.write_bytes(bytes(2 << 20))
    assert list(disk.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    refuse_unwritable(tmp_path / "new" / "folders" / "bundle")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name in ("file", "nowhere"):
        with pytest.raises(Unwritable, match=f"bundle cannot be written: .*{name} is no folder"):
            refuse_unwritable(tmp_path / name / "sub" / "bundle")


def test_a_read_only_disk_is_refused_before_the_work(mounted, tmp_path):
    mounted(tmp_path, "-t", "tmpfs", "-o", "ro", "tmpfs")
    with pytest.raises(Unwritable, match=f"{tmp_path} is read-only"):
        refuse_unwritable(tmp_path / "bundle")


def test_sha256_of_a_known_text(tmp_path):
    path = tmp_path / "abc"
    path.write_text("abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(path) == known
