"""NVIDIA's libraries by name, and what an engine's own library asks the loader for."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import machines
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.runtimes.cuda_libraries import cuda_libraries, engine_needs
from edgekit.runtimes.elf import needed_libraries


def library(*names):
    """A shared library that needs others, as small as the System V ABI lets it be.

    refspecs.linuxfoundation.org/elf/gabi4+: a header, two segments, a dynamic section, its strings.
    """
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    offsets = [1 + sum(len(one) + 1 for one in names[:index]) for index in range(len(names))]
    at, base = 64 + 2 * 56, 0x400000
    entries = [(1, offset) for offset in offsets]
    size = 16 * (len(entries) + 3)
    entries += [(5, base + at + size), (10, len(strings)), (0, 0)]
    whole = at + size + len(strings)
    return b"".join(
        (
            b"\x7fELF\x02\x01\x01" + bytes(9),
            struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0),
            struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, whole, whole, 4096),
            struct.pack("<IIQQQQQQ", 2, 6, at, base + at, base + at, size, size, 8),
            *(struct.pack("<QQ", *entry) for entry in entries),
            strings,
        )
    )


def package(site, name, version, files):
    """An installed distribution: its metadata and files."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    return machines.write(site, {f"{folder}/METADATA": metadata, **files})


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages that this Python imports from, and no other."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr("sys.path", [str(folder)])
    return folder


def where(found):
    return {(one.name, one.version): one.place for one in found}


def test_the_loaders_folders_are_those_of_its_configuration(tmp_path):
    found = where(cuda_libraries(machines.desktop(tmp_path), sites=(), environ={}))
    # The longest version of a file and its links; the driver's library has CUDA's number only.
    assert found == {
        ("libcudart", "13.0.96"): "loader",
        ("libcublas", "13"): "loader",
        ("libcublasLt", "13"): "loader",
        ("libcurand", "10"): "loader",
        ("libcuda", "1"): "loader",
        ("libcudnn", "9"): "loader",
    }


def test_a_toolkit_that_nobody_told_the_loader_of_is_elsewhere(tmp_path):
    root = machines.write(tmp_path, {"usr/local/cuda-12.6/targets/x/lib/libcublas.so.12": ""})
    (root / "usr/local/cuda").symlink_to("cuda-12.6")
    (found,) = cuda_libraries(root, sites=(), environ={})
    assert found.place == "elsewhere"
    told = {"LD_LIBRARY_PATH": "/nowhere::relative:/usr/local/cuda/targets/x/lib"}
    (found,) = cuda_libraries(root, sites=(), environ=told)
    assert found.place == "loader"


def test_libraries_of_python_packages_are_found_in_both_layouts(tmp_path, site):
    machines.write(
        site,
        {
            "nvidia/cublas/lib/libcublas.so.12": "",
            "nvidia/cu13/lib/libcublas.so.13": "",
            "nvidia/cudnn/lib/libcudnn.so.9": "",
            "tensorrt_libs/libnvinfer.so.10": "",
            "tensorrt_libs/libnvinfer_builder_resource.so.10": "",
        },
    )
    found = where(cuda_libraries(tmp_path / "root", sites=(site,), environ={}))
    assert found == {
        ("libcublas", "12"): "package",
        ("libcublas", "13"): "package",
        ("libcudnn", "9"): "package",
        ("libnvinfer", "10"): "package",
    }


def test_configuration_that_includes_itself_ends(tmp_path):
    machines.write(tmp_path, {"etc/ld.so.conf": "include ld.so.conf\ninclude /etc/*.conf\n/a b\n"})
    assert cuda_libraries(tmp_path, sites=(), environ={}) == ()


def test_what_a_library_needs_is_read_from_it(tmp_path):
    names = ("libcublas.so.13", "libc.so.6")
    machines.write(tmp_path, {"a.so": library(*names), "b.so": library()})
    assert needed_libraries(tmp_path / "a.so") == names
    assert needed_libraries(tmp_path / "b.so") == ()


def test_a_real_library_says_what_readelf_says(tool):
    path = next(Path(np.__file__).parent.glob("_core/_multiarray_umath*.so"))
    command = [tool("readelf"), "-d", path]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    listed = [
        line.split("[")[1].rstrip("]") for line in said.stdout.splitlines() if "NEEDED" in line
    ]
    assert list(needed_libraries(path)) == listed
    assert listed


@given(cut=st.integers(0, 400), spot=st.integers(0, 399), byte=st.integers(0, 255))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_library_is_no_error(tmp_path, cut, spot, byte):
    content = bytearray(library("libcublas.so.13", "libcudart.so.13"))
    content[spot % len(content)] = byte
    path = tmp_path / "damaged.so"
    path.write_bytes(content[: cut or None])
    needed_libraries(path)
    needed_libraries(tmp_path)


def test_onnxruntime_is_judged_by_what_its_library_asks_for(site):
    # What 1.31.1 of the package index asks for. It opens cuDNN later, which no header tells.
    asked = library(
        "libcublasLt.so.13", "libcublas.so.13", "libcudart.so.13", "libcuda.so.1", "libc.so.6"
    )
    file = "onnxruntime/capi/libonnxruntime_providers_cuda.so"
    package(site, "onnxruntime-gpu", "1.31.1", {file: asked})
    (found,) = engine_needs()
    assert found.libraries == (
        "libcublasLt.so.13",
        "libcublas.so.13",
        "libcudart.so.13",
        "libcuda.so.1",
        "libcudnn.so.9",
    )
    assert (found.distribution, found.version, found.cuda) == ("onnxruntime-gpu", "1.31.1", 13)
    # A build of one's own asks for another CUDA, whatever the table says of its release.
    machines.write(site, {file: library("libcudart.so.12")})
    assert engine_needs()[0].cuda == 12


def test_a_library_that_tells_nothing_is_judged_by_the_table(site):
    package(site, "onnxruntime-gpu", "1.26.0", {})
    package(site, "tensorrt-cu12-bindings", "10.7.0", {})
    runtime, tensorrt = engine_needs()
    assert runtime.libraries == (
        "libcublasLt.so.12",
        "libcublas.so.12",
        "libcudart.so.12",
        "libcudnn.so.9",
    )
    assert (tensorrt.engine, tensorrt.libraries, tensorrt.cuda) == (
        "tensorrt",
        ("libnvinfer.so.10",),
        12,
    )


def test_no_engine_needs_nothing(site):
    assert engine_needs() == ()
