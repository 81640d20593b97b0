"""What is known of a compiled engine without opening it: `edgekit inspect`."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.documents import EngineFacts, EngineLayer
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.jobs.model.engine_folder import ReadyEngine
from edgekit.jobs.opening.engines import built_here
from edgekit.runtimes.catalogue import parse_target
from edgekit.runtimes.engines import read_tensors
from edgekit.runtimes.trt_engine import find_record
from edgekit.runtimes.trt_plan import PlanFile

__all__ = ["engine_facts", "plan_facts"]


def engine_facts(ready: ReadyEngine, role: str) -> EngineFacts:
    """Read what lies beside an engine of ours.

    Raises:
        BadInput: The engine is missing, or what lies beside it is damaged.
    """
    compiled, folder = ready.compiled, ready.folder
    engine = folder / compiled.engine
    if Path(compiled.engine).name != compiled.engine or not engine.is_file():
        raise BadInput(f"{engine} is missing.", hint=f"Compile it again for {compiled.target}.")
    tensors = read_tensors(folder)
    record = find_record(folder)
    sha256 = sha256_file(engine)
    whole = sha256 == compiled.engine_sha256
    runtime = parse_target(compiled.target).runtime
    return EngineFacts(
        role=role,
        file=str(engine),
        size_bytes=engine.stat().st_size,
        sha256=sha256,
        whole=whole,
        target=compiled.target,
        device=compiled.device,
        builder=record.builder if record else f"{runtime} {compiled.runtime_version}",
        built_here=whole and built_here(ready),
        options=compiled.options,
        graph_sha256=compiled.graph_sha256,
        inputs=tensors.inputs,
        outputs=tensors.outputs,
        profiles=record.profiles if record else compiled.options.profiles,
        planned=compiled.planned,
        layers=tuple(
            EngineLayer(name=layer.name, kind=layer.kind, precision=layer.precision)
            for layer in (record.layers if record else ())
        ),
        memory=compiled.memory,
        notes=compiled.notes,
        warnings=record.warnings if record else (),
    )


def plan_facts(path: Path, plan: PlanFile) -> EngineFacts:
    """What a plan file of another program says of itself."""
    return EngineFacts(
        role="main",
        file=str(path),
        size_bytes=plan.size_bytes,
        sha256=plan.sha256,
        whole=None,
        metadata=plan.metadata,
    )
