"""What is wrong with NVIDIA's side of a machine: driver, libraries, GPUs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from edgekit.core.documents import CudaLibrary, NvidiaFacts
from edgekit.runtimes.compatibility import (
    TensorRT,
    compatibility,
    dotted,
    driver_minimum,
    tensorrt_row,
)
from edgekit.runtimes.cuda_libraries import Needs
from edgekit.runtimes.installed import older_than
from edgekit.runtimes.words import listed

__all__ = ["nvidia_problems"]

_INDEX = "--extra-index-url https://pypi.nvidia.com"
_NAMES = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT for RTX"}


def nvidia_problems(
    nvidia: NvidiaFacts | None,
    needs: Sequence[Needs],
    *,
    on_jetson: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """Return sentences on driver, libraries and GPUs.

    Args:
        nvidia: None where there is nothing of NVIDIA's.
        needs: Of the installed engines.
        on_jetson: There the driver belongs to the system's release, and follows other numbers.
        environ: For CUDA's own variables.
    """
    facts = nvidia or NvidiaFacts()
    return [
        *_driver(facts, needs, on_jetson),
        *(sentence for one in needs for sentence in _libraries(facts, one, on_jetson)),
        *(sentence for one in needs for sentence in _kernels(facts, one, on_jetson)),
        *_instances(facts),
        *_order(facts, environ),
    ]


def _driver(facts: NvidiaFacts, needs: Sequence[Needs], on_jetson: bool) -> Iterator[str]:
    if "version mismatch" in facts.error:
        # The kernel still has the old module of a driver that was updated.
        yield f"nvidia-smi says: {facts.error}. Run: sudo reboot"
    elif facts.error:
        yield f"nvidia-smi says: {facts.error.rstrip('.')}. Run: sudo modprobe nvidia"
    elif facts.on_bus and not facts.gpus and not facts.driver:
        yield (
            "The machine has an NVIDIA GPU and no driver of NVIDIA's is loaded. "
            "Run: sudo ubuntu-drivers install (in a container: start it with --gpus all)"
        )
    if not facts.driver or on_jetson:
        return
    for one in needs:
        row = driver_minimum(one.cuda) if one.cuda is not None else None
        if row and older_than(facts.driver, row.driver):
            yield (
                f"The driver {facts.driver} is too old for CUDA {row.cuda}, which "
                f"{one.distribution} {one.version} needs; that takes {row.driver} or newer. "
                f"Update the driver{_or_older(one, facts.driver)}"
            )


def _or_older(one: Needs, driver: str) -> str:
    """The release of ONNX Runtime that this driver is new enough for."""
    if one.engine != "onnxruntime-gpu":
        return "."
    rows = compatibility().onnxruntime_gpu
    for newer, row in itertools.pairwise(rows):
        minimum = driver_minimum(row.cuda)
        if minimum and not older_than(driver, minimum.driver):
            return f", or run: pip install 'onnxruntime-gpu<{newer.since}'"
    return "."


def _libraries(facts: NvidiaFacts, one: Needs, on_jetson: bool) -> Iterator[str]:
    missing, hidden = [], []
    for name in one.libraries:
        found = [library for library in facts.libraries if _soname(library) == name]
        if any(library.place != "elsewhere" for library in found):
            continue
        if found:
            hidden.append(found[0])
        # Without a GPU there is no driver, and nothing that would miss its library.
        elif not name.startswith("libcuda.so") or facts.gpus:
            missing.append(name)
    if missing:
        there = "is not there" if len(missing) == 1 else "are not there"
        yield (
            f"{one.distribution} {one.version} needs {listed(missing)}, which {there}. "
            f"Run: {_install(one, missing, on_jetson)}"
        )
    if hidden:
        folders = dict.fromkeys(str(PurePath(library.path).parent) for library in hidden)
        yield (
            f"{one.distribution} {one.version} needs {listed([_soname(one) for one in hidden])}, "
            "and the loader does not look where they lie. "
            f"Run: export LD_LIBRARY_PATH={':'.join(folders)}:$LD_LIBRARY_PATH"
        )


def _soname(library: CudaLibrary) -> str:
    return f"{library.name}.so.{library.version.split('.')[0]}"


def _install(one: Needs, missing: Sequence[str], on_jetson: bool) -> str:
    if missing == ["libcuda.so.1"]:
        return "docker run --gpus all … (in a container), else install the driver again"
    if on_jetson:
        return "sudo apt install nvidia-jetpack"
    if one.engine == "onnxruntime-gpu":
        return f"pip install 'onnxruntime-gpu[cuda,cudnn]=={one.version}'"
    suffix = f"-cu{one.cuda}" if one.cuda else ""
    return f"pip install {_INDEX} {one.engine}{suffix}=={one.version}"


def _kernels(facts: NvidiaFacts, one: Needs, on_jetson: bool) -> Iterator[str]:
    row = tensorrt_row(one.engine, one.version)
    if row is None:
        return
    named = f"{_NAMES[one.engine]} {one.version}"
    if on_jetson and not row.jetpack:
        yield f"{named} is not made for Jetson. Run: pip uninstall -y {one.distribution}"
        return
    for gpu in facts.gpus:
        if gpu.sm is not None and not row.takes(gpu.sm):
            doubt = "" if row.verified else " (not verified)"
            yield (
                f"{named} has no kernels for GPU {gpu.index}, {gpu.name}, of compute capability "
                f"{dotted(gpu.sm)}; it knows {row.words()}{doubt}. {_other(row, gpu.sm)}"
            )


def _other(row: TensorRT, sm: int) -> str:
    """What to run on a GPU that a TensorRT does not know."""
    newest = next(one for one in compatibility().tensorrt if one.runtime == "tensorrt")
    if newest.takes(sm):
        return f"Run: pip install --upgrade {_INDEX} tensorrt"
    older = [one for one in compatibility().tensorrt if one.takes(sm) and one != row]
    if older:
        return f"Take TensorRT {older[0].since}, or the target onnxruntime:cuda."
    return "Take the target onnxruntime:cuda, or the CPU."


def _instances(facts: NvidiaFacts) -> Iterator[str]:
    for gpu in facts.gpus:
        if not gpu.mig:
            continue
        have = f"its instances ({', '.join(facts.instances)})" if facts.instances else "no instance"
        yield (
            f"GPU {gpu.index}, {gpu.name}, is in MIG mode: CUDA sees {have}, one in a process, "
            "and figures are of that slice. Choose one by its UUID of nvidia-smi -L with "
            f"CUDA_VISIBLE_DEVICES, or run: sudo nvidia-smi -i {gpu.index} -mig 0"
        )


def _order(facts: NvidiaFacts, environ: Mapping[str, str]) -> Iterator[str]:
    if len({gpu.name for gpu in facts.gpus}) > 1 and environ.get("CUDA_DEVICE_ORDER") != (
        "PCI_BUS_ID"
    ):
        yield (
            "The GPUs are of different kinds: CUDA counts them by speed, nvidia-smi and this list "
            "by bus. Run: export CUDA_DEVICE_ORDER=PCI_BUS_ID"
        )
