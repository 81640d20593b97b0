"""ONNX Runtime: onnxruntime:cpu, onnxruntime:cuda[:INDEX] and onnxruntime:ep=NAME."""

from __future__ import annotations

import functools
import re
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.cores import usable_cores
from edgekit.core.errors import BadInput, CheckFailed, EdgekitError, Unavailable
from edgekit.core.files import atomic_path, sha256_file
from edgekit.core.requires import requires
from edgekit.core.runtime import (
    Array,
    Compiled,
    CompileOptions,
    Feeds,
    Placement,
    Probe,
    TensorInfo,
)
from edgekit.core.subject import reason_of
from edgekit.core.target import Target
from edgekit.core.temporary import scratch
from edgekit.runtimes.catalogue import parse_target
from edgekit.runtimes.cpu import cpu_device, cpu_name
from edgekit.runtimes.engines import checked_engine, damaged, finish, read_tensors
from edgekit.runtimes.feeds import check_feeds, checked_run, closed, placeholder_feeds
from edgekit.runtimes.graph import copy_graph, read_graph
from edgekit.runtimes.installed import files_present, installed
from edgekit.runtimes.nvidia import no_gpu
from edgekit.runtimes.ort_offered import ask, register
from edgekit.runtimes.ort_profile import COMPILED, count_compiled, profiled_nodes
from edgekit.runtimes.ort_providers import FLAVOURS, missing, offered_as, provider, short_name
from edgekit.runtimes.threaded_queue import ThreadedQueue

__all__ = ["DISTRIBUTIONS", "RUNTIME", "OnnxRuntime", "OrtBinding", "OrtSession"]

# All of them install the one package "onnxruntime".
DISTRIBUTIONS = FLAVOURS

_NVIDIA = Path("/proc/driver/nvidia")
_JETSON = Path("/dev/nvhost-ctrl-gpu")
_CPU = "CPUExecutionProvider"
# What the target itself decides about CUDA. TF32 keeps 10 bits of the mantissa: not what "fp32"
# says.
_DECIDED = {"CUDAExecutionProvider": {"device_id": "0", "use_tf32": "0"}}
# What ONNX Runtime says where the strict switch stops a session.
_STRICT_WORDS = "fallback to CPU EP has been explicitly disabled"

# Severity 4 lets only fatal messages through: whatever goes wrong is raised, and said once.
_QUIET = 4
_checked = functools.partial(checked_run, "ONNX Runtime")


class OnnxRuntime:
    """The runtime; see edgekit.core.runtime.Runtime."""

    def probe(self, target: Target) -> Probe:
        """What this machine offers, from metadata and device files; never raises.

        Which execution providers there are only onnxruntime can tell: for ep=NAME it is asked, in a
        process of its own.
        """
        return self._probe(target, asked=True)

    def _probe(self, target: Target, *, asked: bool) -> Probe:
        found = installed(DISTRIBUTIONS)
        reason, fix = _why_not(target, found)
        name = _provider_name(target)
        if asked and name and not reason:
            reason, fix = _not_offered(name, found)
        return Probe(
            target=str(target),
            usable=not reason,
            reason=reason,
            fix=fix,
            version=_version(found, name),
            device=_device_identity(target),
            precisions=_precisions(target),
            computes=("fp32",),
            dialect="u8s8",
        )

    def compile(
        self, graph: Path, target: Target, options: CompileOptions, folder: Path
    ) -> Compiled:
        """Write the optimised graph as the engine; see edgekit.core.runtime.Runtime."""
        probe = _require(self._probe(target, asked=False))
        if options.compute != "fp32":
            raise BadInput(
                f"{target} computes in fp32 only, not in {options.compute}.",
                hint="Leave --compute out, or choose another target.",
            )
        library = _library(target)
        facts = read_graph(graph, why=f"to compile for {target}")
        began = time.perf_counter_ns()
        engine = folder / "engine.onnx"
        with atomic_path(engine) as temporary:
            if target.device == "cpu" and options.optimize:
                # Saved at level ALL, the graph holds the fusions of this very instruction set
                # (NCHWc convolutions, QLinearConv): reloaded with optimisations off it ran bit for
                # bit like the one in memory, fp32, fp16 and int8 alike, and loads four times as
                # fast. Hence the checks of version and instruction set before it is opened.
                with scratch("compile") as place:
                    source = graph
                    if facts.external:
                        # What no fusion touches would go on pointing to a file beside the graph.
                        source = place / "whole.onnx"
                        copy_graph(facts, source)
                    _save(library, source, target, options, temporary)
            else:
                # Other providers compile when they open, and what they compile cannot be saved.
                copy_graph(facts, temporary)
                axes = _axes_hint(facts.inputs)
                _session(library, temporary, target, options, optimize=options.optimize, axes=axes)
        return finish(
            engine,
            facts,
            target=target,
            version=probe.version,
            device=_device_identity(target),
            options=options,
            began_ns=began,
        )

    def open(self, compiled: Compiled, folder: Path) -> OrtSession:
        """Open what `compile` wrote; see edgekit.core.runtime.Runtime."""
        target = parse_target(compiled.target)
        probe = _require(self._probe(target, asked=False))
        engine = checked_engine(
            compiled,
            folder,
            library="ONNX Runtime",
            version=probe.version,
            device=_device_identity(target),
        )
        # By its path and not as bytes, which would stand in memory twice. Where others could change
        # it meanwhile, nobody opens it: see edgekit.core.private.
        if sha256_file(engine) != compiled.engine_sha256:
            raise damaged(engine, compiled)
        tensors = read_tensors(folder)
        return OrtSession(engine, target, compiled.options, tensors.inputs, tensors.outputs)


