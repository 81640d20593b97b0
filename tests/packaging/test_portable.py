"""What Linux can say about Windows and macOS: nothing of POSIX is needed to import or to write.

These simulate; they do not prove that edgekit works there.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.cli.pipes import reader_left
from edgekit.core.files import atomic_folder, write_bytes

# Run before edgekit's modules: what Windows lacks is taken away, the libraries are there already.
WITHOUT_POSIX = """
import importlib, os, pkgutil, select, signal, sys
import click, cv2, filelock, msgspec, numpy, platformdirs, psutil, rich.console, rich.live, yaml
import subprocess, tempfile, threading
for module, names in {
    os: ("fork", "forkpty", "sched_getaffinity", "getuid", "geteuid", "getloadavg", "killpg",
         "uname", "statvfs", "sysconf", "register_at_fork", "mkfifo", "wait3", "wait4"),
    select: ("poll", "epoll"),
    signal: ("SIGKILL", "SIGALRM", "SIGHUP", "SIGUSR1", "alarm", "pthread_sigmask"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios", "pty", "tty"):
    sys.modules[name] = None
import edgekit
modules = [one.name for one in pkgutil.walk_packages(edgekit.__path__, "edgekit.")]
for name in modules:
    importlib.import_module(name)
print(len(modules))
"""


def test_every_module_imports_without_what_only_posix_has():
    ended = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 100


def test_what_is_synced_is_open_for_writing(tmp_path, monkeypatch):
    # Windows refuses to sync a file that is open for reading only.
    real, modes = os.fsync, []

    def fsync(handle):
        modes.append(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_bytes(tmp_path / "a.txt", b"a")
    assert modes == [os.O_RDWR]


def test_no_folder_is_renamed_onto_another(tmp_path, monkeypatch):
    # POSIX lets a folder take the place of an empty one, Windows does not.
    real = Path.rename

    def rename(self, target):
        if self.is_dir() and Path(target).exists():
            raise PermissionError(13, "Access is denied")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    for content in ("one", "two"):
        with atomic_folder(tmp_path / "bundle") as folder:
            (folder / "a.txt").write_text(content)
        assert (tmp_path / "bundle" / "a.txt").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_reader_is_asked_about_without_poll(monkeypatch):
    monkeypatch.delattr("select.poll")
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert not reader_left()
        os.close(read)
        stream.write("gone")
        assert reader_left()


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "cp437"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "utf-16"},
    ],
    ids=lambda locale: next(reversed(locale.values())),
)
def test_no_encoding_stops_a_command(locale, tmp_path):
    for arguments in (["doctor"], ["--help"], ["data", "★猫", "-o", str(tmp_path / "猫")]):
        ended = subprocess.run(
            [sys.executable, "-m", "edgekit", *arguments],
            env={**os.environ, **locale},
            capture_output=True,
        )
        assert ended.returncode == (2 if "data" in arguments else 0), ended.stderr
        assert b"Traceback" not in ended.stderr
