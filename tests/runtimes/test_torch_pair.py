"""A torchvision that cannot be imported is seen without importing it."""

from __future__ import annotations

import sys

import machines
import pytest

from edgekit.runtimes.torch_pair import torch_pair_problem


def install(site, name, version, *, requires="", code="", files=True):
    """What pip leaves behind, as far as it matters."""
    lines = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    lines += f"Requires-Dist: {requires}\n" if requires else ""
    content = {f"{name}-{version}.dist-info/METADATA": lines}
    if files:
        content |= {f"{name}/__init__.py": "raise ImportError", f"{name}/version.py": code}
    machines.write(site, content)


def torch(site, version="2.13.0+cpu", cuda="None"):
    code = f"__version__ = {version!r}\ndebug = False\ncuda: Optional[str] = {cuda}\n"
    install(site, "torch", version, code=code)


def vision(site, version="0.28.0", build="cu130", requires="torch==2.13.0", **more):
    code = f"__version__ = '{version.partition('+')[0]}+{build}'\ngit_version = 'abc'\n"
    install(site, "torchvision", version, requires=requires, code=code, **more)


def said(site):
    return " ".join(torch_pair_problem([site]))


def test_the_cuda_build_of_the_index_on_the_cpu_build_of_torch(tmp_path):
    torch(tmp_path)
    vision(tmp_path)
    before = set(sys.modules)
    text = said(tmp_path)
    assert "torchvision 0.28.0 and torch 2.13.0+cpu are different builds (cu130 and cpu)" in text
    assert text.endswith(
        "Run: pip install --force-reinstall torch==2.13.0 torchvision "
        "--index-url https://download.pytorch.org/whl/cpu"
    )
    assert "torchvision" not in set(sys.modules) - before


def test_builds_that_go_together_are_no_problem(tmp_path):
    torch(tmp_path, "2.13.0", "'13.0'")
    vision(tmp_path)
    assert said(tmp_path) == ""


def test_two_cpu_builds_are_no_problem(tmp_path):
    torch(tmp_path)
    vision(tmp_path, "0.28.0+cpu", "cpu")
    assert said(tmp_path) == ""


def test_a_torchvision_of_another_release(tmp_path):
    torch(tmp_path)
    vision(tmp_path, "0.27.0", "cpu", "torch (==2.12.0)")
    assert "it is made for torch 2.12.0" in said(tmp_path)


def test_metadata_without_files(tmp_path):
    torch(tmp_path)
    vision(tmp_path, files=False)
    assert "without its files" in said(tmp_path)


def test_a_torchvision_without_torch(tmp_path):
    vision(tmp_path)
    assert said(tmp_path).endswith("Run: pip uninstall -y torchvision")


def test_nvidias_builds_for_jetson_tell_a_commit_and_no_build(tmp_path):
    torch(tmp_path, "2.5.0a0+872d972e41.nv24.08", "'12.6'")
    vision(tmp_path, "0.20.0a0+afc54f7", "afc54f7", "torch")
    assert said(tmp_path) == ""


@pytest.mark.parametrize("code", ["", "\0\0", "__version__ = ", "cuda = '"])
def test_a_version_file_that_tells_nothing_is_no_problem(tmp_path, code):
    install(tmp_path, "torch", "2.13.0", code=code)
    install(tmp_path, "torchvision", "0.28.0", code=code)
    assert said(tmp_path) == ""


def test_neither_is_installed(tmp_path):
    assert said(tmp_path) == ""
