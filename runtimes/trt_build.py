"""Builds an engine from an ONNX graph: network, profiles, limits, and the attempts of a build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput, EdgekitError, Unavailable
from edgekit.core.files import write_bytes
from edgekit.core.private import make_private
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions, ShapeProfile
from edgekit.runtimes.graph import Graph
from edgekit.runtimes.trt_checks import check_dtypes, check_tensors
from edgekit.runtimes.trt_library import Library, architectures
from edgekit.runtimes.trt_progress import monitor_of
from edgekit.runtimes.trt_words import (
    BuildLog,
    lacking,
    log_of,
    made,
    out_of_memory,
    parser_refusal,
    refuse,
    said_last,
    workspace_too_small,
)

__all__ = ["PRODUCTS", "Built", "BuiltLayer", "build_plan"]

# What each further attempt of a build that ran out of memory may use of the memory of the one
# before, and how many there are.
_LESS = 4
_ATTEMPTS = 4
# The engine's own limit where the user gives none is all the memory of the GPU; the ladder then
# starts here.
_FIRST_BYTES = 1 << 30
# What an engine that runs on newer versions carries.
_LEAN = "libnvinfer_lean"
# Kinds of layers that hold nearly all of a network's operations.
PRODUCTS = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")
# Kinds that only move data, which a DequantizeLinear is moved through: the parser writes a
# convolution in one dimension, and a transposed weight, with one in between.
_MOVING = ("SHUFFLE", "SQUEEZE", "UNSQUEEZE")


@dataclass(frozen=True)
class BuiltLayer:
    """One layer of the network as the builder reads the graph, before it fuses.

    Attributes:
        name: The ONNX node's.
        kind: TensorRT's kind of layer, "CONVOLUTION".
        precision: Of what it makes: "fp32", "fp16", "int8", …; in a strongly typed network that is
            what it computes in. Of a product between Q/DQ: what it is fused to, "int8".
    """

    name: str
    kind: str
    precision: str


@dataclass(frozen=True)
class Built:
    """A serialized engine and what the builder told of it.

    Attributes:
        plan: The engine.
        layers: Of the network, in order.
        profiles: Optimization profiles it has.
        sizes: "activations_bytes", "weights_bytes", "scratch_bytes" where the builder told them.
        attempts: One sentence for each attempt that failed before.
        warnings: Of the builder.
    """

    plan: bytes
    layers: tuple[BuiltLayer, ...] = ()
    profiles: tuple[ShapeProfile, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    attempts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def build_plan(
    library: Library,
    graph: Graph,
    options: CompileOptions,
    profiles: Sequence[ShapeProfile],
    *,
    timings: Path | None,
    progress: Progress,
) -> Built:
    """Parse a graph and build an engine of it.

    Args:
        library: TensorRT or TensorRT for RTX.
        graph: The ONNX file.
        options: `compute` "tf32" lets fp32 products round their inputs to 10 bits of mantissa;
            `sm` asks for architectures that are not here.
        profiles: From `profiles_of`.
        timings: File of the timing cache: read before, written after; None does without.
        progress: Told how far the build is.

    Raises:
        BadInput: The library does not take the graph (names the node, its operator and module) or
            an option.
        Unavailable: The library does not start, lacks a part, or memory ran out at every attempt.
    """
    log = BuildLog()
    logger = log_of(library.module, log)
    title = f"{library.engine.title} {library.version}"
    check_dtypes(graph, title)
    builder = made(library.module.Builder, logger, title=title, log=log)
    network = builder.create_network(library.network_flags)
    parser = library.module.OnnxParser(network, logger)
    if not parser.parse_from_file(str(graph.path)):
        raise refuse(
            parser_refusal(parser), path=graph.path, title=title, log=log, modules=graph.modules
        )
    check_tensors(network, graph, title)
    layers = _layers(network)
    if options.compute == "fp16" and all(layer.precision != "fp16" for layer in layers):
        raise BadInput(
            f"{title} computes in the types of the graph, and {graph.path} has nothing in fp16.",
            hint="Write the fp16 variant first: edgekit quantize --precision fp16.",
        )
    attempts: list[str] = []
    limit = options.workspace_bytes
    for attempt in range(_ATTEMPTS):
        if attempt:
            limit = (limit or _FIRST_BYTES * _LESS) // _LESS
            again = f"Memory ran out; tried again with a workspace of {_mib(limit)}."
            attempts.append(again)
            progress.note(again)
        config = _config(library, builder, network, options, profiles, limit, log)
        cache = _read_timings(config, timings)
        config.progress_monitor = monitor_of(library.module, progress)
        log.errors.clear()
        plan = builder.build_serialized_network(network, config)
        if plan is not None:
            _write_timings(config, cache, timings)
            return Built(
                plan=bytes(plan),
                layers=layers,
                profiles=tuple(profiles),
                sizes=dict(log.sizes),
                attempts=tuple(attempts),
                warnings=tuple(dict.fromkeys(log.warnings)),
            )
        if out_of_memory(log.errors):
            continue
        if attempts and workspace_too_small(log.errors):
            # With more of it memory ran out, so there is nothing left to try.
            break
        raise _not_built(graph, options, title, log)
    last = f", at last with a workspace of {_mib(limit)}" if limit else ""
    raise Unavailable(
        f"{title} ran out of memory building {graph.path}{last}: {said_last(log)}",
        hint="Close what else uses the GPU, add swap on a board, or build smaller --shapes.",
    )


def _not_built(graph: Graph, options: CompileOptions, title: str, log: BuildLog) -> EdgekitError:
    """The error for a network that the parser takes and the builder does not."""
    if "version" in options.portable and any(_LEAN in line for line in log.errors):
        return Unavailable(
            f"{title} does not build with --portable version here: the lean runtime that such an "
            f"engine carries ({_LEAN}) is not installed.",
            hint="Leave --portable version out, or install NVIDIA's lean runtime beside it.",
        )
    if options.workspace_bytes is not None and workspace_too_small(log.errors):
        return BadInput(
            f"{title} builds no engine of {graph.path} with a workspace of "
            f"{_mib(options.workspace_bytes)}: a layer needs more.",
            hint="Give a larger --workspace, or none.",
        )
    lacks = lacking(log)
    if lacks is not None:
        layer, sm, reason = lacks
        return BadInput(
            f"{title} cannot compute {layer!r} of {graph.path} on SM {sm}: {reason}",
            hint=f"Leave {sm} out of --sm, or build another precision (edgekit quantize).",
        )
    return BadInput(
        f"{title} builds no engine of {graph.path}: {said_last(log)}",
        hint="Try it in fp32, or see what differs: edgekit inspect.",
    )


def _config(
    library: Library,
    builder: Any,
    network: Any,
    options: CompileOptions,
    profiles: Sequence[ShapeProfile],
    limit: int | None,
    log: BuildLog,
) -> Any:
    module = library.module
    config = builder.create_builder_config()
    # On by default, it lets fp32 products round their inputs to 10 bits: fp32 means fp32.
    if options.compute == "tf32":
        config.set_flag(module.BuilderFlag.TF32)
    else:
        config.clear_flag(module.BuilderFlag.TF32)
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    if limit is not None:
        config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, limit)
    for profile in profiles:
        config.add_optimization_profile(_profile(builder, network, profile))
    if "version" in options.portable:
        config.set_flag(module.BuilderFlag.VERSION_COMPATIBLE)
    if "hardware" in options.portable:
        before = len(log.warnings)
        config.hardware_compatibility_level = module.HardwareCompatibilityLevel.AMPERE_PLUS
        # RTX warns that it does not do this and builds for the one architecture all the same.
        if any("unsupported" in line for line in log.warnings[before:]):
            raise BadInput(
                f"{library.engine.title} {library.version} builds no engine for other "
                "architectures than it is asked for, so --portable hardware means nothing to it.",
                hint="Name all that it shall run on: --sm 86,89,120.",
            )
    if options.sm:
        _set_architectures(library, config, options.sm)
    return config


def _set_architectures(library: Library, config: Any, sm: Sequence[int]) -> None:
    known = architectures(library)
    if not known:
        raise BadInput(
            f"{library.engine.title} {library.version} builds for the GPU of this machine only.",
            hint="Build on the device, or cross-compile with --target tensorrt-rtx.",
        )
    unknown = [one for one in sm if one not in known]
    if unknown:
        raise BadInput(
            f"{library.engine.title} {library.version} does not know SM {unknown[0]}.",
            hint=f"It builds for: {', '.join(str(one) for one in known)}.",
        )
    config.num_compute_capabilities = len(sm)
    for place, one in enumerate(sm):
        config.set_compute_capability(getattr(library.module.ComputeCapability, f"SM{one}"), place)


def _profile(builder: Any, network: Any, profile: ShapeProfile) -> Any:
    made = builder.create_optimization_profile()
    inputs = {network.get_input(place).name for place in range(network.num_inputs)}
    for name, (low, typical, high) in profile.items():
        # The parser drops an input that nothing reads.
        if name in inputs:
            made.set_shape(name, low, typical, high)
    return made


def _layers(network: Any) -> tuple[BuiltLayer, ...]:
    layers = []
    # What a DequantizeLinear reads, by the name of what it makes.
    quantized: dict[str, str] = {}
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        kind = str(layer.type.name)
        read = [layer.get_input(at) for at in range(layer.num_inputs)]
        made = layer.get_output(0)
        precision = "" if made is None else _precision(made.dtype)
        if kind == "DEQUANTIZE" and made is not None:
            quantized[made.name] = _precision(read[0].dtype)
        elif kind in _MOVING and made is not None and read[0].name in quantized:
            quantized[made.name] = quantized[read[0].name]
        elif kind in PRODUCTS:
            fused = [quantized.get(one.name, "") for one in read[:2] if one is not None]
            precision = fused[0] if len(fused) == 2 and all(fused) else precision
        layers.append(BuiltLayer(layer.name, kind, precision))
    return tuple(layers)


def _mib(size: int) -> str:
    return f"{max(size // 2**20, 1)} MiB"


def _precision(dtype: Any) -> str:
    names = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8"}
    return names.get(dtype.name, str(dtype.name).lower())


def _read_timings(config: Any, file: Path | None) -> Any:
    """Give the builder the timings of earlier builds; a damaged file counts as none."""
    if file is None:
        return None
    content = file.read_bytes() if file.is_file() else b""
    cache = config.create_timing_cache(content) or config.create_timing_cache(b"")
    if cache is not None:
        config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def _write_timings(config: Any, cache: Any, file: Path | None) -> None:
    if file is None or cache is None:
        return
    make_private(file.parent)
    write_bytes(file, bytes(config.get_timing_cache().serialize()))