RUNTIME = OnnxRuntime()


class OrtBinding:
    """Buffers bound to one session by ONNX Runtime's IO binding.

    Attributes:
        run: Runs once. From the second run on it is ONNX Runtime's own call with its argument and
            nothing around it, unless the size of an output depends on the data.
    """

    run: Callable[[], Any]

    def __init__(
        self,
        session: Any,
        inputs: dict[str, Array],
        shapes: dict[str, tuple[int | None, ...]],
        infos: Sequence[TensorInfo],
    ) -> None:
        """Bind.

        Args:
            session: onnxruntime.InferenceSession.
            inputs: Contiguous buffers by input name, kept and written to by the caller.
            shapes: Output name to the shape that the inputs lead one to expect, None for an axis
                they say nothing about.
            infos: The inputs, as the graph declares them.
        """
        self._session = session
        self._inputs = inputs
        self._shapes = shapes
        self._infos = infos
        self._buffers: dict[str, Array] = {}
        self._io = session.io_binding()
        for name, array in inputs.items():
            self._io.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name in shapes:
            self._io.bind_output(name, "cpu")
        self.run = self._first_run

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The bound input buffers; write new values into them in place."""
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Array]:
        """The output buffers in host memory, valid until the next run; empty before the first."""
        if len(self._buffers) == len(self._shapes):
            return self._buffers
        values = self._io.get_outputs() if self.run != self._first_run else ()
        return {
            name: self._buffers[name] if name in self._buffers else value.numpy()
            for name, value in zip(self._shapes, values, strict=False)
        }

    def _first_run(self) -> None:
        # Graphs lie about the shapes of their outputs, and ONNX Runtime refuses a buffer of another
        # shape. So the first run finds out, and buffers are bound where graph and run agree.
        run = self._session.run_with_iobinding
        _checked(run, self._io, inputs=self._infos, feeds=self._inputs)
        for (name, shape), value in zip(self._shapes.items(), self._io.get_outputs(), strict=True):
            array = value.numpy()
            if array.shape == shape:
                buffer = np.array(array, order="C")
                self._buffers[name] = buffer
                self._io.bind_output(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
        self._loose = [name for name in self._shapes if name not in self._buffers]
        if self._loose:
            self.run = self._loose_run
        else:
            run = functools.partial(self._session.run_with_iobinding, self._io)
            # ONNX Runtime knows the buffers by address only: who holds the call alone would read
            # freed memory without this.
            run.binding = self  # type: ignore[attr-defined]
            self.run = run

    def _loose_run(self) -> None:
        # An output that is not bound anew keeps the last run's buffer, and with it its shape.
        for name in self._loose:
            self._io.bind_output(name, "cpu")
        self._session.run_with_iobinding(self._io)


class OrtSession:
    """An engine opened; see edgekit.core.runtime.Session. Safe to run from several threads."""

    def __init__(
        self,
        engine: Path,
        target: Target,
        options: CompileOptions,
        inputs: tuple[TensorInfo, ...],
        outputs: tuple[TensorInfo, ...],
    ) -> None:
        self._engine = engine
        self._target = target
        self._options = options
        self._inputs = inputs
        self._outputs = outputs
        self._names = [info.name for info in outputs]
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._bindings: weakref.WeakSet[OrtBinding] = weakref.WeakSet()
        self._session: Any = self._start()

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs, in the graph's order."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs, in the graph's order."""
        return self._outputs

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once on arrays by input name; the outputs belong to the caller.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        session = self._open_session()
        check_feeds(self._inputs, feeds)
        values = _checked(session.run, self._names, dict(feeds), inputs=self._inputs, feeds=feeds)
        self._shapes = {name: array.shape for name, array in feeds.items()}
        return dict(zip(self._names, values, strict=True))

    def bind(self, feeds: Feeds) -> OrtBinding:
        """Copy the feeds into preallocated buffers and return the reusable binding.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        session = self._open_session()
        check_feeds(self._inputs, feeds)
        buffers = {info.name: np.array(feeds[info.name], order="C") for info in self._inputs}
        self._shapes = {name: array.shape for name, array in buffers.items()}
        sizes: dict[int | str, int] = {
            axis: size
            for info in self._inputs
            for axis, size in zip(info.shape, feeds[info.name].shape, strict=True)
            if isinstance(axis, str) and axis != "?"
        }
        shapes = {
            info.name: tuple(
                axis if isinstance(axis, int) else sizes.get(axis) for axis in info.shape
            )
            for info in self._outputs
        }
        binding = OrtBinding(session, buffers, shapes, self._inputs)
        self._bindings.add(binding)
        return binding

    def queue(self, feeds: Feeds, depth: int | None = None) -> ThreadedQueue:
        """Copy the feeds into the buffers of `depth` bindings and return their queue.

        Args:
            feeds: Every request runs on these.
            depth: Requests in flight at most; None means as many as run side by side.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        bindings = [self.bind(feeds) for _ in range(depth or _streams(self._options))]
        for binding in bindings:
            binding.run()
        return ThreadedQueue([functools.partial(_checked, binding.run) for binding in bindings])

    def placement(self) -> Placement:
        """What ran where and in which precision, from ONNX Runtime's profile of one run on zeros.

        Dynamic axes are 1 where the graph runs so. Channels that the engine pads to fill its
        vectors count, for they are computed.

        Raises:
            BadInput: The session is closed, or the graph does not run on zeros of any size tried.
        """
        self._open_session()
        problem: BadInput | None = None
        with scratch("profile") as folder:
            prefix = str(folder / "profile")
            for feeds in placeholder_feeds(self._inputs, self._shapes):
                session = self._start(profile=prefix)
                try:
                    _checked(session.run, self._names, feeds)
                except BadInput as error:
                    problem = error
                    continue
                finally:
                    profile = Path(session.end_profiling())
                ours = {session.get_providers()[0]: self._target.device}
                nodes = profiled_nodes(profile.read_bytes(), ours)
                if any(node.precision == COMPILED for node in nodes):
                    nodes = count_compiled(nodes, self._flops(feeds, f"{prefix}-cpu"))
                return Placement(nodes=nodes)
        raise BadInput(
            "The graph does not run on zeros of any size tried, so where its nodes run is "
            f"not known: {problem.message if problem else ''}",
            hint="Run the session once first; its shapes are then tried too.",
        )

    def close(self) -> None:
        """Free the engine; calling it twice is allowed, running afterwards raises BadInput."""
        self._session = None
        for binding in self._bindings:
            binding.run = closed
        self._bindings.clear()

    def __enter__(self) -> OrtSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _flops(self, feeds: Feeds, prefix: str) -> int:
        """Operations of the whole graph, counted on the CPU; 0 where it does not run there."""
        plain = Target("onnxruntime", "cpu")
        try:
            session = _session(
                _library(plain),
                self._engine,
                plain,
                CompileOptions(),
                optimize=False,
                profile=prefix,
            )
            _checked(session.run, self._names, dict(feeds))
        except BadInput:
            return 0
        nodes = profiled_nodes(Path(session.end_profiling()).read_bytes(), {})
        return sum(node.flops for node in nodes)

    def _open_session(self) -> Any:
        if self._session is None:
            closed()
        return self._session

    def _start(self, profile: str | None = None) -> Any:
        # The engine of a CPU is optimised already.
        optimize = self._options.optimize and self._target.device != "cpu"
        return _session(
            _library(self._target),
            self._engine,
            self._target,
            self._options,
            optimize=optimize,
            profile=profile,
        )


