"""`edgekit compile`: engines for one target, cached by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from edgekit.core.destination import FOLDER, Destination
from edgekit.core.documents import CompileDocument
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.core.runtime import Adopting, CompileOptions, Placement, ShapeProfile
from edgekit.core.sizes import parse_size
from edgekit.core.subject import works_on
from edgekit.core.temporary import scratch
from edgekit.core.texts import bounded, whole_number
from edgekit.export import mend_qdq as mending
from edgekit.export.onnx_file import read_onnx
from edgekit.jobs.model.engine_folder import carry_engines
from edgekit.jobs.model.resolve import Model, resolve_model
from edgekit.jobs.opening.foreign_plan import Adopted, adopt_plan
from edgekit.jobs.opening.places import place_of
from edgekit.jobs.process.child import Child, run_in_child
from edgekit.jobs.process.targets import buildable
from edgekit.jobs.process.worker import Worker
from edgekit.jobs.steps.delivery import read_for
from edgekit.jobs.steps.engine import (
    CachedEngine,
    compile_graphs,
    opener,
    options_for,
    refuse_idle_options,
)
from edgekit.jobs.steps.examine import whole_placement
from edgekit.runtimes.trt_plan import is_plan
from edgekit.tasks.decoders import carried

__all__ = ["run"]

_ELSEWHERE = (
    "It was built by another program and taken as it is: bench, eval and predict run the folder "
    "with --trust-engine, and what it answers is proven by edgekit eval alone."
)
_NOT_RUN = (
    "It was built for another machine and not run here: what it answers is proven by "
    "`edgekit eval` on onnxruntime:cpu, and by `edgekit verify` on the device."
)


@works_on
def run(
    model: str,
    output: Path | None = None,
    *,
    target: str | None,
    compute: str,
    threads: int | None,
    allow_fallback: bool,
    sm: Sequence[int] = (),
    shapes: Sequence[Mapping[str, str]] = (),
    workspace: str | None = None,
    mend_qdq: bool = False,
    portable: Sequence[Literal["version", "hardware"]] = (),
    trust_engine: bool = False,
    provider_options: Mapping[str, str] | None,
    force: bool,
    progress: Progress,
) -> CompileDocument:
    """See edgekit.api.compile."""
    place = None
    if output is not None:
        place = Destination(output, FOLDER, force=force, inputs=read_for(model))
    if is_plan(Path(model)):
        if sm or shapes or workspace or portable or mend_qdq:
            raise BadInput(
                f"{model} is an engine already: how it was built cannot be changed any more.",
                hint="Compile the ONNX file that it was built from.",
            )
        where, _ = place_of(target, model, progress, only=Adopting)
        return _adopted(
            model,
            adopt_plan(
                Path(model),
                where,
                place,
                trust_engine=trust_engine,
                progress=progress,
            ),
        )
    architectures = tuple(sorted(set(sm)))
    if sm and target is None:
        raise BadInput(
            "--sm builds for GPUs that are not here, so no target can be chosen by what is here.",
            hint="Give --target tensorrt-rtx.",
        )
    where, probe = (
        buildable(target, architectures)
        if sm and target is not None
        else place_of(target, model, progress)
    )
    refuse_idle_options(provider_options, [where])
    resolved = resolve_model(model, probe=probe)
    options = CompileOptions(
        compute=compute,
        threads=threads,
        allow_fallback=allow_fallback,
        profiles=tuple(_profile(resolved, one) for one in shapes),
        sm=architectures,
        workspace_bytes=None if workspace is None else parse_size(workspace),
        portable=tuple(sorted(set(portable))),
        provider_options=options_for(where, provider_options),
    )
    with scratch("mend") as work:
        graphs, mended = resolved.variant.paths, list[str]()
        if mend_qdq:
            graphs, mended = _mended(graphs, work)
        try:
            engines = compile_graphs(
                graphs,
                where,
                probe,
                options,
                force=force,
                trust_engine=trust_engine,
                progress=progress,
            )
        except BadInput as error:
            if probe.dialect == "s8s8" and not mend_qdq:
                _refuse_faulty(graphs, str(where), error)
            raise
    opened = None if sm else _placement(resolved, engines, str(where), progress)
    folders = {role: engine.folder for role, engine in engines.items()}
    if place is not None:
        folders = carry_engines(
            folders,
            resolved.card,
            place,
            card_folder=resolved.folder,
            model=model,
            variant=resolved.variant.id,
            precision=resolved.variant.precision,
            target=str(where),
        )
    return CompileDocument(
        model=model,
        target=str(where),
        compute=compute,
        sm=options.sm,
        engines={role: str(folder) for role, folder in folders.items()},
        cached=all(engine.hit for engine in engines.values()),
        compile_ms=sum(engine.compiled.compile_ns for engine in engines.values()) / 1e6,
        size_bytes=sum(
            file.stat().st_size for folder in folders.values() for file in folder.iterdir()
        ),
        executed_precision=opened.executed_precision if opened else None,
        placement=opened.share_by_precision() if opened else _planned(engines),
        memory=_memory(engines),
        notes=(
            *mended,
            *filter(None, [carried(resolved.card, resolved.folder)[2] if place else ""]),
            *(note for engine in engines.values() for note in engine.compiled.notes),
            *(() if opened else (_NOT_RUN,)),
        ),
        devices=opened.share_by_device() if opened else {},
    )


def _adopted(model: str, adopted: Adopted) -> CompileDocument:
    compiled = adopted.compiled
    return CompileDocument(
        model=model,
        target=compiled.target,
        compute=compiled.options.compute,
        engines={role: str(folder) for role, folder in adopted.folders.items()},
        cached=False,
        compile_ms=compiled.compile_ns / 1e6,
        size_bytes=sum(
            file.stat().st_size for one in adopted.folders.values() for file in one.iterdir()
        ),
        executed_precision=None,
        placement={},
        notes=(_ELSEWHERE,),
    )


def _mended(graphs: Mapping[str, Path], folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Copies whose Q/DQ TensorRT takes, and what was changed in them."""
    written: dict[str, Path] = {}
    said: list[str] = []
    for role, path in graphs.items():
        written[role] = folder / f"{role}.onnx"
        said += run_in_child(mending.mend_qdq, path, written[role], what=f"mending {role}")
    return written, said


