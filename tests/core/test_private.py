"""Who can change what lies at a path, told by OpenSSH's rule."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekit.core import private
from edgekit.core.errors import BadInput
from edgekit.core.private import exposed, keeps_permissions, make_private, refuse_exposed

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other means")


@pytest.fixture(autouse=True)
def forgotten():
    """What was asked of the system once is asked again."""
    private._others.cache_clear()
    private._tried.cache_clear()


@pytest.fixture
def open_folder(tmp_path) -> Path:
    """A folder that everyone may write, which holds one that only its user may."""
    inner = tmp_path / "open" / "inner"
    inner.mkdir(parents=True, mode=0o755)
    inner.parent.chmod(0o777)
    return inner


def test_every_folder_that_is_made_is_the_users_own(tmp_path):
    old = os.umask(0)
    try:
        make_private(tmp_path / "a" / "b" / "c")
        make_private(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(old)
    for name in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        make_private(tmp_path / "file" / "a")


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o500, 0o1700])
def test_what_only_its_user_writes_is_safe(tmp_path, mode):
    tmp_path.chmod(mode)
    assert exposed(tmp_path) is None
    assert exposed(tmp_path / "not" / "there") is None


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702, 0o773])
def test_what_everyone_may_write_is_not(tmp_path, mode):
    tmp_path.chmod(mode)
    found = exposed(tmp_path)
    assert found.place == tmp_path
    assert "everyone" in found.reason
    assert f"{mode:04o}" in found.reason
    assert found.remedy == f"chmod go-w {tmp_path}"


def test_a_folder_above_that_everyone_may_write_puts_another_in_its_place(open_folder):
    assert exposed(open_folder).place == open_folder.parent
    # Where only owners rename, nobody does.
    open_folder.parent.chmod(0o1777)
    assert exposed(open_folder) is None
    assert exposed(open_folder.parent).place == open_folder.parent


def test_a_file_that_everyone_may_write(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o666)
    assert exposed(tmp_path / "file").place == tmp_path / "file"


def test_a_link_is_as_safe_as_where_it_leads(tmp_path, open_folder):
    link, chain = tmp_path / "link", tmp_path / "chain"
    link.symlink_to(open_folder)
    chain.symlink_to("link")
    for path in (link, chain, chain / "not there"):
        assert exposed(path).place == open_folder.parent
    open_folder.parent.chmod(0o755)
    assert exposed(chain) is None
    # A link in a folder that is open to all is its owner's choice.
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    assert exposed(circle) is None


def test_what_belongs_to_another_user_is_not_safe(tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    lstat = Path.lstat

    def owned(self):
        status = lstat(self)
        owner = 1234 if self.name == "theirs" else 4321
        return os.stat_result((*status[:4], owner, *status[5:10]))

    monkeypatch.setattr(Path, "lstat", owned)
    found = exposed(tmp_path / "theirs" / "file")
    assert found.place == tmp_path / "theirs"
    assert "1234" in found.reason
    assert exposed(tmp_path) is None
    # Whoever is trusted may own it, and still nobody else may write it.
    assert exposed(tmp_path / "theirs", of_anyone=True) is None
    (tmp_path / "theirs").chmod(0o777)
    assert "everyone" in exposed(tmp_path / "theirs", of_anyone=True).reason


def groups(monkeypatch, *, members=(), primary=(), listed=True, name="private"):
    """A group with these members, and these users whose own group it is; `me` is one of them."""
    users = [SimpleNamespace(pw_name=user, pw_gid=7) for user in primary]
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_name=name, gr_mem=members))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="me"))
    me = [SimpleNamespace(pw_name="me", pw_gid=7)] if listed else []
    monkeypatch.setattr(pwd, "getpwall", lambda: [*me, *users])


@pytest.mark.parametrize(
    ("made", "who"),
    [
        ({}, ""),
        ({"members": ["me", "root"]}, ""),
        ({"members": ["me", "ann"]}, "the group private (ann)"),
        ({"primary": ["bob"]}, "the group private (bob)"),
        ({"members": ["a", "b", "c", "d"]}, "the group private (a, b, c, …)"),
        ({"listed": False}, "group 7, whose members cannot be listed,"),
        ({"listed": False, "name": "me"}, ""),
    ],
)
def test_a_group_is_as_safe_as_its_members(monkeypatch, made, who):
    groups(monkeypatch, **made)
    assert private._others(7) == who


def test_a_group_without_a_name_is_not_safe(monkeypatch):
    def unknown(_):
        raise KeyError

    monkeypatch.setattr(grp, "getgrgid", unknown)
    assert "cannot be listed" in private._others(7)


def test_the_group_of_one_user_may_write(tmp_path, monkeypatch):
    # Debian and Fedora make folders so: every user has a group, and the umask is 002.
    groups(monkeypatch)
    tmp_path.chmod(0o775)
    assert exposed(tmp_path) is None
    private._others.cache_clear()
    groups(monkeypatch, members=["ann"])
    assert "ann" in exposed(tmp_path).reason


def test_an_access_list_may_name_others(tmp_path, monkeypatch):
    groups(monkeypatch)
    # Version 2; owner rwx, user 1234 rwx, group r-x, mask rwx, others r-x.
    entries = [(1, 7, -1), (2, 7, 1234), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    content = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *one) for one in entries)
    try:
        os.setxattr(tmp_path, "system.posix_acl_access", content)
    except (AttributeError, OSError) as error:
        pytest.skip(f"no access lists on this disk: {error}")
    assert "access list" in exposed(tmp_path).reason


def test_a_disk_that_keeps_no_permissions_is_found_by_trying(tmp_path, monkeypatch):
    assert keeps_permissions(tmp_path / "not" / "there")
    assert keeps_permissions(Path("/proc"))
    private._tried.cache_clear()
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    assert not keeps_permissions(tmp_path)
    # Then they say nothing.
    os.chmod(tmp_path, 0o777)  # noqa: PTH101 - Path's does nothing here
    assert exposed(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_refused_in_one_sentence_with_a_remedy(open_folder):
    with pytest.raises(BadInput) as refused:
        refuse_exposed(open_folder, "The engine in here")
    assert refused.value.message.startswith(
        f"The engine in here can be changed by others: {open_folder.parent} "
    )
    assert f"chmod go-w {open_folder.parent}" in refused.value.hint
