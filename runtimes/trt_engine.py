"""What lies beside an engine of TensorRT, and the checks before it is deserialized.

A plan is native code and pointers: TensorRT trusts it. So nothing reaches `deserialize` that is
not, byte for byte, what was built, by this version, for this GPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgekit.core.documents import Gpu
from edgekit.core.errors import BadInput
from edgekit.core.files import pretty_json, write_bytes
from edgekit.core.json_text import read_json
from edgekit.core.runtime import Compiled, ShapeProfile
from edgekit.runtimes.compatibility import dotted
from edgekit.runtimes.installed import older_than
from edgekit.runtimes.trt_build import PRODUCTS, Built, BuiltLayer

__all__ = [
    "EngineRecord",
    "check_engine",
    "engine_device",
    "find_record",
    "planned",
    "read_record",
    "write_record",
]

_RECORD = "build.json"
# "hardware" portability is NVIDIA's "Ampere and newer".
_AMPERE = 80


class EngineRecord(msgspec.Struct, frozen=True):
    """What the builder told of an engine.

    Attributes:
        builder: Name and full version.
        profiles: Optimization profiles; empty where every shape is fixed.
        layers: Of the network as the builder read it, before fusing.
        sizes: "weights_bytes", "activations_bytes", "scratch_bytes": what the engine takes on the
            device, with its largest profile; as far as the builder told.
        attempts: A sentence for each attempt that failed before.
        warnings: The builder's.
    """

    builder: str
    profiles: tuple[ShapeProfile, ...] = ()
    layers: tuple[BuiltLayer, ...] = ()
    sizes: dict[str, int] = {}
    attempts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def write_record(folder: Path, built: Built, *, title: str) -> None:
    """Write what a builder told beside its engine."""
    record = EngineRecord(
        builder=title,
        profiles=built.profiles,
        layers=built.layers,
        sizes=built.sizes,
        attempts=built.attempts,
        warnings=built.warnings,
    )
    write_bytes(folder / _RECORD, pretty_json(record))


def read_record(folder: Path) -> EngineRecord:
    """Read what `write_record` wrote.

    Raises:
        BadInput: It is missing or damaged.
    """
    return read_json(folder / _RECORD, EngineRecord, hint="Compile the model again.")


def find_record(folder: Path) -> EngineRecord | None:
    """Read what `write_record` wrote; None where the engine is of a library that writes none.

    Raises:
        BadInput: It is damaged.
    """
    return read_record(folder) if (folder / _RECORD).is_file() else None


def planned(built: Built) -> dict[str, float]:
    """Return the share of the network's products by the precision they are built in.

    Largest first; empty where the network has no convolution or matrix product.
    """
    products = [layer.precision for layer in built.layers if layer.kind in PRODUCTS]
    counts = Counter(products).most_common()
    return {precision: count / len(products) for precision, count in counts}


def engine_device(sm: Sequence[int]) -> str:
    """Name what an engine is for that is built without its GPU: "any GPU | sm86,sm89"."""
    return f"any GPU | {','.join(f'sm{one}' for one in sm)}"


def check_engine(
    compiled: Compiled, folder: Path, record: EngineRecord, *, version: str, gpu: Gpu
) -> Path:
    """Return the path of an engine of this version, for this GPU.

    Whether it is whole `content_of` says.

    Args:
        compiled: What the build returned.
        folder: Where the engine is now.
        record: What the builder told.
        version: Of the library that is installed.
        gpu: That it shall run on.

    Raises:
        BadInput: The engine is missing, of another version or for another GPU.
    """
    again = f"Compile it again for {compiled.target}."
    engine = folder / compiled.engine
    if Path(compiled.engine).name != compiled.engine or not engine.is_file():
        raise BadInput(f"{engine} is missing.", hint=again)
    portable = compiled.options.portable
    theirs = compiled.device.rpartition(" | ")[2].replace("sm", "").split(",")
    # A driver may be too old to tell the architecture; then the GPU's name has to be the same.
    fits = (
        str(gpu.sm) in theirs
        if gpu.sm is not None
        else theirs == ["?"] and compiled.device.startswith(f"{gpu.name} | ")
    ) or ("hardware" in portable and gpu.sm is not None and gpu.sm >= _AMPERE)
    same = compiled.runtime_version == version or (
        "version" in portable
        and _major(compiled.runtime_version) == _major(version)
        and not older_than(version, compiled.runtime_version)
    )
    if not (fits and same):
        built_for = " and ".join(_dotted(one) for one in theirs)
        raise BadInput(
            f"{engine} was built by {record.builder} for SM {built_for}; this is {version} on SM "
            f"{'?' if gpu.sm is None else dotted(gpu.sm)}.",
            hint=again,
        )
    return engine


def _dotted(sm: str) -> str:
    return dotted(int(sm)) if sm.isdigit() else sm


def _major(version: str) -> str:
    return version.partition(".")[0]