def _refuse_faulty(graphs: Mapping[str, Path], where: str, error: BadInput) -> None:
    """Say what is wrong with other tools' Q/DQ as a whole, where that is why an engine refuses.

    Raises:
        BadInput: A graph's Q/DQ is not of the dialect s8s8.
    """
    for path in graphs.values():
        faults = run_in_child(_faults, path, what=f"reading {path.name}")
        if faults:
            raise BadInput(
                f"{path} is not quantized as {where} takes it: it has {faults.words()}.",
                hint="Give edgekit compile --mend-qdq, or quantize the float model: edgekit "
                "quantize --dialect s8s8."
                if not faults.integer
                else "Quantize the float model: edgekit quantize --dialect s8s8.",
            ) from error


def _faults(path: Path) -> mending.QdqFaults:
    return mending.qdq_faults(read_onnx(path))


def _profile(model: Model, shapes: Mapping[str, str]) -> ShapeProfile:
    """Parse NAME=MIN:TYPICAL:MAX, each sizes with an x between; one shape stands for all three.

    Raises:
        BadInput: No such input, or no such form.
    """
    inputs = {**model.card.inputs}
    for graph in model.card.graphs.values():
        inputs.update(graph.inputs)
    profile: ShapeProfile = {}
    for name, text in shapes.items():
        if name not in inputs:
            raise BadInput(f"{model.text} has no input {name!r}.", closest(name, list(inputs)))
        parts = text.split(":")
        sizes = [
            [whole_number(size) for size in part.replace(",", "x").split("x")] for part in parts
        ]
        if len(parts) not in (1, 3) or any(None in part for part in sizes):
            raise BadInput(
                f"--shapes {bounded(f'{name}={text}', 300)} is not of the form MIN:TYPICAL:MAX.",
                hint=f"For instance: --shapes {name}=1x3x640x640:1x3x640x640:8x3x640x640.",
            )
        three = sizes * 3 if len(sizes) == 1 else sizes
        low, typical, high = (tuple(size for size in part if size is not None) for part in three)
        profile[name] = (low, typical, high)
    return profile


def _placement(
    model: Model, engines: Mapping[str, CachedEngine], where: str, progress: Progress
) -> Placement:
    """Open the engines and ask them what they run in."""
    with Child(
        Worker,
        opener(engines),
        model.card,
        model.folder,
        False,
        what=f"{model.name} on {where}",
        progress=progress,
    ) as child:
        return whole_placement(child.call("placement"))


def _planned(engines: Mapping[str, CachedEngine]) -> dict[str, float]:
    """Share of the products by planned precision, every graph counting alike; largest first."""
    shares: dict[str, float] = {}
    told = [engine.compiled.planned for engine in engines.values() if engine.compiled.planned]
    for planned in told:
        for precision, share in planned.items():
            shares[precision] = shares.get(precision, 0.0) + share / len(told)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _memory(engines: Mapping[str, CachedEngine]) -> dict[str, int]:
    """What the engines take on their device together, as far as their builds told."""
    total: dict[str, int] = {}
    for engine in engines.values():
        for name, size in engine.compiled.memory.items():
            total[name] = total.get(name, 0) + size
    return total
