"""CUDA's, cuDNN's and TensorRT's libraries by name, and which of them the installed engines need.

Files are listed and their headers read; nothing is loaded.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from edgekit.core.documents import CudaLibrary
from edgekit.runtimes.compatibility import onnxruntime_gpu_row
from edgekit.runtimes.elf import needed_libraries
from edgekit.runtimes.installed import installed
from edgekit.runtimes.system_files import read_text

__all__ = ["Needs", "cuda_libraries", "engine_needs", "site_folders"]

_NAMES = (
    "libcuda",
    "libcudart",
    "libcublas",
    "libcublasLt",
    "libcudnn",
    "libcufft",
    "libcurand",
    "libnvinfer",
    "libnvinfer_plugin",
    "libnvonnxparser",
    "libtensorrt_rtx",
    "libtensorrt_onnxparser_rtx",
)
_FILE = re.compile(rf"({'|'.join(_NAMES)})\.so\.(\d+(?:\.\d+)*)")
# ld.so(8) and Debian's multiarch folders.
_STANDARD = (
    "lib",
    "usr/lib",
    "lib64",
    "usr/lib64",
    *(
        f"{top}/{machine}-linux-gnu"
        for machine in ("x86_64", "aarch64")
        for top in ("lib", "usr/lib")
    ),
)
# Where CUDA's packages of NVIDIA put it, on the loader's path only once somebody says so.
_TOOLKIT = ("usr/local/cuda*/lib64", "usr/local/cuda*/targets/*/lib")
# CUDA 12's packages have a folder each, CUDA 13's one for all; TensorRT's have their own.
_PACKAGES = ("nvidia/*/lib", "tensorrt_libs", "tensorrt_rtx_libs")

Place: TypeAlias = Literal["loader", "package", "elsewhere"]

# Distributions that bring an engine, and the file of theirs that says what it needs.
_ENGINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "onnxruntime-gpu": (
        ("onnxruntime-gpu",),
        ("onnxruntime/capi/libonnxruntime_providers_cuda.so",),
    ),
    "tensorrt": (
        (
            "tensorrt",
            "tensorrt-cu13",
            "tensorrt-cu12",
            "tensorrt-cu13-bindings",
            "tensorrt-cu12-bindings",
        ),
        ("tensorrt_bindings/tensorrt.so", "tensorrt/tensorrt.so"),
    ),
    "tensorrt-rtx": (
        ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12"),
        ("tensorrt_rtx_bindings/tensorrt_rtx.so", "tensorrt_rtx/tensorrt_rtx.so"),
    ),
}


@dataclass(frozen=True)
class Needs:
    """What one installed engine needs.

    Attributes:
        engine: "onnxruntime-gpu", "tensorrt" or "tensorrt-rtx".
        distribution: That brings it, "tensorrt-cu13".
        version: Of the distribution.
        libraries: Files by name, "libcublas.so.13".
        cuda: Major release of CUDA; None where nothing tells.
    """

    engine: str
    distribution: str
    version: str
    libraries: tuple[str, ...]
    cuda: int | None


def site_folders() -> tuple[Path, ...]:
    """The folders that Python imports from."""
    return tuple(Path(entry) for entry in sys.path if entry)


def cuda_libraries(
    root: Path = Path("/"),
    sites: Sequence[Path] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> tuple[CudaLibrary, ...]:
    """Find NVIDIA's libraries: where the loader looks, in Python packages, and in CUDA's folders.

    Args:
        root: Where etc, lib and usr lie; for tests.
        sites: Folders that Python imports from; None means this Python's.
        environ: For LD_LIBRARY_PATH.
    """
    found: dict[Path, CudaLibrary] = {}
    for folder in _loader_folders(root, environ):
        _list(folder, "loader", found)
    for site in site_folders() if sites is None else sites:
        for pattern in _PACKAGES:
            for folder in _folders(site, pattern):
                _list(folder, "package", found)
    for pattern in _TOOLKIT:
        for folder in _folders(root, pattern):
            _list(folder, "elsewhere", found)
    return tuple(found.values())


def engine_needs(sites: Sequence[Path] | None = None) -> tuple[Needs, ...]:
    """Return what the installed engines for NVIDIA's GPUs need, read from their own libraries.

    Args:
        sites: Folders that Python imports from; None means this Python's.
    """
    folders = site_folders() if sites is None else sites
    found = []
    for engine, (distributions, files) in _ENGINES.items():
        have = installed(distributions)
        if not have:
            continue
        distribution, version = next(iter(have.items()))
        asked = next(
            (
                names
                for file in files
                for site in folders
                if (names := needed_libraries(site / file))
            ),
            (),
        )
        names = tuple(name for name in asked if _FILE.fullmatch(name))
        names = names or _documented(engine, version)
        if engine == "onnxruntime-gpu":
            # The library opens cuDNN by itself, later.
            row = onnxruntime_gpu_row(version)
            cudnn = f"libcudnn.so.{row.cudnn}" if row else ""
            names += (cudnn,) if cudnn and cudnn not in names else ()
        found.append(Needs(engine, distribution, version, names, _cuda(names, have)))
    return tuple(found)


def _documented(engine: str, version: str) -> tuple[str, ...]:
    """What an engine needs by its documents, where its own library does not tell."""
    if engine == "onnxruntime-gpu":
        row = onnxruntime_gpu_row(version)
        parts = ("libcublasLt", "libcublas", "libcudart")
        return tuple(f"{part}.so.{row.cuda}" for part in parts) if row else ()
    major = version.split(".")[0]
    return (f"libnvinfer.so.{major}",) if engine == "tensorrt" else (f"libtensorrt_rtx.so.{major}",)


def _cuda(names: Sequence[str], distributions: Mapping[str, str]) -> int | None:
    for name in names:
        found = re.fullmatch(r"libcudart\.so\.(\d+)", name)
        if found:
            return int(found.group(1))
    for name in distributions:
        found = re.search(r"-cu(\d\d)\b", name)
        if found:
            return int(found.group(1))
    return None


def _loader_folders(root: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    for entry in environ.get("LD_LIBRARY_PATH", "").split(":"):
        if entry.startswith("/"):
            yield root / entry.lstrip("/")
    yield from _configured(root, root / "etc/ld.so.conf", set())
    yield from (root / folder for folder in _STANDARD)


def _configured(root: Path, file: Path, seen: set[Path]) -> Iterator[Path]:
    """Folders that ld.so.conf names, and the files that it includes."""
    if file in seen:
        return
    seen.add(file)
    for line in read_text(file).splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[0] == "include":
            pattern = words[1].lstrip("/") if words[1].startswith("/") else f"etc/{words[1]}"
            for included in _folders(root, pattern):
                yield from _configured(root, included, seen)
        elif len(words) == 1 and words[0].startswith("/"):
            yield root / words[0].lstrip("/")


def _folders(top: Path, pattern: str) -> list[Path]:
    try:
        return sorted(top.glob(pattern))
    except (OSError, ValueError, NotImplementedError):
        return []


def _list(folder: Path, place: Place, found: dict[Path, CudaLibrary]) -> None:
    """Add a folder's libraries: one for each name and major version, with the longest version."""
    try:
        # /lib is a link to /usr/lib, and /usr/local/cuda one to /usr/local/cuda-13.0.
        folder = folder.resolve(strict=True)
        names = [entry.name for entry in folder.iterdir()]
    except (OSError, RuntimeError):
        return
    for file in sorted(names, key=lambda one: (len(one), one)):
        match = _FILE.fullmatch(file)
        # The driver's libcuda.so.1 is a link to libcuda.so.580.82.07, which is no version of CUDA.
        if match and not (match.group(1) == "libcuda" and match.group(2) != "1"):
            name, version = match.groups()
            key = folder / f"{name}.so.{version.split('.')[0]}"
            kept = found[key].place if key in found else place
            found[key] = CudaLibrary(
                name=name, version=version, path=str(folder / file), place=kept
            )
