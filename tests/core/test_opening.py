"""What files name: in its folder, a regular file, of a bounded size, and nobody waits for it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from edgekit.core import opening
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.core.opening import no_file, open_file, placed, read_file, read_placed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """home/models/a.txt, home/labels/b.txt beside it, and secret.txt outside of both."""
    for name in ("home/models/a.txt", "home/labels/b.txt", "secret.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "home" / "models"


def special(folder: Path, kind: str) -> Path:
    """Put something that is no regular file into a folder."""
    path = folder / kind
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(path))  # a socket's path is short
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.skipif(os.name == "nt", reason="the system has no such files")
@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a folder", "a device"])
def test_what_is_no_regular_file_is_named_and_not_waited_for(folder, kind, monkeypatch):
    monkeypatch.chdir(folder)
    path = special(folder, kind)
    assert kind in no_file(path)
    for read in (lambda: read_file(path, 10), lambda: sha256_file(path)):
        with pytest.raises(OSError, match=kind):
            read()
    with pytest.raises(BadInput, match="^card: `labels` names"):
        read_placed(kind, folder, "card: `labels`", 10)


def test_a_file_is_read_up_to_its_limit(folder):
    assert read_file(folder / "a.txt", 17) == b"home/models/a.txt"
    with pytest.raises(OSError, match="larger"):
        read_file(folder / "a.txt", 16)


@pytest.mark.parametrize("name", ["a.txt", "./a.txt", "../models/a.txt"])
def test_a_name_leads_into_the_folder(folder, name):
    assert read_placed(name, folder, "card", 100) == b"home/models/a.txt"
    assert read_placed(str((folder / "a.txt").absolute()), folder, "card", 100)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret.txt", "..", "../..", "/"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_name_that_leads_out_is_refused(folder, name, beside):
    with pytest.raises(BadInput, match="leads out"):
        placed(name, folder, "card", beside=beside)
    with pytest.raises(BadInput, match="leads out"):
        placed(name, folder, "card", beside=beside, links=True)


def test_a_folder_beside_is_allowed_where_that_is_usual(folder):
    assert read_placed("../labels/b.txt", folder, "card", 100, beside=True)
    with pytest.raises(BadInput, match="leads out"):
        read_placed("../labels/b.txt", folder, "card", 100)


def test_all_of_a_disk_does_not_lie_beside_a_folder_at_its_root():
    with pytest.raises(BadInput, match="leads out"):
        placed("../etc/passwd", Path("/data"), "card", beside=True)


def test_a_link_leads_out_only_where_links_are_the_users(folder):
    (folder / "link.txt").symlink_to("../../secret.txt")
    with pytest.raises(BadInput, match="leads out"):
        placed("link.txt", folder, "card", beside=True)
    assert placed("link.txt", folder, "card", links=True).read_text() == "secret.txt"


@pytest.mark.parametrize("name", ["a\0b", "", "x" * 5000, "\ud800"])
def test_no_file_can_have_such_a_name(folder, name):
    with pytest.raises(BadInput) as caught:
        read_placed(name, folder, "card", 100)
    assert "names" in caught.value.message
    assert len(caught.value.message) < 400
    assert no_file(folder / name)
    with pytest.raises(OSError):
        open_file(folder / name)


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(folder, monkeypatch):
    inner = folder / "inner"
    inner.mkdir()
    (inner / "secret.txt").write_text("mine")
    really = open_file

    def swapped(path, limit):
        inner.rename(folder / "was")
        inner.symlink_to(folder.parents[1])
        return really(path, limit)

    monkeypatch.setattr(opening, "open_file", swapped)
    with pytest.raises(BadInput, match="leads out"):
        read_placed("inner/secret.txt", folder, "card", 100)


@pytest.mark.skipif(os.name == "nt", reason="the system has no such files")
def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(folder, monkeypatch):
    path = folder / "a.txt"
    there = path.stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: there)
    path.unlink()
    os.mkfifo(path)
    raised: list[OSError] = []

    def read() -> None:
        try:
            read_file(path, 10)
        except OSError as error:
            raised.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(30)
    assert raised, "the reader waits for a writer"