def _library(target: Target) -> Any:
    with requires("onnxruntime", extra="cpu", why=f"to run on {target}"):
        import onnxruntime
    onnxruntime.set_default_logger_severity(_QUIET)
    return onnxruntime


def _why_not(target: Target, found: Mapping[str, str]) -> tuple[str, str]:
    """Reason and fix where a target cannot be used; two empty strings where it can."""
    if target.device == "cuda" and not _nvidia_gpus() and not _JETSON.exists() and no_gpu():
        # Before any advice on what to install for one.
        return (
            "This machine has no NVIDIA GPU.",
            "Run it on a machine with an NVIDIA GPU and its driver.",
        )
    if not found:
        return "onnxruntime is not installed.", "pip install 'edgekit[cpu]'"
    named = ", ".join(f"{name} {version}" for name, version in found.items())
    if not files_present("onnxruntime"):
        return (
            f"{named} is registered, but its files are gone.",
            f"pip install --force-reinstall {next(iter(found))}",
        )
    if target.device != "cuda":
        return "", ""
    if list(found) != ["onnxruntime-gpu"]:
        return (
            f"onnxruntime:cuda needs onnxruntime-gpu alone; installed: {named}.",
            f"pip uninstall -y {' '.join(found)} && pip install onnxruntime-gpu",
        )
    gpus = len(_nvidia_gpus())
    if gpus <= (target.index or 0) and not (_JETSON.exists() and not target.index):
        count = f"{gpus or 'no'} NVIDIA GPU{'' if gpus == 1 else 's'}"
        return (
            f"This machine has {count} (looked in {_NVIDIA}).",
            "Run it on a machine with an NVIDIA GPU and its driver.",
        )
    return "", ""


