"""What `doctor` reads of NVIDIA's GPUs, their libraries, and Jetson boards."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["CudaLibrary", "Gpu", "JetsonFacts", "NvidiaFacts"]


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One NVIDIA GPU; what the machine does not tell is None.

    Attributes:
        index: By PCI bus, as nvidia-smi counts; CUDA counts so with CUDA_DEVICE_ORDER=PCI_BUS_ID.
        name: "NVIDIA GeForce RTX 4090".
        sm: Compute capability without its dot: 89 for 8.9, 120 for 12.0.
        memory_bytes: All of its memory; on a Jetson the memory that CPU and GPU share.
        free_bytes: What was free when it was asked.
        driver: "580.82.07"; empty where it is not told.
        mig: Whether it is cut into instances (Multi-Instance GPU).
    """

    index: int
    name: str
    sm: int | None = None
    memory_bytes: int | None = None
    free_bytes: int | None = None
    driver: str = ""
    mig: bool = False


class CudaLibrary(msgspec.Struct, frozen=True, kw_only=True):
    """One shared library of NVIDIA's, found by its name and not loaded.

    Attributes:
        name: "libcublas".
        version: What follows ".so.": "12", or "12.6.4.1" where the file says more.
        path: Where it lies.
        place: "loader" where the system's loader finds it by itself, "package" in a Python package,
            from where an engine has to load it, "elsewhere" in a folder where nothing looks.
    """

    name: str
    version: str
    path: str
    place: Literal["loader", "package", "elsewhere"]


class NvidiaFacts(msgspec.Struct, frozen=True, kw_only=True):
    """NVIDIA's side of a machine.

    Attributes:
        driver: Version of the kernel module; empty where there is none.
        gpus: By index.
        libraries: CUDA's, cuDNN's and TensorRT's.
        instances: Names of MIG instances.
        error: What nvidia-smi said where it failed.
        on_bus: NVIDIA's display controllers on the PCI bus, whether or not a driver has them.
        note: How far what is said here can be trusted.
    """

    driver: str = ""
    gpus: tuple[Gpu, ...] = ()
    libraries: tuple[CudaLibrary, ...] = ()
    instances: tuple[str, ...] = ()
    error: str = ""
    on_bus: int = 0
    note: str = ""


class JetsonFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A Jetson board; what it does not tell is empty, or None.

    Attributes:
        model: As its device tree names it, "NVIDIA Jetson AGX Orin Developer Kit".
        chip: "tegra234" (Orin), "tegra264" (Thor).
        l4t: Jetson Linux, "36.4.3".
        jetpack: Version of the package nvidia-jetpack, else what L4T implies: "6.2" or "6".
        power_mode: Name of nvpmodel's mode, "MAXN".
        power_mode_id: Its number.
        power_mode_max_id: Number of the mode with the largest power budget, by nvpmodel's table.
        clocks_locked: Whether jetson_clocks holds the clocks at their maximum.
        memory_bytes: Shared by CPU and GPU.
        available_bytes: What programs could still get.
        swap_bytes: Swap on disk. zram is left out: it is the same memory, compressed.
        swap_free_bytes: What is left of it.
        note: How far what is said here can be trusted.
    """

    model: str = ""
    chip: str = ""
    l4t: str = ""
    jetpack: str = ""
    power_mode: str = ""
    power_mode_id: int | None = None
    power_mode_max_id: int | None = None
    clocks_locked: bool | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    swap_bytes: int | None = None
    swap_free_bytes: int | None = None
    note: str = ""
