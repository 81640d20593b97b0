"""What a runtime must offer: four small protocols and the records they exchange.

A runtime is one module. It probes the machine, compiles one ONNX graph for one target into a
folder, and opens that folder as a Session. The model's roles (encoder, step) are the caller's
matter: a runtime sees one graph at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec

from edgekit.core.fields import Amount, Count, DType, Positive, Size
from edgekit.core.progress import Progress
from edgekit.core.target import Target

__all__ = [
    "Adopting",
    "Array",
    "Binding",
    "Building",
    "CompileOptions",
    "Compiled",
    "DeviceMemory",
    "DeviceTimed",
    "Feeds",
    "NodePlacement",
    "Placement",
    "Probe",
    "Queue",
    "Queueing",
    "Runtime",
    "Session",
    "ShapeProfile",
    "TensorInfo",
]

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    # Documents hold records of this module, and importing numpy takes longer than all of edgekit.
    Array = Any
Feeds = Mapping[str, Array]
# Input name to its smallest, typical and largest shape, which an engine is built for.
ShapeProfile = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]


class TensorInfo(msgspec.Struct, frozen=True):
    """An input or output as the engine sees it.

    Attributes:
        name: As in the ONNX graph.
        dtype: numpy dtype name.
        shape: Sizes; a string is a dynamic axis by name (or "?" where the engine lost the name).
    """

    name: str
    dtype: DType
    shape: tuple[Size | str, ...]

    def accepts(self, array: Array) -> bool:
        """Whether an array fits, dynamic axes taking any size."""
        import numpy as np

        return (
            array.dtype == np.dtype(self.dtype)
            and array.ndim == len(self.shape)
            and all(
                isinstance(size, str) or size == actual
                for size, actual in zip(self.shape, array.shape, strict=True)
            )
        )


class Probe(msgspec.Struct, frozen=True):
    """What one target offers on this machine.

    Attributes:
        target: As text.
        usable: Whether a session can be opened.
        reason: Where not usable, exactly why; else empty.
        fix: The command or action that mends it; else empty.
        version: Full version of the engine library; empty where it is not installed.
        device: The device's own name, "Intel(R) Xeon(R) …".
        precisions: Variant precisions worth running here, most faithful first: ("fp32", "int8").
        computes: Float precisions the engine can compute in: ("fp32", "bf16").
        int8_computes: Those worth trying beside int8; empty means all of `computes`.
        typed: Whether the types in the graph decide what is computed in, so that an fp16 graph
            computes in fp16 and no other does.
        dialect: The dialect of int8 graphs that this engine wants: "u8s8" or "s8s8".
    """

    target: str
    usable: bool
    reason: str = ""
    fix: str = ""
    version: str = ""
    device: str = ""
    precisions: tuple[str, ...] = ()
    computes: tuple[str, ...] = ()
    int8_computes: tuple[str, ...] = ()
    typed: bool = False
    dialect: str = ""


class CompileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to compile and run.

    Attributes:
        compute: Float precision the engine may compute in.
        threads: Number of threads of a CPU engine; None means all physical cores.
        hint: What the engine is tuned for: "latency" (one request at a time) or "throughput".
        streams: Requests that the engine executes side by side, its threads shared among them;
            None means one under "latency" and the engine's own choice under "throughput".
        optimize: False switches graph optimizations off, for the reference.
        allow_fallback: Whether nodes may run on another device than asked for.
        profiles: Optimization profiles, for an engine that is built for ranges of shapes; empty
            means one, from the ranges that the graph's card gives.
        sm: GPU architectures to build for where that GPU is not here: 89 is compute capability
            8.9; empty means the GPU of the target.
        workspace_bytes: Memory that a build may use for scratch; None leaves it to the engine.
        portable: What an engine shall run on beyond its own: "version" (newer versions of the
            library), "hardware" (newer GPU architectures); both cost speed.
        provider_options: Key and value of every option for the execution provider, sorted.
    """

    compute: str = "fp32"
    threads: Positive | None = None
    hint: Literal["latency", "throughput"] = "latency"
    streams: Positive | None = None
    optimize: bool = True
    allow_fallback: bool = False
    profiles: tuple[ShapeProfile, ...] = ()
    sm: tuple[Positive, ...] = ()
    workspace_bytes: Count | None = None
    portable: tuple[Literal["version", "hardware"], ...] = ()
    provider_options: tuple[tuple[str, str], ...] = ()


