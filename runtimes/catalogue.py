"""The runtimes as plain data, so that listing them imports none of them."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.names import closest
from edgekit.core.target import Target
from edgekit.runtimes.ort_providers import FLAVOURS, short_name

if TYPE_CHECKING:
    from edgekit.core.runtime import Runtime

__all__ = [
    "ALL",
    "CATALOGUE",
    "ENTRY_POINTS",
    "PREFERENCE",
    "Entry",
    "among",
    "broken_entries",
    "is_all",
    "load_runtime",
    "parse_target",
    "parse_targets",
    "preferred",
    "takes_provider_options",
    "targets",
]

# Instead of a target: every one that is usable.
ALL = "all"

# Third parties name an object of type Entry in this group; the entry point's name is the runtime's.
ENTRY_POINTS = "edgekit.runtimes"


@dataclass(frozen=True)
class Entry:
    """One runtime.

    Attributes:
        module: Module that holds the runtime as `RUNTIME`; imported only when it is used.
        aliases: Short names.
        devices: Devices, the default one first; "ep=" stands for execution providers by name.
        distributions: Distributions that bring the engine's library.
        extra: The extra of edgekit that installs it; empty where there is none.
        summary: What it is, in a few words.
        indexed: Devices of which there may be several, so that they take an index.
        configurable: Devices that are execution providers, so that they take --provider-option.
        listed: Whether `doctor` lists it.
    """

    module: str
    aliases: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    distributions: tuple[str, ...] = ()
    extra: str = ""
    summary: str = ""
    indexed: tuple[str, ...] = ()
    configurable: tuple[str, ...] = ()
    listed: bool = True


CATALOGUE: dict[str, Entry] = {
    "onnxruntime": Entry(
        module="edgekit.runtimes.ort",
        aliases=("ort",),
        devices=("cpu", "cuda", "ep="),
        distributions=FLAVOURS,
        extra="cpu",
        summary="ONNX Runtime",
        indexed=("cuda",),
        configurable=("cuda", "ep="),
    ),
    "openvino": Entry(
        module="edgekit.runtimes.ov",
        aliases=("ov",),
        devices=("cpu", "gpu", "npu"),
        distributions=("openvino",),
        extra="cpu",
        summary="OpenVINO",
        indexed=("gpu",),
    ),
    "tensorrt": Entry(
        module="edgekit.runtimes.trt",
        aliases=("trt", "engine"),
        devices=("cuda",),
        distributions=("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
        extra="tensorrt",
        summary="NVIDIA TensorRT",
        indexed=("cuda",),
    ),
    "tensorrt-rtx": Entry(
        module="edgekit.runtimes.trt",
        aliases=("trt-rtx", "rtx"),
        devices=("cuda",),
        distributions=("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx"),
        extra="tensorrt-rtx",
        summary="NVIDIA TensorRT for RTX",
        indexed=("cuda",),
    ),
    "null": Entry(
        module="edgekit.runtimes.null",
        summary="answers zeros; for tests and for measuring edgekit itself",
        listed=False,
    ),
}
# Where a model runs for which no target was named: the first of these that is usable. The order is
# fixed, so that the same machine always gives the same answer; `bench --target all` measures.
PREFERENCE = {
    "x86": (
        "tensorrt:cuda",
        "tensorrt-rtx:cuda",
        "onnxruntime:cuda",
        "openvino:cpu",
        "onnxruntime:cpu",
        "openvino:gpu",
        "openvino:npu",
    ),
    "arm": (
        "tensorrt:cuda",
        "tensorrt-rtx:cuda",
        "onnxruntime:cuda",
        "onnxruntime:cpu",
        "openvino:cpu",
        "openvino:gpu",
        "openvino:npu",
    ),
}
_ARM = ("aarch64", "arm64", "armv7l")
# What a device's name may mean where no runtime stands before it, beside that device itself.
_DEVICES = {"gpu": ("cuda", "gpu")}


def preferred(machine: str = "") -> list[Target]:
    """Every target with a name of its own, in the order in which one is chosen.

    Args:
        machine: As platform.machine() calls it; empty means this one.
    """
    family = "arm" if (machine or platform.machine()).lower() in _ARM else "x86"
    order = PREFERENCE[family]
    return sorted(
        targets(), key=lambda one: order.index(str(one)) if str(one) in order else len(order)
    )


def parse_targets(text: str) -> list[Target]:
    """Parse what --target takes: a target, a device that several runtimes have, or "all".

    Examples: "cpu" and "gpu" are every CPU and GPU target, "cuda:0" every target of NVIDIA's first
    GPU; "openvino:cpu" is that target alone.

    Returns:
        What is meant, in the order of `preferred`, whether it is usable here or not.

    Raises:
        BadInput: Neither a target nor a device; names the closest.
    """
    word, colon, index = text.strip().partition(":")
    if word.lower() in _aliases():
        return [parse_target(text)]
    if is_all(text):
        return preferred()
    devices = _DEVICES.get(word.lower(), (word.lower(),))
    found = [one for one in preferred() if one.device in devices]
    if not found:
        return [parse_target(text)]
    if not colon:
        return found
    indexed = [one for one in found if one.device in _entries(one.runtime)[one.runtime].indexed]
    if not indexed:
        raise BadInput(f"Target {text!r}: {word} takes no index.", hint=f"Write {word}.")
    return [parse_target(f"{one}:{index}") for one in indexed]


def is_all(text: str) -> bool:
    """Whether every usable target is asked for."""
    return text.strip().lower() == ALL


def among(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return which of some targets are meant, in their order; where none is, what is meant itself.

    Args:
        text: As `parse_targets` takes it. Without an index it means every index.
        known: Targets in full, for instance those of a bundle.
    """
    known = tuple(known)
    if is_all(text):
        return known
    meant = parse_targets(text)
    found = tuple(one for one in known if any(_covers(wide, parse_target(one)) for wide in meant))
    return found or tuple(map(str, meant))


