"""Compiled graphs: made in a child process, cached by content, opened by role."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import platformdirs
from filelock import FileLock

from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.files import atomic_folder, sha256_file, write_bytes
from edgekit.core.progress import Progress
from edgekit.core.runtime import Compiled, CompileOptions, Probe, Session
from edgekit.core.target import Target
from edgekit.export.onnx_file import external_files
from edgekit.jobs.child import run_in_child
from edgekit.runtimes.catalogue import load_runtime, parse_target

__all__ = [
    "CachedEngine",
    "cache_root",
    "compile_graph",
    "compile_graphs",
    "open_engines",
    "opener",
    "usable",
]


@dataclass(frozen=True)
class CachedEngine:
    """One compiled graph in the cache.

    Attributes:
        folder: Where it lies.
        compiled: What the runtime said about it.
        hit: Whether it was there already.
    """

    folder: Path
    compiled: Compiled
    hit: bool


def cache_root() -> Path:
    """Folder of the cache: EDGEKIT_CACHE, or the user's cache folder."""
    chosen = os.environ.get("EDGEKIT_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("edgekit"))


def usable(text: str) -> tuple[Target, Probe]:
    """Parse a target and make sure that this machine has it.

    Raises:
        BadInput: No such target; names the closest.
        Unavailable: The engine or the device is not here; says why, and the fix.
    """
    target = parse_target(text)
    probe = load_runtime(target.runtime).probe(target)
    if not probe.usable:
        raise Unavailable(
            f"{target} cannot be used here: {_sentence(probe.reason)}", hint=probe.fix
        )
    return target, probe


def compile_graphs(
    graphs: Mapping[str, Path],
    target: Target,
    probe: Probe,
    options: CompileOptions,
    *,
    force: bool = False,
    progress: Progress,
) -> dict[str, CachedEngine]:
    """Compile every graph of a variant, or take it from the cache.

    Args:
        graphs: Role to ONNX file.
        target: Where it will run.
        probe: What `usable` said about the target.
        options: Part of the cache key.
        force: Compile although it is cached.
        progress: Told of every hit and miss.
    """
    if options.compute not in probe.computes:
        raise BadInput(
            f"{target} cannot compute in {options.compute} on this machine.",
            hint=f"It offers: {', '.join(probe.computes)}.",
        )
    return {
        role: _cached(path, target, probe, options, force=force, progress=progress)
        for role, path in graphs.items()
    }


def compile_graph(graph: Path, target: Target, options: CompileOptions, folder: Path) -> Compiled:
    """Compile one graph into a folder and record it there; runs in a child process."""
    compiled = load_runtime(target.runtime).compile(graph, target, options, folder)
    write_bytes(folder / "compiled.json", msgspec.json.format(msgspec.json.encode(compiled)))
    return compiled


def open_engines(folders: Mapping[str, Path]) -> dict[str, Session]:
    """Open compiled graphs by role.

    Raises:
        BadInput: An engine is damaged or belongs to another version or device.
    """
    sessions: dict[str, Session] = {}
    for role, folder in folders.items():
        compiled = _read(folder)
        runtime = load_runtime(parse_target(compiled.target).runtime)
        sessions[role] = runtime.open(compiled, folder)
    return sessions


def opener(engines: Mapping[str, CachedEngine]) -> Callable[[], dict[str, Session]]:
    """Return a call that opens these engines by role; it travels to a child process."""
    return partial(open_engines, {role: engine.folder for role, engine in engines.items()})


def _cached(
    graph: Path,
    target: Target,
    probe: Probe,
    options: CompileOptions,
    *,
    force: bool,
    progress: Progress,
) -> CachedEngine:
    key = _key(graph, target, probe, options)
    folder = cache_root() / "engines" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two jobs that want the same engine: the second waits and then finds it.
    with FileLock(folder.with_suffix(".lock")):
        if not force and (folder / "compiled.json").exists():
            compiled = _read(folder)
            engine = folder / compiled.engine
            if engine.exists() and sha256_file(engine) == compiled.engine_sha256:
                progress.note(
                    f"{graph.name} for {target} in {options.compute}: cached engine {key[:12]}."
                )
                return CachedEngine(folder, compiled, hit=True)
            progress.note(f"The cached engine {key[:12]} is damaged and is made again.")
        with atomic_folder(folder, force=True) as temporary:
            compiled = run_in_child(
                compile_graph,
                graph,
                target,
                options,
                temporary,
                what=f"compiling {graph.name} for {target}",
                progress=progress,
            )
    return CachedEngine(folder, compiled, hit=False)


def _key(graph: Path, target: Target, probe: Probe, options: CompileOptions) -> str:
    """Content only: the graph and its data files, the runtime's full version, device, options."""
    files = [sha256_file(file) for file in (graph, *external_files(graph))]
    parts = (*files, str(target), probe.version, probe.device, msgspec.json.encode(options).hex())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read(folder: Path) -> Compiled:
    path = folder / "compiled.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Compiled)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(
            f"{path} does not describe an engine: {error}.", hint="Compile the model again."
        ) from error


def _sentence(reason: str) -> str:
    return reason if reason.endswith(".") else f"{reason}."
