"""The layout holds: three top-level folders are packages of edgekit and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOLDERS = ("export", "runtimes", "benchmarks")


# Scripts that are run by their path: outside the packages, the wheel and the layers.
SCRIPTS = ("tools/peers",)


def packages_in(root):
    """Every folder with an __init__.py, by the name it is imported under."""
    found = {}
    for top, name in (
        ("edgekit", "edgekit"),
        *((folder, f"edgekit.{folder}") for folder in FOLDERS),
    ):
        for init in (root / top).rglob("__init__.py"):
            below = init.parent.relative_to(root / top)
            if top == "edgekit" and below.parts[:1] and below.parts[0] in FOLDERS:
                continue
            found[".".join((name, *below.parts))] = init.parent.relative_to(root).as_posix()
    return found


def test_the_list_of_packages_is_the_tree(root, project):
    packages, _ = project
    assert sorted(packages) == sorted(packages_in(root))
    assert packages == sorted(packages)


def test_every_package_outside_the_edgekit_folder_is_mapped(root, project):
    packages, folders = project
    for name, folder in packages_in(root).items():
        if not folder.startswith("edgekit"):
            assert folders.get(name) == folder
    assert set(folders) <= set(packages)


def test_every_module_lies_in_a_package(root):
    known = set(packages_in(root).values())
    for top in ("edgekit", *FOLDERS):
        for module in (root / top).rglob("*.py"):
            folder = module.parent.relative_to(root).as_posix()
            if folder.split("/")[:1] == ["edgekit"] and folder.split("/")[1:2] in [
                [name] for name in FOLDERS
            ]:
                continue
            if folder in SCRIPTS:
                continue
            assert folder in known, f"{module} is in no package"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_bare_import_is_refused_with_the_right_name(root, name):
    ended = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=root, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"ImportError: This folder is the package edgekit.{name}; import it by that name."
    )


@pytest.mark.parametrize("name", FOLDERS)
def test_a_bare_checkout_imports_the_folders_by_their_links(root, name):
    """Without an installation, as mypy, pyright and import-linter see it."""
    program = (
        "import sys\n"
        "sys.path.insert(0, '.')\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"import edgekit.{name} as m\n"
        "print(m.__file__)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip().endswith(f"edgekit/{name}/__init__.py")


@pytest.mark.parametrize("name", FOLDERS)
def test_the_links_are_links_and_lead_to_the_folders(root, name):
    link = root / "edgekit" / name
    assert link.is_symlink()
    assert link.readlink().as_posix() == f"../{name}"


def test_the_links_are_committed_as_links(tool, root):
    if not (root / ".git").exists():
        pytest.skip("no git repository around this tree")
    listed = subprocess.run(
        [tool("git"), "-c", "safe.directory=*", "ls-files", "-s", "edgekit"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    links = {line.split()[-1] for line in listed.splitlines() if line.startswith("120000")}
    assert links == {f"edgekit/{name}" for name in FOLDERS}


def test_a_module_is_never_loaded_twice():
    """Under two names a class would have two identities and isinstance would lie."""
    program = (
        "import sys\n"
        "import edgekit.export, edgekit.runtimes, edgekit.benchmarks\n"
        "files = [m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)]\n"
        "own = [f for f in files if '/edgekit/' in f or f.endswith('__init__.py')]\n"
        "import os\n"
        "real = [os.path.realpath(f) for f in own]\n"
        "assert len(real) == len(set(real)), real\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