def _require(probe: Probe) -> Probe:
    if not probe.usable:
        # Without the library, opening says the same as every other optional library.
        if not probe.version:
            _library(parse_target(probe.target))
        raise Unavailable(f"{probe.target} is not available: {probe.reason}", hint=probe.fix)
    return probe


def _nvidia_gpus() -> list[str]:
    """Names of the NVIDIA GPUs that the driver lists."""
    names = []
    for information in sorted(_NVIDIA.glob("gpus/*/information")):
        match = re.search(r"Model:\s*(.+)", information.read_text(errors="replace"))
        names.append(match.group(1).strip() if match else "NVIDIA GPU")
    return names


def _device_name(target: Target) -> str:
    if target.device == "cuda":
        return dict(enumerate(_nvidia_gpus())).get(target.index or 0, "")
    return cpu_name() if target.device == "cpu" else target.device


def _device_identity(target: Target) -> str:
    if target.device == "cpu":
        return cpu_device()
    return f"{_device_name(target)} | {target.device}"


def _precisions(target: Target) -> tuple[str, ...]:
    if target.device == "cpu":
        # An fp16 graph runs on a CPU too, but in fp32 with casts around every node.
        return "fp32", "int8"
    # What a provider is good at nobody says: an NPU may take int8 and nothing else.
    return ("fp32", "fp16", "int8") if _provider_name(target) else ("fp32", "fp16")


def _provider_name(target: Target) -> str:
    """Short name of the provider that ep=NAME asks for; empty for the other devices."""
    return target.device[3:] if target.device.startswith("ep=") else ""


def _version(found: Mapping[str, str], name: str) -> str:
    """Full version of onnxruntime and of the plugin that brings a provider, if one does."""
    version = next(iter(found.values()), "")
    known = provider(name)
    plugin = installed([known.plugin]) if known and known.plugin else {}
    return " + ".join([version, *(f"{one} {text}" for one, text in plugin.items())])


