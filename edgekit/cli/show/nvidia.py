"""What `doctor` read of NVIDIA's GPUs, their libraries, and a Jetson."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import NOTHING, facts, line, sentence
from edgekit.core.documents import CudaLibrary, Gpu, JetsonFacts, NvidiaFacts
from edgekit.runtimes.compatibility import dotted
from edgekit.runtimes.words import gib

__all__ = ["show_jetson", "show_nvidia"]


def show_nvidia(nvidia: NvidiaFacts, console: Console) -> None:
    """Print driver, GPUs and libraries."""
    line(console)
    facts(
        console,
        [
            ("driver", nvidia.driver or NOTHING),
            *((f"GPU {one.index}", _gpu(one)) for one in nvidia.gpus),
            *([("MIG", ", ".join(nvidia.instances))] if nvidia.instances else []),
            ("libraries", ", ".join(_libraries(nvidia.libraries)) or NOTHING),
        ],
    )
    _note(nvidia.note, console)


def show_jetson(jetson: JetsonFacts, console: Console) -> None:
    """Print release, power and memory of a board."""
    release = f"JetPack {jetson.jetpack or NOTHING}, L4T {jetson.l4t or NOTHING}"
    clocks = {True: ", clocks locked", False: ", clocks may move", None: ""}
    mode = jetson.power_mode or (
        NOTHING if jetson.power_mode_id is None else str(jetson.power_mode_id)
    )
    line(console)
    facts(
        console,
        [
            ("board", jetson.model or jetson.chip or NOTHING),
            ("release", release),
            ("power mode", f"{mode}{clocks[jetson.clocks_locked]}"),
            ("memory", f"{_free(jetson.available_bytes, jetson.memory_bytes)}"),
            ("swap on disk", f"{_free(jetson.swap_free_bytes, jetson.swap_bytes)}"),
        ],
    )
    _note(jetson.note, console)


def _gpu(gpu: Gpu) -> str:
    capability = f"compute capability {dotted(gpu.sm)}" if gpu.sm is not None else ""
    memory = _free(gpu.free_bytes, gpu.memory_bytes) if gpu.memory_bytes is not None else ""
    return ", ".join(filter(None, (gpu.name, capability, memory, "MIG" if gpu.mig else "")))


def _free(free: int | None, whole: int | None) -> str:
    if whole is None:
        return NOTHING
    return gib(whole) if free is None else f"{gib(free)} of {gib(whole)} free"


def _libraries(libraries: Sequence[CudaLibrary]) -> Iterator[str]:
    """One entry for each library and place, "libcudnn 9.1.0 (package)"."""
    where = {"loader": "", "package": " (package)", "elsewhere": " (not on the loader's path)"}
    seen = dict.fromkeys((one.name, one.version, one.place) for one in libraries)
    for name, version, place in seen:
        yield f"{name} {version}{where[place]}"


def _note(note: str, console: Console) -> None:
    if note:
        sentence(console, Text.assemble(("note  ", "bold"), f"{note[:1].upper()}{note[1:]}."))