class Compiled(msgspec.Struct, frozen=True):
    """One graph compiled for one target, in a folder of its own.

    Attributes:
        target: As text.
        engine: The engine file inside the folder.
        graph_sha256: sha256 of the ONNX file it was compiled from.
        engine_sha256: sha256 of the engine file, checked before it is opened.
        runtime_version: Full version of the engine library.
        device: Name and instruction set (or architecture) of the device it was compiled for.
        options: How it was compiled.
        compile_ns: Time taken, nanoseconds.
        planned: Share of the products (convolutions, matrix products) by the precision that the
            build plans them in, for an engine that cannot be opened where it is built.
        memory: "weights_bytes", "activations_bytes", "scratch_bytes": what the engine takes on its
            device with the largest shapes, where the build told.
        notes: What the build told beyond that, each a sentence.
    """

    target: str
    engine: str
    graph_sha256: str
    engine_sha256: str
    runtime_version: str
    device: str
    options: CompileOptions
    compile_ns: Count
    planned: dict[str, Amount] = {}
    memory: dict[str, Count] = {}
    notes: tuple[str, ...] = ()


class NodePlacement(msgspec.Struct, frozen=True):
    """Where one node of the engine's own graph ran.

    Attributes:
        name: The engine's name for it.
        op: Kind of node, "Conv".
        device: Provider or device that ran it.
        precision: "fp32", "bf16", "fp16", "int8", or another dtype name for integer arithmetic.
        flops: Floating (or integer) operations, a multiply and an add counted as two; 0 for what
            only moves data.
    """

    name: str
    op: str
    device: str
    precision: str
    flops: int = 0


class Placement(msgspec.Struct, frozen=True):
    """Every node of the engine's own graph, in order of execution."""

    nodes: tuple[NodePlacement, ...]

    def share_by_precision(self) -> dict[str, float]:
        """Share of FLOPs by precision, largest first; by node count where no node has FLOPs."""
        return self._share([node.precision for node in self.nodes])

    def share_by_device(self) -> dict[str, float]:
        """Share of FLOPs by device, largest first; by node count where no node has FLOPs."""
        return self._share([node.device for node in self.nodes])

    def _share(self, keys: Iterable[str]) -> dict[str, float]:
        weights = [node.flops for node in self.nodes]
        if not sum(weights):
            weights = [1] * len(self.nodes)
        shares: dict[str, float] = {}
        for key, weight in zip(keys, weights, strict=True):
            shares[key] = shares.get(key, 0.0) + weight / sum(weights)
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    @property
    def executed_precision(self) -> str:
        """The precision that did most of the arithmetic."""
        return next(iter(self.share_by_precision()), "fp32")


class Binding(Protocol):
    """Inputs and outputs bound once, run many times: the fast path."""

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The bound input buffers; write new values into them in place."""
        ...

    @property
    def outputs(self) -> Mapping[str, Array]:
        """The output buffers, in host memory; valid until the next run."""
        ...

    def run(self) -> None:
        """Run once. `outputs` are complete when this returns."""
        ...


class Queue(Protocol):
    """Several inferences in flight at once, on the engine's own asynchronous path."""

    @property
    def depth(self) -> int:
        """Inferences in flight at most."""
        ...

    def submit(self) -> None:
        """Start one inference on the bound inputs; waits while `depth` are in flight."""
        ...

    def drain(self) -> None:
        """Wait until all are done.

        Raises:
            BadInput: One of them failed.
        """
        ...


