"""`edgekit compile`: engines for one target, cached by content."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.core.documents import CompileDocument
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions
from edgekit.jobs.running.certify import whole_placement
from edgekit.jobs.running.child import Child
from edgekit.jobs.running.engines import (
    compile_graphs,
    opener,
    options_for,
    refuse_idle_options,
    usable,
)
from edgekit.jobs.running.models import resolve_model
from edgekit.jobs.running.worker import Worker

__all__ = ["run"]


def run(
    model: str,
    *,
    target: str,
    compute: str,
    threads: int | None,
    allow_fallback: bool,
    provider_options: Mapping[str, str] | None,
    force: bool,
    progress: Progress,
) -> CompileDocument:
    """See edgekit.api.compile."""
    where, probe = usable(target)
    refuse_idle_options(provider_options, [where])
    resolved = resolve_model(model, probe=probe)
    options = CompileOptions(
        compute=compute,
        threads=threads,
        allow_fallback=allow_fallback,
        provider_options=options_for(where, provider_options),
    )
    engines = compile_graphs(
        resolved.variant.paths, where, probe, options, force=force, progress=progress
    )
    folders = {role: engine.folder for role, engine in engines.items()}
    with Child(
        Worker,
        opener(engines),
        resolved.card,
        resolved.folder,
        False,
        what=f"{resolved.name} on {where}",
        progress=progress,
    ) as child:
        whole = whole_placement(child.call("placement"))
    return CompileDocument(
        model=model,
        target=str(where),
        compute=compute,
        engines={role: str(folder) for role, folder in folders.items()},
        cached=all(engine.hit for engine in engines.values()),
        compile_ms=sum(engine.compiled.compile_ns for engine in engines.values()) / 1e6,
        size_bytes=sum(
            file.stat().st_size for folder in folders.values() for file in folder.iterdir()
        ),
        executed_precision=whole.executed_precision,
        placement=whole.share_by_precision(),
        devices=whole.share_by_device(),
    )
