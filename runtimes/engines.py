"""What compiling leaves in a folder, and the checks before it is opened again."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file, write_bytes
from edgekit.core.json_text import read_json
from edgekit.core.opening import open_file
from edgekit.core.runtime import Compiled, CompileOptions, TensorInfo
from edgekit.core.target import Target
from edgekit.runtimes.graph import Graph

__all__ = [
    "Tensors",
    "checked_engine",
    "content_of",
    "damaged",
    "finish",
    "read_tensors",
    "write_tensors",
]

_TENSORS = "tensors.json"


class Tensors(msgspec.Struct, frozen=True):
    """Inputs and outputs as the ONNX graph names them; engines lose axis names and some names."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


def finish(
    engine: Path,
    graph: Graph,
    *,
    target: Target,
    version: str,
    device: str,
    options: CompileOptions,
    began_ns: int,
) -> Compiled:
    """Write the tensors beside an engine and describe it.

    Args:
        engine: The file that was written.
        graph: What it was compiled from.
        target: Where it runs.
        version: Full version of the engine library.
        device: Name and instruction set.
        options: How it was compiled.
        began_ns: time.perf_counter_ns() at the start of compiling.
    """
    compile_ns = time.perf_counter_ns() - began_ns
    write_tensors(engine.parent, Tensors(inputs=graph.inputs, outputs=graph.outputs))
    return Compiled(
        target=str(target),
        engine=engine.name,
        graph_sha256=sha256_file(graph.path),
        engine_sha256=sha256_file(engine),
        runtime_version=version,
        device=device,
        options=options,
        compile_ns=compile_ns,
    )


def checked_engine(
    compiled: Compiled, folder: Path, *, library: str, version: str, device: str
) -> Path:
    """Return the path of an engine that was made by this library for this device.

    Whether it is whole `content_of` says.

    Args:
        compiled: What `finish` returned.
        folder: Where the engine is now.
        library: Name of the engine library.
        version: The version that is installed.
        device: "NAME | ISA" of this machine; another name with the same ISA is accepted.

    Raises:
        BadInput: The engine is missing, or made by another version or for another instruction
            set.
    """
    engine = folder / compiled.engine
    again = _again(compiled)
    if Path(compiled.engine).name != compiled.engine or not engine.is_file():
        raise BadInput(f"{engine} is missing.", hint=again)
    if compiled.runtime_version != version:
        raise BadInput(
            f"{engine} was compiled by {library} {compiled.runtime_version}, but {version} is "
            "installed.",
            hint=again,
        )
    theirs, ours = (text.rpartition(" | ")[2] for text in (compiled.device, device))
    if theirs != ours:
        raise BadInput(
            f"{engine} was compiled for the instruction set {theirs!r}, but this machine has "
            f"{ours!r}.",
            hint=again,
        )
    return engine


def content_of(engine: Path, compiled: Compiled) -> bytes:
    """Read an engine once; what is returned is what was compared with its checksum.

    Raises:
        BadInput: It cannot be read, or is not the one that was built.
    """
    try:
        with open_file(engine, follow=False) as file:
            content = file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"{engine} cannot be read: {reason}.", hint=_again(compiled)) from error
    if hashlib.sha256(content).hexdigest() != compiled.engine_sha256:
        raise damaged(engine, compiled)
    return content


def damaged(engine: Path, compiled: Compiled) -> BadInput:
    """The error of an engine that is not the one that was built."""
    return BadInput(
        f"{engine} is damaged: its sha256 is not the one recorded.", hint=_again(compiled)
    )


def _again(compiled: Compiled) -> str:
    return f"Compile it again for {compiled.target}."


def write_tensors(folder: Path, tensors: Tensors) -> None:
    """Write inputs and outputs beside an engine."""
    write_bytes(folder / _TENSORS, msgspec.json.encode(tensors))


def read_tensors(folder: Path) -> Tensors:
    """Read what `finish` wrote.

    Raises:
        BadInput: The file is missing or damaged.
    """
    hint = "Compile the model again."
    found = read_json(folder / _TENSORS, Tensors, hint=hint)
    for tensors in (found.inputs, found.outputs):
        if len({tensor.name for tensor in tensors}) < len(tensors) or not found.outputs:
            raise BadInput(
                f"{folder / _TENSORS} is damaged: it names no output, or a tensor twice.", hint=hint
            )
    return found
