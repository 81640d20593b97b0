"""What is wrong with a Jetson: power, clocks, memory, and a TensorRT that is out of reach."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from edgekit.core.documents import JetsonFacts, NvidiaFacts
from edgekit.runtimes.compatibility import jetpack_of
from edgekit.runtimes.cuda_libraries import Needs
from edgekit.runtimes.installed import older_than
from edgekit.runtimes.words import gib

__all__ = ["jetson_problems"]

# TensorRT's builder tries kernels beside each other; below this it is killed on small models too.
_BUILD_BYTES = 4 << 30


def jetson_problems(
    jetson: JetsonFacts | None, nvidia: NvidiaFacts | None, needs: Sequence[Needs]
) -> list[str]:
    """Return sentences on a board; nothing on any other machine.

    Args:
        jetson: None on any other machine.
        nvidia: For the libraries of the system.
        needs: Of the engines that this Python sees.
    """
    if jetson is None:
        return []
    return [*_power(jetson), *_memory(jetson), *_tensorrt(jetson, nvidia, needs)]


def _power(jetson: JetsonFacts) -> Iterator[str]:
    best = jetson.power_mode_max_id
    if best is not None and jetson.power_mode_id not in (None, best):
        yield (
            f"The board runs in power mode {jetson.power_mode or jetson.power_mode_id}, which is "
            "not its fastest, and every figure is that mode's. "
            f"Run: sudo nvpmodel -m {best}"
        )
    if jetson.clocks_locked is False:
        yield (
            "The clocks may move (jetson_clocks is off), so that latencies scatter. "
            "Run before a measurement: sudo jetson_clocks"
        )


def _memory(jetson: JetsonFacts) -> Iterator[str]:
    swap = jetson.swap_free_bytes or 0
    if jetson.available_bytes is not None and jetson.available_bytes + swap < _BUILD_BYTES:
        yield (
            f"{gib(jetson.available_bytes)} of memory and {gib(swap)} of swap are free, which may "
            "not be enough to build an engine (CPU and GPU share it; zram does not count). "
            "Run: sudo fallocate -l 8G /swapfile && sudo chmod 600 /swapfile && "
            "sudo mkswap /swapfile && sudo swapon /swapfile"
        )


def _tensorrt(
    jetson: JetsonFacts, nvidia: NvidiaFacts | None, needs: Sequence[Needs]
) -> Iterator[str]:
    row = jetpack_of(jetson.l4t)
    if row is None or any(one.engine == "tensorrt" for one in needs):
        return
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    libraries = nvidia.libraries if nvidia else ()
    if older_than(row.python, "3.10"):
        yield (
            f"JetPack {row.jetpack} (L4T {jetson.l4t}) brings TensorRT {row.tensorrt} for Python "
            f"{row.python}, which edgekit does not run on. Flash JetPack 6 or newer."
        )
    elif not any(one.name == "libnvinfer" and one.place == "loader" for one in libraries):
        yield "JetPack's TensorRT is not installed. Run: sudo apt install nvidia-jetpack"
    elif here != row.python:
        yield (
            f"JetPack's TensorRT is for Python {row.python}, and this is {here}. "
            f"Run: python{row.python} -m venv --system-site-packages venv"
        )
    else:
        yield (
            "JetPack's TensorRT lies in the system and this environment does not see it. "
            "Run: python3 -m venv --system-site-packages venv"
        )
