"""Compiled graphs: made in a child process, cached by content, opened by role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.private import keeps_permissions, refuse_exposed
from edgekit.core.progress import Progress
from edgekit.core.runtime import (
    Building,
    Compiled,
    CompileOptions,
    Feeds,
    Probe,
    Session,
    ShapeProfile,
)
from edgekit.core.target import Target
from edgekit.export.onnx_file import external_files, plain_file
from edgekit.jobs.model.engine_folder import COMPILED, ReadyEngine, read_compiled
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.steps.cache import CacheUnwritable, Stored, Words, cache_root, fetch
from edgekit.jobs.steps.engine_messages import built_again, built_by
from edgekit.jobs.steps.keys import digest, files_digest, tools
from edgekit.runtimes.catalogue import load_runtime, parse_target, takes_provider_options

__all__ = [
    "CachedEngine",
    "EngineStage",
    "compile_graph",
    "compile_graphs",
    "engine_stage",
    "fitted",
    "open_engines",
    "opener",
    "options_for",
    "refuse_idle_options",
]


@dataclass(frozen=True)
class CachedEngine:
    """One compiled graph in the cache.

    Attributes:
        stored: Where it lies, and whether it was there already.
        compiled: What the runtime said about it.
    """

    stored: Stored
    compiled: Compiled

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.stored.folder

    @property
    def hit(self) -> bool:
        """Whether it was there already."""
        return self.stored.hit

    @property
    def key(self) -> str:
        """Sha256 over everything it was made from."""
        return self.stored.record.key


def fitted(target: Target, card: ModelCard, feeds: Mapping[str, Feeds]) -> list[ShapeProfile]:
    """Return the one profile that these feeds take, for an engine that is built for shapes.

    Empty where the target's engines take any shape.

    Args:
        target: Where the engine will run.
        card: Of the model.
        feeds: By role.
    """
    if not isinstance(load_runtime(target.runtime), Building):
        return []
    profile: ShapeProfile = {}
    for role, arrays in feeds.items():
        for name, tensor in card.graph(role).inputs.items():
            if not all(isinstance(size, int) for size in tensor.shape):
                shape = tuple(arrays[name].shape)
                profile[name] = (shape, shape, shape)
    return [profile] if profile else []


def refuse_idle_options(given: Mapping[str, str] | None, targets: Sequence[Target]) -> None:
    """Refuse options for an execution provider where no target is one.

    Args:
        given: Option to value.
        targets: All that a call runs on; beside one that takes them others may have none.

    Raises:
        BadInput: Options were given, and nothing takes them.
    """
    if given and not any(takes_provider_options(target) for target in targets):
        raise _no_provider(targets[0])


def options_for(target: Target, given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Return what was given, sorted, for a target that is an execution provider; else nothing."""
    return tuple(sorted((given or {}).items())) if takes_provider_options(target) else ()


def compile_graphs(
    graphs: Mapping[str, Path],
    target: Target,
    probe: Probe,
    options: CompileOptions,
    *,
    model: str = "",
    force: bool = False,
    timeout: float | None = None,
    trust_engine: bool = False,
    progress: Progress,
) -> dict[str, CachedEngine]:
    """Compile every graph of a variant, or take it from the cache.

    Args:
        graphs: Role to ONNX file.
        target: Where it will run.
        probe: What `usable` said about the target.
        options: Part of the cache key.
        model: What the graphs belong to, for messages; empty means the file's name.
        force: Compile although it is cached.
        timeout: Seconds for each graph, at most; None lets the engine take its time.
        trust_engine: Whether engines of a cache may be opened whose disk keeps no permissions.
        progress: Told of every hit and miss.

    Raises:
        CacheUnwritable: The cache lies on a disk that keeps no permissions, and is not trusted.
    """
    if not trust_engine and not keeps_permissions(root := cache_root()):
        raise CacheUnwritable(
            f"The cache {root} lies on a disk that keeps no permissions, so others may have "
            "changed an engine in it, and an engine is native code that runs unchecked.",
            hint="Set EDGEKIT_CACHE to a folder on another disk, or add --trust-engine where a "
            "command takes it.",
        )
    return {
        role: _cached(
            engine_stage(path, role, target, probe, options, model), force, timeout, progress
        )
        for role, path in graphs.items()
    }


