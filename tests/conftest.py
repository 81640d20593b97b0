"""What all tests share: where the real data is, which tests this machine cannot run, threads."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before any library reads them: tests run beside each other on two cores.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "2")

ROOT = Path(__file__).resolve().parent.parent


def _realdata_folder() -> Path:
    return Path(os.environ.get("EDGEKIT_REALDATA", ROOT.parent / "shared" / "data"))


def _reason_without_gpu() -> str:
    """Why no NVIDIA GPU can be used here; empty where one can."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1) on this machine"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "the NVIDIA driver does not start"
    return "" if count.value else "the NVIDIA driver sees no GPU"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = _realdata_folder()
    reasons = {}
    if not (folder / "manifest.json").is_file():
        reasons["realdata"] = f"no real data in {folder}; set EDGEKIT_REALDATA"
    if any(item.get_closest_marker("gpu") for item in items) and (gpu := _reason_without_gpu()):
        reasons["gpu"] = gpu
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """A cache of the tests' own; what one test makes another finds, as a user would."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real models and labelled images."""
    folder = _realdata_folder()
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"no real data in {folder}; set EDGEKIT_REALDATA")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT
