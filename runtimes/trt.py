"""NVIDIA's two engines: tensorrt:cuda[:INDEX] (TensorRT 10 and 11) and tensorrt-rtx:cuda[:INDEX].

Networks are strongly typed: the types in the graph decide what is computed in, so fp16 and int8 are
variants and no option of the engine.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.documents import Gpu
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.files import atomic_path, sha256_file
from edgekit.core.progress import Progress, Silent
from edgekit.core.runtime import Compiled, CompileOptions, Probe
from edgekit.core.target import Target
from edgekit.runtimes.catalogue import parse_target
from edgekit.runtimes.compatibility import dotted, tensorrt_row
from edgekit.runtimes.cuda import Cuda
from edgekit.runtimes.engines import content_of, finish, read_tensors, write_tensors
from edgekit.runtimes.graph import read_graph
from edgekit.runtimes.installed import older_than
from edgekit.runtimes.jetson import jetson
from edgekit.runtimes.nvidia import gpus, no_gpu
from edgekit.runtimes.trt_adopted import engine_tensors
from edgekit.runtimes.trt_build import Built, build_plan
from edgekit.runtimes.trt_engine import (
    check_engine,
    engine_device,
    planned,
    read_record,
    write_record,
)
from edgekit.runtimes.trt_library import ENGINES, Library, load_library
from edgekit.runtimes.trt_profiles import profiles_of
from edgekit.runtimes.trt_session import TensorRtSession
from edgekit.runtimes.trt_words import BuildLog, log_of, made, said_last

__all__ = ["RUNTIME", "TensorRt"]

_OLDEST = "10.0"
_PRECISIONS = ("fp32", "fp16", "int8")
# tf32 is fp32 whose products round their inputs to 10 bits of mantissa: TensorRT's own default.
_COMPUTES = ("fp32", "tf32", "fp16")
_ENGINE = "engine.plan"


class TensorRt:
    """The runtime; see edgekit.core.runtime.Runtime and Building."""

    def probe(self, target: Target) -> Probe:
        """What this machine offers, from metadata, nvidia-smi and device files; never raises."""
        version = ENGINES[target.runtime].version()
        gpu, why_not = None, _library_missing(target, version)
        if no_gpu() and why_not[0]:
            # Before any advice on what to install for one.
            why_not = _no_gpu(target)
        elif not why_not[0]:
            # Where the library is missing nobody asks nvidia-smi, which may take seconds.
            gpu = _gpu(target)
            why_not = _why_not(target, version, gpu)
        return _probed(target, version, why_not, _identity(gpu))

    def probe_build(self, target: Target, sm: tuple[int, ...]) -> Probe:
        """What can be built here for GPUs of these architectures; never raises."""
        version = ENGINES[target.runtime].version()
        return _probed(target, version, _library_missing(target, version), engine_device(sm))

    def compile(
        self, graph: Path, target: Target, options: CompileOptions, folder: Path
    ) -> Compiled:
        """Build an engine; see edgekit.core.runtime.Runtime."""
        return self._build(graph, target, options, folder, progress=Silent(), timings=None)

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
        """Build an engine and tell of it; see edgekit.core.runtime.Building."""
        # Timings are measured on the GPU; without it there is nothing to keep.
        keeps = ENGINES[target.runtime].timings and not options.sm
        timings = kept / "timing.cache" if keeps else None
        return self._build(graph, target, options, folder, progress=progress, timings=timings)

    def open(self, compiled: Compiled, folder: Path) -> TensorRtSession:
        """Open what `compile` wrote; see edgekit.core.runtime.Runtime."""
        target = parse_target(compiled.target)
        probe = _require(self.probe(target), target)
        gpu = _gpu(target)
        assert gpu is not None
        record = read_record(folder)
        tensors = read_tensors(folder)
        path = check_engine(compiled, folder, record, version=probe.version, gpu=gpu)
        plan = content_of(path, compiled)
        library = load_library(target.runtime, f"to run on {target}")
        cuda = Cuda(gpu.index, ENGINES[target.runtime].extra)
        log = BuildLog()
        free_before, _ = cuda.memory()
        engine, keep = _deserialized(
            library,
            plan,
            log,
            what=str(path),
            hint=f"Compile it again for {compiled.target}.",
            # Its lean runtime is code inside the file; ours by its checksum.
            host_code="version" in compiled.options.portable,
        )
        return TensorRtSession(
            engine,
            cuda,
            tensors.inputs,
            tensors.outputs,
            profiles=record.profiles,
            module=library.module,
            log=log,
            keep=keep,
            free_before=free_before,
        )

    def adopt(self, plan: Path, offset: int, target: Target, folder: Path) -> Compiled:
        """Take another program's engine; see edgekit.core.runtime.Adopting.

        Never tried on a GPU.
        """
        probe = _require(self.probe(target), target)
        library = load_library(target.runtime, f"to run on {target}")
        Cuda(target.index or 0, ENGINES[target.runtime].extra).use()
        began = time.perf_counter_ns()
        content = plan.read_bytes()[offset:]
        engine, _ = _deserialized(
            library,
            content,
            BuildLog(),
            what=str(plan),
            hint="An engine runs on the kind of GPU and the version that it was built with; "
            "compile the ONNX file that it was built from.",
            host_code=False,
        )
        tensors, profiles = engine_tensors(library.module, engine, plan)
        written = folder / _ENGINE
        with atomic_path(written) as temporary:
            temporary.write_bytes(content)
        write_tensors(folder, tensors)
        write_record(folder, Built(content, profiles=profiles), title="another program")
        return Compiled(
            target=str(target),
            engine=written.name,
            # Of a graph that is not known.
            graph_sha256="",
            engine_sha256=sha256_file(written),
            runtime_version=probe.version,
            device=probe.device,
            options=CompileOptions(profiles=profiles),
            compile_ns=time.perf_counter_ns() - began,
        )

    def _build(
        self,
        graph: Path,
        target: Target,
        options: CompileOptions,
        folder: Path,
        *,
        progress: Progress,
        timings: Path | None,
    ) -> Compiled:
        elsewhere = bool(options.sm)
        probe = self.probe_build(target, options.sm) if elsewhere else self.probe(target)
        probe = _require(probe, target)
        if options.compute not in probe.computes:
            raise BadInput(
                f"{target} computes in {', '.join(probe.computes)}, not in {options.compute}.",
                hint="Leave --compute out, or choose another target.",
            )
        if not options.optimize:
            raise BadInput(
                "TensorRT cannot switch its graph optimizations off.",
                hint="Use onnxruntime:cpu for a graph as it is written.",
            )
        library = load_library(target.runtime, f"to compile for {target}")
        facts = read_graph(graph, why=f"to compile for {target}")
        profiles = profiles_of(facts, options.profiles)
        if not elsewhere:
            Cuda(target.index or 0, ENGINES[target.runtime].extra).use()
        began = time.perf_counter_ns()
        built = build_plan(library, facts, options, profiles, timings=timings, progress=progress)
        engine = folder / _ENGINE
        with atomic_path(engine) as temporary:
            temporary.write_bytes(built.plan)
        write_record(folder, built, title=_title(library))
        compiled = finish(
            engine,
            facts,
            target=target,
            version=probe.version,
            device=probe.device,
            options=options,
            began_ns=began,
        )
        return msgspec.structs.replace(
            compiled, planned=planned(built), memory=built.sizes, notes=built.attempts
        )


RUNTIME = TensorRt()


def _deserialized(
    library: Library, content: bytes, log: BuildLog, *, what: str, hint: str, host_code: bool
) -> tuple[Any, tuple[Any, ...]]:
    """An engine, and what must live as long as it does.

    Raises:
        BadInput: The library does not read it.
    """
    logger = log_of(library.module, log)
    runtime = made(library.module.Runtime, logger, title=_title(library), log=log)
    if host_code:
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise BadInput(f"{_title(library)} does not read {what}: {said_last(log)}", hint=hint)
    return engine, (runtime, logger)


@functools.cache
def _gpus() -> tuple[Gpu, ...]:
    # CUDA counts as nvidia-smi does with this; it has to be set before CUDA is first called.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return gpus()


def _gpu(target: Target) -> Gpu | None:
    """The GPU that a target means; None where it is not there."""
    return next((one for one in _gpus() if one.index == (target.index or 0)), None)


def _probed(target: Target, version: str, why_not: tuple[str, str], device: str) -> Probe:
    """What either library offers, on a GPU that is here or elsewhere."""
    reason, fix = why_not
    return Probe(
        target=str(target),
        usable=not reason,
        reason=reason,
        fix=fix,
        version=version,
        device=device,
        precisions=_PRECISIONS,
        computes=_COMPUTES,
        int8_computes=("fp32",),
        typed=True,
        dialect="s8s8",
    )


def _identity(gpu: Gpu | None) -> str:
    """Name, driver (or JetPack) and architecture: what an engine is built for."""
    if gpu is None:
        return ""
    board = jetson()
    driver = f"L4T {board.l4t}" if board is not None and board.l4t else f"driver {gpu.driver}"
    return f"{gpu.name} | {driver} | sm{gpu.sm or '?'}"


def _library_missing(target: Target, version: str) -> tuple[str, str]:
    """Reason and fix where the library is not installed or too old; else two empty strings."""
    engine = ENGINES[target.runtime]
    if not version or not engine.present():
        return f"{engine.title} is not installed.", engine.install
    if target.runtime == "tensorrt" and older_than(version, _OLDEST):
        return (
            f"TensorRT {version} is older than {_OLDEST}.",
            "Install a newer one; on a Jetson that takes JetPack 6.1 or newer.",
        )
    return "", ""


def _why_not(target: Target, version: str, gpu: Gpu | None) -> tuple[str, str]:
    """Reason and fix where a GPU cannot be used; two empty strings where it can."""
    title = ENGINES[target.runtime].title
    if gpu is None:
        count = len(_gpus())
        if count:
            return (
                f"There is no GPU {target.index or 0}: this machine has {count}.",
                f"Choose one of {', '.join(str(one.index) for one in _gpus())}.",
            )
        return _no_gpu(target)
    row = tensorrt_row(target.runtime, version)
    if row is not None and gpu.sm is not None and not row.takes(gpu.sm):
        capability = f"compute capability {dotted(gpu.sm)} of {gpu.name}"
        return (
            f"{title} {version} does not support the {capability}.",
            "Use tensorrt:cuda." if target.runtime == "tensorrt-rtx" else "Use onnxruntime:cuda.",
        )
    return "", ""


def _no_gpu(target: Target) -> tuple[str, str]:
    """Reason and fix where no GPU is found."""
    title = ENGINES[target.runtime].title
    return (
        "This machine has no NVIDIA GPU (or its driver does not answer).",
        f"Run it on a machine with one; engines of {title} are built without one with "
        "edgekit compile --sm."
        if target.runtime == "tensorrt-rtx"
        else "Run it on a machine with one.",
    )


def _require(probe: Probe, target: Target) -> Probe:
    if not probe.usable:
        # Without the library, opening says the same as every other optional library.
        if not probe.version:
            load_library(target.runtime, f"to run on {target}")
        raise Unavailable(f"{target} is not available: {probe.reason}", hint=probe.fix)
    return probe


def _title(library: Library) -> str:
    return f"{library.engine.title} {library.version}"
