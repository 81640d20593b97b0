"""What goes with what, from the one table beside this file; each row has its source."""

from __future__ import annotations

import functools
from importlib.resources import files

import msgspec

from edgekit.core.json_text import parse_json
from edgekit.runtimes.installed import older_than

__all__ = [
    "Chip",
    "Compatibility",
    "CompatibilityRow",
    "Driver",
    "Jetpack",
    "Minimum",
    "OnnxruntimeGpu",
    "TensorRT",
    "compatibility",
    "dotted",
    "driver_minimum",
    "jetpack_of",
    "onnxruntime_gpu_row",
    "tensorrt_row",
]


class CompatibilityRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every row has.

    Attributes:
        source: Address of the document.
        verified: Whether it was read there; False where the row is from elsewhere.
        note: What else is to be known.
    """

    source: str
    verified: bool
    note: str = ""


class Minimum(CompatibilityRow, frozen=True, kw_only=True):
    """The oldest release of a distribution that edgekit takes."""

    distribution: str
    version: str


class Driver(CompatibilityRow, frozen=True, kw_only=True):
    """The oldest driver, on Linux, for a major release of CUDA."""

    cuda: int
    driver: str


class OnnxruntimeGpu(CompatibilityRow, frozen=True, kw_only=True):
    """What onnxruntime-gpu of the package index is built for, from a release on."""

    since: str
    cuda: int
    cudnn: int


class TensorRT(CompatibilityRow, frozen=True, kw_only=True):
    """What a TensorRT takes, from a release on.

    Attributes:
        runtime: "tensorrt" or "tensorrt-rtx".
        since: First release.
        sm_min: Smallest compute capability, 75 for 7.5.
        sm_max: Largest; None where every later one is taken.
        sms: All of them, where it is a list and no range.
        driver: Oldest driver that the document names.
        jetpack: Whether there are builds of it for Jetson.
    """

    runtime: str
    since: str
    sm_min: int = 0
    sm_max: int | None = None
    sms: tuple[int, ...] = ()
    driver: str | None = None
    jetpack: bool = False

    def takes(self, sm: int) -> bool:
        """Whether it has kernels for a compute capability."""
        if self.sms:
            return sm in self.sms
        return self.sm_min <= sm and (self.sm_max is None or sm <= self.sm_max)

    def words(self) -> str:
        """The compute capabilities in words: "7.5, 8.6" or "7.5 to 9.0"."""
        if self.sms:
            return ", ".join(map(dotted, self.sms))
        if self.sm_max is None:
            return f"{dotted(self.sm_min)} and newer"
        return f"{dotted(self.sm_min)} to {dotted(self.sm_max)}"


class Jetpack(CompatibilityRow, frozen=True, kw_only=True):
    """What a JetPack brings, by its Jetson Linux (L4T)."""

    l4t: str
    jetpack: str
    cuda: str
    tensorrt: str
    python: str


class Chip(CompatibilityRow, frozen=True, kw_only=True):
    """Compute capability of a Jetson's chip."""

    chip: str
    name: str
    sm: int


class Compatibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole table; newest first where rows have a release."""

    about: str
    minimums: tuple[Minimum, ...]
    drivers: tuple[Driver, ...]
    onnxruntime_gpu: tuple[OnnxruntimeGpu, ...]
    tensorrt: tuple[TensorRT, ...]
    jetpacks: tuple[Jetpack, ...]
    chips: tuple[Chip, ...]


@functools.cache
def compatibility() -> Compatibility:
    """Return the table, read once."""
    data = files("edgekit.runtimes").joinpath("compatibility.json").read_bytes()
    return parse_json(data, "compatibility.json", Compatibility)


def dotted(sm: int) -> str:
    """Compute capability as NVIDIA writes it, "8.9" for 89."""
    return f"{sm // 10}.{sm % 10}"


def driver_minimum(cuda: int) -> Driver | None:
    """The oldest driver for a major release of CUDA; None where the table has no such release."""
    return next((row for row in compatibility().drivers if row.cuda == cuda), None)


def onnxruntime_gpu_row(version: str) -> OnnxruntimeGpu | None:
    """What an onnxruntime-gpu is built for; None for one that is too old for the table."""
    rows = compatibility().onnxruntime_gpu
    return next((row for row in rows if not older_than(version, row.since)), None)


def tensorrt_row(runtime: str, version: str) -> TensorRT | None:
    """What a TensorRT takes; None for one that is too old for the table.

    Args:
        runtime: "tensorrt" or "tensorrt-rtx".
        version: "10.13.3.9".
    """
    rows = [row for row in compatibility().tensorrt if row.runtime == runtime]
    return next((row for row in rows if not older_than(version, row.since)), None)


def jetpack_of(l4t: str) -> Jetpack | None:
    """The JetPack of a Jetson Linux, by the longest row that it begins with.

    Args:
        l4t: "36.4.3".
    """
    rows = [row for row in compatibility().jetpacks if f"{l4t}.".startswith(f"{row.l4t}.")]
    return max(rows, key=lambda row: len(row.l4t), default=None)
