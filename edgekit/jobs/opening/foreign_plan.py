"""A plan file of another program made into a folder of engines, as `compile -o` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import Axis, GraphCard, ModelCard, TensorCard
from edgekit.core.destination import Destination
from edgekit.core.errors import BadInput
from edgekit.core.files import pretty_json, write_bytes
from edgekit.core.progress import Progress
from edgekit.core.runtime import Adopting, Compiled, ShapeProfile, TensorInfo
from edgekit.core.target import Target
from edgekit.core.temporary import scratch
from edgekit.export.ultralytics_card import is_ultralytics, ultralytics_card
from edgekit.jobs.model.engine_folder import COMPILED, carry_engines, read_compiled
from edgekit.jobs.process.child import run_in_child
from edgekit.runtimes.catalogue import load_runtime
from edgekit.runtimes.engines import read_tensors
from edgekit.runtimes.trt_plan import PlanFile, read_plan

__all__ = ["Adopted", "adopt_engine", "adopt_plan"]

_MAIN = "main"


@dataclass(frozen=True)
class Adopted:
    """An engine of another program, in a folder of ours.

    Attributes:
        folders: Role to the folder written.
        compiled: What is known of it.
    """

    folders: dict[str, Path]
    compiled: Compiled


def adopt_plan(
    plan: Path,
    target: Target,
    output: Destination | None,
    *,
    trust_engine: bool,
    progress: Progress,
) -> Adopted:
    """Open a plan file once, in a process of its own, and write it down with its tensors.

    Args:
        plan: The file.
        target: Where it runs.
        output: The folder to make.
        trust_engine: Whether the user trusts who built it.
        progress: Told what is done.

    Raises:
        BadInput: It is not trusted, no folder is named, the target runs no such file, or its
            library does not read it.
        Unavailable: The device is not there.
    """
    runtime = load_runtime(target.runtime)
    if not isinstance(runtime, Adopting):
        raise BadInput(
            f"{plan} is an engine of TensorRT, and {target} runs none.",
            hint="Give --target tensorrt, or tensorrt-rtx.",
        )
    if not trust_engine:
        raise BadInput(
            f"{plan} was built by another program, and an engine is native code that runs "
            "unchecked.",
            hint="Add --trust-engine if you trust who built it; edgekit inspect does not open it.",
        )
    if output is None:
        raise BadInput(
            f"{plan} is an engine already, and no folder is named to put it into.",
            hint="Name one with -o.",
        )
    file = read_plan(plan)
    with scratch("adopt") as name:
        folder = name / _MAIN
        folder.mkdir()
        compiled = run_in_child(
            adopt_engine, plan, file.offset, target, folder, what=f"{plan} on {target}"
        )
        progress.note(f"{plan} was read by {target.runtime} {compiled.runtime_version}.")
        folders = carry_engines(
            {_MAIN: folder},
            _card(plan, file, folder),
            output,
            card_folder=plan.parent,
            model=str(plan),
            variant="engine",
            # What it computes in is the engine's own to tell.
            precision="fp32",
            target=str(target),
        )
    return Adopted(folders, compiled)


def adopt_engine(plan: Path, offset: int, target: Target, folder: Path) -> Compiled:
    """Let the runtime take the engine and record it; runs in a child process."""
    runtime = load_runtime(target.runtime)
    assert isinstance(runtime, Adopting)
    compiled = runtime.adopt(plan, offset, target, folder)
    write_bytes(folder / COMPILED, pretty_json(compiled))
    return compiled


def _card(plan: Path, file: PlanFile, folder: Path) -> ModelCard:
    """The card of the header, if it has one of a kind that is known, and the engine's tensors."""
    tensors = read_tensors(folder)
    card = ModelCard()
    if file.metadata is not None and is_ultralytics(file.metadata):
        shapes = [tensor.shape for tensor in tensors.outputs]
        card = ultralytics_card(file.metadata, str(plan), shapes=shapes or None)
    # Of several profiles the first says how large a dynamic axis may be.
    record = _profile(folder)
    graph = GraphCard(
        inputs={one.name: _tensor(one, record) for one in tensors.inputs},
        outputs={one.name: _tensor(one, {}) for one in tensors.outputs},
    )
    return card.with_graphs({_MAIN: graph})


def _profile(folder: Path) -> ShapeProfile:
    profiles = read_compiled(folder).options.profiles
    return profiles[0] if profiles else {}


def _tensor(info: TensorInfo, profile: ShapeProfile) -> TensorCard:
    if info.name not in profile:
        return TensorCard(shape=info.shape, dtype=info.dtype)
    low, typical, high = profile[info.name]
    return TensorCard(
        shape=tuple(
            size
            if isinstance(size, int)
            else Axis(name=size, min=low[place], typical=typical[place], max=high[place])
            for place, size in enumerate(info.shape)
        ),
        dtype=info.dtype,
    )
