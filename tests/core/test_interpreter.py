"""The current folder is no search path of edgekit's processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.core import interpreter
from edgekit.core.interpreter import absolute_entries, command, environment, module_folders

# Imported by a Python process of edgekit's, early or late.
NAMES = ("traceback", "json", "numpy", "typing", "pickle", "msgspec", "linecache", "signal")


@pytest.fixture
def trapped(tmp_path, monkeypatch):
    """The current folder, in which every module writes that it ran; returns who did."""
    folder, ran = tmp_path / "here", tmp_path / "ran"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            f"open({str(ran)!r}, 'a').write('{name} ')\nraise OSError"
        )
    monkeypatch.chdir(folder)
    return lambda: ran.read_text() if ran.exists() else ""


@pytest.fixture
def path(monkeypatch):
    """Set sys.path and PYTHONPATH; `sys.path` begins with what is given."""

    def put(entries, named):
        monkeypatch.setattr(sys, "path", [*map(str, entries), *sys.path])
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, named)))

    return put


@pytest.mark.parametrize("safe", [True, False], ids=["safe path", "as Python 3.10"])
@pytest.mark.parametrize("entry", ["", ".", "absolute"])
def test_nothing_of_the_current_folder_runs(trapped, path, safe, entry):
    """Children began their search with it: `python -m` puts it first."""
    path([Path.cwd() if entry == "absolute" else entry], [] if entry == "absolute" else [entry])
    inherited = environment()
    if not safe:
        del inherited["PYTHONSAFEPATH"]
    done = subprocess.run(
        command("edgekit.runtimes.ort_offered:answer"),
        env=inherited, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert trapped() == ""
    assert "providers" in done.stdout


@pytest.mark.parametrize(
    ("named", "kept"), [("{here}", True), ("", False), (".", False), ("src", False)]
)
def test_only_a_whole_entry_of_pythonpath_names_the_current_folder(
    tmp_path, monkeypatch, path, named, kept
):
    monkeypatch.chdir(tmp_path)
    text = named.format(here=tmp_path)
    entry = str(Path(text).resolve())
    path([entry], ["/elsewhere", text])
    assert (entry in module_folders()) is kept


def test_a_checkout_needs_no_search_path(tmp_path, monkeypatch):
    """`cd checkout; python -m edgekit`: the child has the parent's package all the same."""
    root = Path(interpreter.__file__).parents[2]
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", ["", *(one for one in sys.path if one != str(root))])
    monkeypatch.setenv("PYTHONPATH", "")
    assert str(root) not in module_folders()
    subprocess.run(command("edgekit.runtimes.ort_offered:answer"), env=environment(), check=True)


def test_programs_are_not_looked_for_here(monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "bin", "/usr/bin"]))
    assert absolute_entries("PATH") == "/usr/bin"
    assert environment()["PATH"] == "/usr/bin"
