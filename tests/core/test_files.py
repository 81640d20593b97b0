"""Files are whole or not there."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import (
    aside_of,
    atomic_folder,
    atomic_path,
    restore_folder,
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


def test_a_folder_replaces_another(tmp_path):
    target = tmp_path / "folder"
    for name in ("a", "b"):
        with atomic_folder(target) as temporary:
            (temporary / name).write_text("1")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_failed_folder_keeps_the_old_one(tmp_path):
    target = tmp_path / "folder"
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        (temporary / "b").write_text("2")
        raise RuntimeError("boom")
    assert [path.name for path in target.iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(small_disk):
    disk = small_disk("1m")
    with pytest.raises(BadInput, match="no space left"), atomic_path(disk / "big") as file:
        file.write_bytes(bytes(2 << 20))
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("refused", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_a_second_renaming_that_fails_undoes_the_first(tmp_path, monkeypatch, refused):
    target = tmp_path / "folder"
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    rename = Path.rename

    def failing(self, goal):
        if goal == target and (self / "b").exists():
            raise refused
        return rename(self, goal)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises((Unwritable, KeyboardInterrupt)), atomic_folder(target) as temporary:
        (temporary / "b").write_text("2")
    assert [path.name for path in target.iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_two_runs_that_remove_the_same_old_folder_do_not_stumble(tmp_path, monkeypatch):
    # One said that a folder "cannot be removed" which the other had removed already.
    target = tmp_path / "folder"
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    rmtree = shutil.rmtree

    def late(path, *arguments, **options):
        if Path(path) == aside_of(target):
            rmtree(path)
        rmtree(path, *arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", late)
    with atomic_folder(target) as temporary:
        (temporary / "b").write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_kill_at_any_moment_of_replacing_leaves_the_old_or_the_new_folder(tmp_path, calls):
    target = tmp_path / "folder"
    with atomic_folder(target) as temporary:
        (temporary / "a").write_text("1")
    program = textwrap.dedent("""
        import os, shutil, sys
        from pathlib import Path
        from edgekit.core.files import atomic_folder

        def counting(function):
            def counted(*arguments):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)
                return function(*arguments)
            return counted

        left = [int(sys.argv[2])]
        with atomic_folder(Path(sys.argv[1])) as temporary:
            (temporary / "b").write_text("2")
            Path.rename, shutil.rmtree = counting(Path.rename), counting(shutil.rmtree)
    """)
    assert subprocess.run([sys.executable, "-c", program, target, str(calls)]).returncode == 9
    restore_folder(target)
    assert [path.name for path in target.iterdir()] == [["a"], ["a"], ["b"]][calls - 1]
    with atomic_folder(target) as temporary:
        (temporary / "c").write_text("3")
    assert [path.name for path in target.iterdir()] == ["c"]
    assert not aside_of(target).exists()


def test_sha256_of_a_known_text(tmp_path):
    path = tmp_path / "abc"
    path.write_text("abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(path) == known