@dataclass(frozen=True)
class EngineStage:
    """One engine before it is made.

    Attributes:
        parts: Content only: the graph and its data files, the runtime's full version, the device,
            the options; never a path.
    """

    subject: str
    parts: dict[str, str]
    graph: Path
    target: Target
    options: CompileOptions


def engine_stage(
    graph: Path,
    role: str,
    target: Target,
    probe: Probe,
    options: CompileOptions,
    model: str = "",
) -> EngineStage:
    """Lay out what an engine depends on; see compile_graphs.

    Raises:
        BadInput: The target cannot compute in what `options` asks for, or takes no options for a
            provider.
    """
    if options.provider_options and not takes_provider_options(target):
        raise _no_provider(target)
    if options.compute not in probe.computes:
        raise BadInput(
            f"{target} cannot compute in {options.compute} on this machine.",
            hint=f"It offers: {', '.join(probe.computes)}.",
        )
    name = f"{model}, {role}" if model and role != "main" else model or graph.name
    return EngineStage(
        subject=f"{name} for {target} in {options.compute}",
        parts={
            "graph": files_digest((graph, *external_files(graph))),
            "target": str(target),
            "runtime": probe.version,
            "device": probe.device,
            "options": msgspec.json.encode(options).decode(),
            **tools(by=("edgekit.jobs.steps.engine",)),
        },
        graph=graph,
        target=target,
        options=options,
    )


def compile_graph(
    graph: Path,
    target: Target,
    options: CompileOptions,
    folder: Path,
    kept: Path,
    progress: Progress,
) -> Compiled:
    """Compile one graph into a folder and record it there; runs in a child process.

    Args:
        graph: See Runtime.compile; likewise the next three.
        target: Where it runs.
        options: How.
        folder: Exists and is empty.
        kept: See Building.build.
        progress: Told how far a build is.
    """
    runtime = load_runtime(target.runtime)
    with plain_file(graph) as plain:
        if isinstance(runtime, Building):
            compiled = runtime.build(plain, target, options, folder, progress=progress, kept=kept)
        else:
            compiled = runtime.compile(plain, target, options, folder)
    write_bytes(folder / COMPILED, msgspec.json.format(msgspec.json.encode(compiled)))
    return compiled


def open_engines(folders: Mapping[str, Path]) -> dict[str, Session]:
    """Open compiled graphs by role.

    Raises:
        BadInput: An engine is damaged or belongs to another version or device, or others can change
            it.
    """
    sessions: dict[str, Session] = {}
    for role, folder in folders.items():
        compiled = read_compiled(folder)
        # Whose it may be, trust says; that nobody else changes it while it is opened, this does.
        for file in sorted(folder.iterdir()):
            refuse_exposed(file, f"The engine in {folder}", of_anyone=True)
        runtime = load_runtime(parse_target(compiled.target).runtime)
        sessions[role] = runtime.open(compiled, folder)
    return sessions


def opener(engines: Mapping[str, CachedEngine | ReadyEngine]) -> Callable[[], dict[str, Session]]:
    """Return a call that opens these engines by role; it travels to a child process."""
    return partial(open_engines, {role: engine.folder for role, engine in engines.items()})


def _cached(
    stage: EngineStage, force: bool, timeout: float | None, progress: Progress
) -> CachedEngine:
    def make(folder: Path) -> None:
        run_in_child(
            compile_graph,
            stage.graph,
            stage.target,
            stage.options,
            folder,
            _kept(stage),
            what=f"compiling {stage.subject}",
            progress=progress,
            seconds=timeout,
        )

    graph = (stage.graph, *external_files(stage.graph))
    stored = fetch(
        "engine",
        stage.subject,
        stage.parts,
        make,
        progress=progress,
        force=force,
        words=Words(found=built_by, again=built_again),
        # An engine is about as large as its graph; some write a copy beside it on the way.
        needs_bytes=2 * sum(file.stat().st_size for file in graph),
    )
    return CachedEngine(stored, read_compiled(stored.folder))


def _kept(stage: EngineStage) -> Path:
    """Where measured timings of one library on one device stay; they are no part of an engine."""
    parts = [stage.parts[name] for name in ("target", "runtime", "device")]
    return cache_root() / "timings" / digest(parts)[:16]


def _no_provider(target: Target) -> BadInput:
    return BadInput(
        f"--provider-option is for execution providers of ONNX Runtime, and {target} is none.",
        hint="Leave it out, or choose a target such as onnxruntime:ep=QNN.",
    )