def _not_offered(name: str, found: Mapping[str, str]) -> tuple[str, str]:
    """Reason and fix where onnxruntime, asked apart, has no such provider; else empty strings."""
    offer = ask((name,))
    if offered_as(name, offer.providers):
        return "", ""
    if offer.problem:
        return offer.problem, _requirements(name)
    return missing(name, offer.providers, " ".join(next(iter(found.items()))))


def _provider(library: Any, target: Target) -> str:
    """ONNX Runtime's name of the execution provider of a target, its plugin registered.

    Raises:
        Unavailable: This ONNX Runtime does not have it.
    """
    name = _provider_name(target) or short_name(target.device)
    problem = register(library, name)
    offered = library.get_available_providers()
    full = offered_as(name, offered)
    if full is not None:
        return full
    reason, fix = missing(name, offered, f"onnxruntime {library.__version__}")
    raise Unavailable(
        f"{target} is not available: {problem or reason}",
        hint=_requirements(name) if problem else fix,
    )


def _own_options(provider: str, target: Target, options: CompileOptions) -> dict[str, str]:
    """What a provider is told: what the target decides, and what the user asked for.

    Raises:
        BadInput: An option that the target decides itself, or a target that takes none.
    """
    asked = dict(options.provider_options)
    if asked and provider == _CPU:
        raise BadInput(
            f"{target} takes no provider options, and {next(iter(asked))} was given.",
            hint="Leave --provider-option out.",
        )
    decided = dict(_DECIDED.get(provider, {}))
    for name in decided:
        if name in asked:
            raise BadInput(
                f"{target} sets the provider option {name} itself.",
                hint="Choose the GPU by its target, onnxruntime:cuda:INDEX; TF32 is not fp32.",
            )
    if "device_id" in decided:
        decided["device_id"] = str(target.index or 0)
    return decided | asked


def _threads(options: CompileOptions) -> int:
    return options.threads or usable_cores()


def _streams(options: CompileOptions) -> int:
    """Requests that run side by side; tuned for throughput, each thread takes one."""
    return options.streams or (1 if options.hint == "latency" else _threads(options))


def _save(library: Any, graph: Path, target: Target, options: CompileOptions, engine: Path) -> None:
    """Write the graph as ONNX Runtime optimises it, so that it can be opened again.

    Raises:
        BadInput: ONNX Runtime refuses the graph.
    """
    _session(library, graph, target, options, optimize=True, save=engine)
    try:
        _session(library, engine, target, options, optimize=False)
    except BadInput:
        # Where convolutions stand inside bodies and outside, the nodes that change their layout
        # have one name in both, which no reader takes.
        _session(library, graph, target, options, optimize=True, layout=False, save=engine)


def _session(
    library: Any,
    graph: Path,
    target: Target,
    options: CompileOptions,
    *,
    optimize: bool,
    layout: bool = True,
    save: Path | None = None,
    profile: str | None = None,
    axes: str = "",
) -> Any:
    """Open an onnxruntime.InferenceSession on exactly the target asked for.

    Args:
        library: onnxruntime.
        graph: The ONNX file.
        target: Where it runs.
        options: Threads and fall-back.
        optimize: Whether ONNX Runtime optimises the graph now.
        layout: Whether it may lay tensors out for this instruction set.
        save: Where to write the graph as optimised.
        profile: Prefix of the profile to write; profiling slows every run down.
        axes: What a hint says about dynamic axes, where the provider refuses the graph.

    Raises:
        BadInput: ONNX Runtime refuses the graph, or the provider an option.
        CheckFailed: The provider does not take the whole graph, and nothing else was allowed.
        Unavailable: The provider is not there, or does not start.
    """
    provider = _provider(library, target)
    own = _own_options(provider, target, options)
    providers: list[str | tuple[str, dict[str, str]]] = [(provider, own) if own else provider]
    settings = _settings(library, options, optimize=optimize)
    if optimize and not layout:
        levels = library.GraphOptimizationLevel
        settings.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
    if save is not None:
        settings.optimized_model_filepath = str(save)
    if profile is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = profile
        # Packed weights vanish from the profile, and with them the shapes that FLOPs need.
        settings.add_session_config_entry("session.disable_prepacking", "1")
    if provider != _CPU:
        if options.allow_fallback:
            providers.append(_CPU)
        else:
            settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = library.InferenceSession(
            str(graph), settings, providers=providers, enable_fallback=0
        )
    except Exception as error:
        if provider == _CPU:
            raise BadInput(
                f"ONNX Runtime refuses {graph}: {reason_of(error)}.",
                hint="Export the model again, or with another opset.",
            ) from error
        if _STRICT_WORDS in str(error):
            loose = _settings(library, options, optimize=optimize)
            left = _left_over(library, graph, target, loose, [*providers, _CPU])
            raise CheckFailed(
                f"{target} does not take the whole graph: {left}.",
                hint=f"{axes}Use --allow-fallback to let nodes run on the CPU.",
            ) from error
        raise _provider_fails(target, error, options, axes) from error
    _require_started(session, provider, target)
    return session


