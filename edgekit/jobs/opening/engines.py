"""Engines that are run as they lie: what of them is checked before anything opens them.

An engine is native code: the library that it is for runs it unchecked. So one that was not built on
this machine is opened only with the user's consent. Its checksum, version and device are the
runtime's own checks, when it opens it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.core.private import keeps_permissions, refuse_exposed
from edgekit.core.progress import Progress
from edgekit.core.runtime import Compiled, CompileOptions, Probe
from edgekit.core.target import Target
from edgekit.jobs.model.engine_folder import ReadyEngine, is_carried, read_carried
from edgekit.jobs.model.resolve import Model
from edgekit.jobs.steps.cache import records
from edgekit.jobs.steps.engine import CachedEngine, compile_graphs
from edgekit.runtimes.catalogue import parse_target

__all__ = ["RunOptions", "asked_of", "built_here", "engines_of", "own_options", "own_target"]


@dataclass(frozen=True)
class RunOptions:
    """What a user asked of how a model runs, nothing left open but the threads.

    Attributes:
        computes: Float precisions.
        threads: Of a CPU engine; None means all physical cores.
    """

    computes: tuple[str, ...]
    threads: int | None


def asked_of(model: str, computes: Sequence[str], threads: int | None) -> RunOptions:
    """Fill in what the user left open: fp32 and all cores, or what engines were compiled for.

    Args:
        model: MODEL as typed.
        computes: Empty means that none was given.
        threads: None means that none were given.

    Raises:
        BadInput: A folder of engines that is damaged.
    """
    own = own_options(model)
    if own is None:
        return RunOptions(tuple(computes) or ("fp32",), threads)
    return RunOptions(
        tuple(computes) or (own.compute,), own.threads if threads is None else threads
    )


def own_options(model: str) -> CompileOptions | None:
    """How the engines of a folder were compiled; None where MODEL is no such folder.

    Raises:
        BadInput: It is damaged.
    """
    path = Path(model)
    if not is_carried(path):
        return None
    _, _, engines = read_carried(path)
    return next(iter(engines.values())).compiled.options


def own_target(model: str) -> str | None:
    """The target that the engines of a folder are for; None where MODEL is no such folder.

    Raises:
        BadInput: It is damaged.
    """
    path = Path(model)
    return read_carried(path)[0].target if is_carried(path) else None


def engines_of(
    model: Model,
    target: Target,
    probe: Probe,
    options: CompileOptions,
    *,
    trust_engine: bool,
    timeout: float | None = None,
    progress: Progress,
) -> Mapping[str, CachedEngine | ReadyEngine]:
    """Return the engine of every role: compiled from its graph, or as MODEL brings it.

    Args:
        model: Graphs, or engines.
        target: Where it runs.
        probe: What `usable` said about the target.
        options: How it is to run; of engines only what a user may ask for is looked at.
        trust_engine: Whether an engine that was not built on this machine may be opened.
        timeout: Seconds that compiling one graph may take; None sets no limit.
        progress: Told of every hit and miss.

    Raises:
        BadInput: An engine is for another target or was compiled with other options, others can
            change it, or it was built elsewhere and is not trusted.
    """
    if not model.engines:
        return compile_graphs(
            model.variant.paths,
            target,
            probe,
            options,
            timeout=timeout,
            trust_engine=trust_engine,
            progress=progress,
        )
    for engine in model.engines.values():
        _refuse_unlike(model.text, engine.compiled, target, options)
    foreign = [role for role, one in model.engines.items() if not built_here(one)]
    if foreign and not trust_engine:
        raise BadInput(
            f"The engine in {model.text} was not built on this machine, and an engine is native "
            "code that runs unchecked.",
            hint="Add --trust-engine if you trust who built it, or compile the model here.",
        )
    for engine in model.engines.values():
        refuse_exposed(engine.folder, f"The engine in {model.text}", of_anyone=trust_engine)
        if not trust_engine and not keeps_permissions(engine.folder):
            raise BadInput(
                f"The engine in {model.text} lies on a disk that keeps no permissions, so others "
                "may have changed it, and an engine is native code that runs unchecked.",
                hint="Add --trust-engine if you trust who can write there, or copy it elsewhere.",
            )
    return model.engines


def built_here(ready: ReadyEngine) -> bool:
    """Whether this machine's cache holds the very engine, with all that lies beside it.

    The engine itself is taken at its recorded checksum, which a runtime compares before it opens
    it. What lies beside it says how large its buffers are, so that must be the cache's own too.
    """
    compiled, folder = ready.compiled, ready.folder
    for _, record in records("engine"):
        files = {} if record is None else dict(record.files)
        engine = files.pop(compiled.engine, None)
        if engine is None or engine.sha256 != compiled.engine_sha256:
            continue
        if all(
            (folder / name).is_file() and sha256_file(folder / name) == file.sha256
            for name, file in files.items()
        ):
            return True
    return False


def _refuse_unlike(text: str, compiled: Compiled, target: Target, options: CompileOptions) -> None:
    """Refuse what cannot be changed any more once an engine is compiled."""
    made = parse_target(compiled.target)
    # The first of several devices is the one that is meant where none is named.
    if (made.runtime, made.device, made.index or 0) != (
        target.runtime,
        target.device,
        target.index or 0,
    ):
        raise BadInput(
            f"{text} was compiled for {made}, not for {target}.",
            hint=f"Give --target {made}, or compile the model for {target}.",
        )
    own = compiled.options
    for name, asked, is_made in (
        ("compute", options.compute, own.compute),
        ("threads", options.threads, own.threads),
        ("streams", options.streams, own.streams),
    ):
        if asked != is_made:
            was = "" if is_made is None else f" {is_made}"
            raise BadInput(
                f"{text} was compiled {f'with --{name}{was}' if was else f'without --{name}'}, "
                f"which --{name} {asked} cannot change any more.",
                hint=f"Leave --{name} out, or compile the model again.",
            )
