"""A wheel holds exactly our packages and their data, however the source tree came here."""

from __future__ import annotations

import tarfile
import zipfile

import pytest

from edgekit.demo.web.files import FILES


def expected_files(root, project):
    """Every file of every package, by its path in the wheel."""
    packages, folders = project
    files = set()
    for package in packages:
        folder = root / folders.get(package, package.replace(".", "/"))
        files |= {
            f"{package.replace('.', '/')}/{file.name}"
            for file in folder.iterdir()
            if file.is_file() and not file.name.startswith(".")
        }
    return files


def contents(wheel):
    """Files of a wheel without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="session")
def expected(root, project):
    return expected_files(root, project)


def test_a_wheel_holds_our_packages_and_nothing_else(wheel, expected):
    assert contents(wheel) == expected


def test_a_wheel_holds_the_data_that_the_package_reads(wheel):
    files = contents(wheel)
    assert "edgekit/py.typed" in files
    endings = {
        file.rpartition(".")[2] for file in files if file.startswith("edgekit/export/builtin/")
    }
    assert {"safetensors", "npz", "yaml", "py"} <= endings
    assert "edgekit/benchmarks/schemas/edgekit.deploy.1.json" in files
    assert {f"edgekit/benchmarks/report/page.{end}" for end in ("html.j2", "css", "js")} <= files
    assert {f"edgekit/demo/web/{name}" for name, _ in FILES.values()} <= files


def test_a_wheel_has_one_top_level_name(wheel):
    assert {file.partition("/")[0] for file in contents(wheel)} == {"edgekit"}


def test_a_wheel_brings_the_command_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "edgekit = edgekit.__main__:main" in archive.read(entry).decode()
        metadata = next(name for name in names if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in text
    assert "Requires-Python: >=3.10" in text


def test_the_base_install_asks_for_neither_torch_nor_an_engine(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    base = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    text = " ".join(base)
    for library in ("torch", "onnx", "openvino", "nncf", "tensorrt"):
        assert library not in text


def test_a_tree_whose_links_became_files_builds_the_same_wheel(
    tree, links, expected, builder, tmp_path
):
    """A zip unpacked without links holds small text files in their place."""
    for name in links:
        link = tree / "edgekit" / name
        text = link.readlink().as_posix()
        link.unlink()
        link.write_text(text)
    assert contents(builder("wheel", tree, tmp_path / "dist")) == expected


def test_a_tree_whose_links_were_lost_builds_the_same_wheel(
    tree, links, expected, builder, tmp_path
):
    for name in links:
        (tree / "edgekit" / name).unlink()
    assert contents(builder("wheel", tree, tmp_path / "dist")) == expected


def test_a_source_distribution_builds_the_same_wheel(tree, expected, builder, tmp_path):
    sdist = builder("sdist", tree, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            assert not member.name.startswith("/")
            archive.extract(member, tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert contents(builder("wheel", unpacked, tmp_path / "dist")) == expected


def test_a_source_distribution_holds_the_documentation(tree, root, builder, tmp_path):
    sdist = builder("sdist", tree, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = {page.relative_to(root).as_posix() for page in (root / "docs").rglob("*.md")}
    assert {"docs/conf.py", "CHANGELOG.md", "CONTRIBUTING.md", *pages} <= names
