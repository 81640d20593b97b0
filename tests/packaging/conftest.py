"""Copies of the source tree as a user may have it, and what is built from them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

SOURCES = ("edgekit", "export", "runtimes", "benchmarks", "docs")
LINKS = ("export", "runtimes", "benchmarks")

BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, f"build_{sys.argv[1]}")(sys.argv[2]))
"""


def copy_sources(root: Path, to: Path) -> Path:
    """Copy what a distribution is made of, links as links."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(root / name, to / name, symlinks=True, ignore=ignore)
    files = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
    for name in (*files, "LICENSE"):
        shutil.copy(root / name, to / name)
    return to


def build(kind: str, tree: Path, to: Path) -> Path:
    """Build a "wheel" or an "sdist" of a tree with the setuptools of this environment."""
    to.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(to)], cwd=tree, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return to / ended.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory):
    """The wheel built of the tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    return build("wheel", copy_sources(root, folder / "tree"), folder / "dist")


@pytest.fixture
def tree(root, tmp_path):
    """A copy of the source tree to change."""
    return copy_sources(root, tmp_path / "tree")


@pytest.fixture(scope="session")
def project(root):
    """The lists of pyproject.toml that setuptools reads, without a TOML reader (Python 3.10)."""
    text = (root / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*?)\]", text, re.DOTALL | re.MULTILINE)
    folders = re.search(r"\[tool\.setuptools\.package-dir\]\n(.*?)\n\n", text, re.DOTALL)
    assert packages is not None
    assert folders is not None
    return (
        re.findall(r'"([^"]+)"', packages[1]),
        dict(re.findall(r'"([^"]+)" = "([^"]+)"', folders[1])),
    )


@pytest.fixture
def builder():
    return build


@pytest.fixture
def links():
    return LINKS