def _covers(wide: Target, one: Target) -> bool:
    """Whether a target is another one, or that with an index where the other has none."""
    # The first of several devices is the one that is meant where none is named.
    same = wide.index is None or wide.index == (one.index or 0)
    return same and (wide.runtime, wide.device) == (one.runtime, one.device)


def parse_target(text: str) -> Target:
    """Parse RUNTIME[:DEVICE[:INDEX]]; aliases and a missing device are filled in.

    Examples: "openvino:gpu:1", "ort" (onnxruntime:cpu), "ort:ep=QNN". Capitals are small letters. A
    provider's name is written in one way only, however it was typed: ep=qnn and
    ep=QNNExecutionProvider are ep=QNN.

    Raises:
        BadInput: Names the part that is wrong and the closest match.
    """
    name, _, rest = text.strip().partition(":")
    runtime = _full_name(name, text)
    entry = _entries(runtime)[runtime]
    device, _, index = rest.partition(":")
    device = device or entry.devices[0]
    if "=" not in device:
        device = device.lower()
    if device.startswith("ep=") and "ep=" in entry.devices:
        if len(device) == len("ep="):
            raise BadInput(f"Target {text!r} names no provider.", hint="Write ep=NAME.")
        if index:
            raise BadInput(f"Target {text!r}: ep=NAME takes no index.", hint="Leave it out.")
        return Target(runtime, f"ep={short_name(device.removeprefix('ep='))}")
    if device not in entry.devices:
        raise BadInput(
            f"Target {text!r}: {runtime} has no device {device!r}.",
            hint=closest(device, [f"{one}NAME" if one == "ep=" else one for one in entry.devices]),
        )
    if not index and not rest.endswith(":"):
        return Target(runtime, device)
    if device not in entry.indexed:
        raise BadInput(
            f"Target {text!r}: {runtime}:{device} takes no index.",
            hint=f"Write {runtime}:{device}.",
        )
    if not (index.isascii() and index.isdigit()):
        raise BadInput(
            f"Target {text!r}: the index {index!r} is not a number.",
            hint=f"Write {runtime}:{device}:0.",
        )
    return Target(runtime, device, int(index))


def takes_provider_options(target: Target) -> bool:
    """Whether a target is an execution provider, which options of its own can be given to."""
    kind = "ep=" if target.device.startswith("ep=") else target.device
    return kind in _entries(target.runtime)[target.runtime].configurable


def load_runtime(name: str) -> Runtime:
    """Import a runtime's module and return the runtime.

    Args:
        name: Full name or alias.

    Raises:
        BadInput: There is no such runtime.
        Unavailable: A third party's module does not import.
    """
    runtime = _full_name(name, name)
    entry = _entries(runtime)[runtime]
    try:
        module = importlib.import_module(entry.module)
        loaded: Runtime = module.RUNTIME
    except (ImportError, AttributeError) as error:
        if runtime in CATALOGUE:
            raise
        raise Unavailable(
            f"Runtime {runtime!r} does not load: {error}.",
            hint="Ask the one who made it.",
        ) from error
    return loaded


def targets() -> list[Target]:
    """Every target with a name of its own, third parties' too, without importing any engine."""
    return [
        Target(name, device)
        for name, entry in {**_third_parties(), **CATALOGUE}.items()
        for device in entry.devices
        if entry.listed and device != "ep="
    ]


def broken_entries() -> dict[str, str]:
    """Third parties' runtimes whose entry point does not load, with the reason."""
    broken: dict[str, str] = {}
    _third_parties(broken)
    return broken


def _aliases() -> dict[str, str]:
    """Name or alias of our own runtimes to the full name."""
    return {alias: full for full, entry in CATALOGUE.items() for alias in (full, *entry.aliases)}


def _full_name(name: str, text: str) -> str:
    known = _aliases()
    if name in known:
        return known[name]
    if name.lower() in known:
        return known[name.lower()]
    for full, entry in _third_parties().items():
        known.update(dict.fromkeys((full, *entry.aliases), full))
    if name in known:
        return known[name]
    words = sorted({*_DEVICES, *(one.device for one in targets())})
    if name in words:
        raise BadInput(
            f"Target {text!r} names a device and no runtime.",
            hint=f"For instance {parse_targets(name)[0]}.",
        )
    raise BadInput(
        f"Target {text!r}: there is no runtime {name!r} and no such device.",
        hint=closest(name, [*known, *words]),
    )


def _entries(runtime: str) -> dict[str, Entry]:
    """The catalogue that holds a runtime; third parties are looked up only where they are meant."""
    return CATALOGUE if runtime in CATALOGUE else _third_parties()


def _third_parties(broken: dict[str, str] | None = None) -> dict[str, Entry]:
    """Runtimes that other distributions offer; a name of ours cannot be taken."""
    found: dict[str, Entry] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.name in CATALOGUE or point.name in found:
            continue
        try:
            entry = point.load()
        except Exception as error:  # a stranger's module must not take ours down
            if broken is not None:
                broken[point.name] = f"{type(error).__name__}: {error}"
            continue
        if isinstance(entry, Entry):
            found[point.name] = entry
        elif broken is not None:
            broken[point.name] = f"{point.value} is not an edgekit.runtimes.catalogue.Entry"
    return found