@runtime_checkable
class Queueing(Protocol):
    """What a session offers beside Session where its engine runs several requests at once."""

    def queue(self, feeds: Feeds, depth: int | None = None) -> Queue:
        """Copy the feeds into the buffers of `depth` requests and return their queue.

        Args:
            feeds: Every request runs on these.
            depth: Requests in flight at most; None means the engine's own choice.
        """
        ...


@runtime_checkable
class DeviceTimed(Protocol):
    """What a binding offers beside Binding where its engine tells the time on the device."""

    def device_ns(self) -> int:
        """Nanoseconds that the last run took on the device, by the engine's own clock."""
        ...


@runtime_checkable
class Building(Protocol):
    """What a runtime offers beside Runtime where an engine is built for minutes, or for elsewhere.

    Its engines know optimization profiles, and it may build for GPUs that are not here.
    """

    def probe_build(self, target: Target, sm: tuple[int, ...]) -> Probe:
        """What can be built here for GPUs of these architectures; never raises.

        Args:
            target: What the engine is for.
            sm: Compute capabilities, 89 for 8.9; one or more.
        """
        ...

    def build(
        self,
        graph: Path,
        target: Target,
        options: CompileOptions,
        folder: Path,
        *,
        progress: Progress,
        kept: Path,
    ) -> Compiled:
        """Do what `Runtime.compile` does and tell of it.

        Args:
            graph: See Runtime.compile; likewise the next three.
            target: Where it runs.
            options: How.
            folder: Exists and is empty.
            progress: Told how far the build is, and of every attempt.
            kept: A folder that stays between builds, for measured timings; it may not exist yet.
        """
        ...


@runtime_checkable
class DeviceMemory(Protocol):
    """What a session offers beside Session where its device has memory of its own."""

    def device_bytes(self) -> int:
        """Memory of the device that the session takes, its bindings included."""
        ...


@runtime_checkable
class Adopting(Protocol):
    """What a runtime offers beside Runtime where it runs engines that other programs built."""

    def adopt(self, plan: Path, offset: int, target: Target, folder: Path) -> Compiled:
        """Write another program's engine into `folder` as `compile` would have.

        It is deserialized for that, so the caller asks the user first, and calls it in a process
        of its own.

        Args:
            plan: The file.
            offset: Bytes in front of the engine.
            target: Where it runs.
            folder: Exists and is empty.

        Raises:
            Unavailable: The device is not there.
            BadInput: The library does not read it: damaged, of another version or GPU.
        """
        ...


class Session(Protocol):
    """A compiled graph opened on a target. Also a context manager."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs, in the graph's order."""
        ...

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs, in the graph's order."""
        ...

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once on arrays by input name; the outputs belong to the caller.

        Raises:
            BadInput: A name, dtype or shape is wrong; the message names it.
        """
        ...

    def bind(self, feeds: Feeds) -> Binding:
        """Copy the feeds into preallocated buffers and return the reusable binding."""
        ...

    def placement(self) -> Placement:
        """What ran where and in which precision, from the engine's own graph or profile."""
        ...

    def close(self) -> None:
        """Free the engine; calling it twice is allowed, running afterwards raises BadInput."""
        ...

    def __enter__(self) -> Session: ...

    def __exit__(self, *exception: object) -> None: ...


class Runtime(Protocol):
    """One engine."""

    def probe(self, target: Target) -> Probe:
        """What this machine offers, without opening a device; never raises."""
        ...

    def compile(
        self, graph: Path, target: Target, options: CompileOptions, folder: Path
    ) -> Compiled:
        """Compile one ONNX graph into `folder`, which exists and is empty.

        Raises:
            MissingLibrary: The engine is not installed.
            Unavailable: The device is not there.
            BadInput: The graph is not valid, or the engine refuses it; names the node.
        """
        ...

    def open(self, compiled: Compiled, folder: Path) -> Session:
        """Open what `compile` wrote.

        Raises:
            BadInput: The engine file is damaged or was compiled by another version.
        """
        ...