def _require_started(session: Any, provider: str, target: Target) -> None:
    """Refuse a session without its provider: ONNX Runtime only warns where one does not start."""
    if provider not in session.get_providers():
        raise Unavailable(
            f"{target} is not available: ONNX Runtime could not start {provider}.",
            hint=_start_hint(target),
        )


def _settings(library: Any, options: CompileOptions, *, optimize: bool) -> Any:
    """onnxruntime.SessionOptions that every session shares."""
    levels = library.GraphOptimizationLevel
    settings = library.SessionOptions()
    settings.log_severity_level = _QUIET
    settings.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    )
    settings.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    # Requests side by side share one session, each with its part of the threads: on two cores two
    # requests of one thread each gave twice the throughput of one request of two threads, and as
    # much as two sessions did; ONNX Runtime lets go of Python's lock meanwhile.
    settings.intra_op_num_threads = max(1, _threads(options) // _streams(options))
    settings.inter_op_num_threads = 1
    # Idle workers otherwise spin on after a run and slow down whoever has the cores next: the
    # other engine of a comparison, the decoder of a pipeline. Stopping them cost nothing
    # measurable.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    return settings


def _left_over(
    library: Any, graph: Path, target: Target, settings: Any, providers: list[Any]
) -> str:
    """Say which nodes a provider leaves to the CPU, from a session that lets it.

    Raises:
        Unavailable: All of them, for it did not start.
    """
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = library.InferenceSession(
            str(graph), settings, providers=providers, enable_fallback=0
        )
        _require_started(session, _provider(library, target), target)
        parts = session.get_provider_graph_assignment_info()
        nodes = [(node, part.ep_name) for part in parts for node in part.get_nodes()]
        left = [node for node, provider in nodes if provider == _CPU]
        first = left[0]
    except Unavailable:
        raise
    except Exception:  # older versions do not tell; that it was refused is known all the same
        return "nodes are left to the CPU"
    named = f"{first.name!r} ({first.op_type})" if first.name else first.op_type
    return f"{len(left)} of {len(nodes)} nodes are left to the CPU, {named} first"


def _provider_fails(
    target: Target, error: Exception, options: CompileOptions, axes: str
) -> EdgekitError:
    """What to raise where a provider refuses to open a graph at all."""
    said = reason_of(error)
    if options.provider_options:
        given = ", ".join("=".join(pair) for pair in options.provider_options)
        return BadInput(
            f"{target} does not open the graph with {given}: {said}.",
            hint=f"{_start_hint(target)} {axes}".strip(),
        )
    return Unavailable(
        f"{target} does not open the graph: {said}.", hint=f"{axes}{_start_hint(target)}"
    )


def _requirements(name: str) -> str:
    known = provider(name)
    page = f" of {known.page}" if known else ""
    return f"Check its driver, and the requirements and options{page} (--provider-option)."


def _start_hint(target: Target) -> str:
    if target.device == "cuda":
        return "Check the driver and the CUDA libraries that onnxruntime-gpu needs."
    return _requirements(_provider_name(target))


def _axes_hint(inputs: Sequence[TensorInfo]) -> str:
    """Say that a provider may want fixed shapes, where a graph has others; else nothing."""
    axes = [axis for info in inputs for axis in info.shape if isinstance(axis, str)]
    if not axes:
        return ""
    named = ", ".join(dict.fromkeys(axes))
    return (
        f"The graph has dynamic axes ({named}), and many providers take fixed shapes only: export "
        "it with numbers in their place. "
    )
