"""Graphs of a lower precision: calibrated, cast and written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.engine_error import is_foreign
from edgekit.core.errors import BadInput, CheckFailed, EdgekitError
from edgekit.core.progress import Progress
from edgekit.core.subject import reason_of
from edgekit.core.variant import Variant
from edgekit.export.decisions import Decisions, read_decisions, write_decisions
from edgekit.export.quantize import calibrate, write_int8
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.feeds import Data
from edgekit.jobs.process.plain import open_plain
from edgekit.jobs.process.sequences import calibration_calls

__all__ = [
    "DIALECTS",
    "Quantized",
    "calibrate_graphs",
    "growing_state",
    "no_int8",
    "write_int8_graph",
]


DIALECTS = ("u8s8", "s8s8")


# Calibration images: more changes the ranges of convolutional models little and costs time.
_CALIBRATION_IMAGES = 100


@dataclass(frozen=True)
class Quantized:
    """Decisions by role, as files.

    Attributes:
        decisions: A graph that stays in float has none.
        images: Calibration inputs used.
        notes: Why a graph stays in float.
    """

    decisions: dict[str, Path]
    images: int
    notes: list[str]


def calibrate_graphs(
    variant: Variant, card: ModelCard, data: Data, folder: Path, seed: int, progress: Progress
) -> Quantized:
    """Calibrate every graph once; the decisions serve every dialect.

    Args:
        variant: The fp32 variant.
        card: The model's.
        data: Its calibration part is used.
        folder: Receives ROLE.quantization.json.
        seed: Of the calibration.
        progress: Receives what is being done.

    Raises:
        BadInput: No calibration inputs, or nothing in the graphs can be quantized.
        CheckFailed: The calibration of the one graph failed, crashed or did not end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    refusals: dict[str, EdgekitError] = {}
    images = 0
    for role, path in variant.graphs.items():
        # NNCF patches what it imports and keeps memory: it gets a process of its own.
        try:
            count, decisions = run_in_child(
                _calibrate,
                Path(path),
                role,
                data,
                card.task,
                seed,
                what=f"calibrating {role}",
                progress=progress,
            )
        except (BadInput, CheckFailed) as error:
            refusals[role] = error
            continue
        images = max(images, count)
        written[role] = folder / f"{role}.quantization.json"
        write_decisions(decisions, written[role])
    if not written:
        raise next(iter(refusals.values()))
    # Of several graphs, one that cannot be quantized stays in float.
    notes = [
        f"The graph {role!r} of int8 is float: {error.message}" for role, error in refusals.items()
    ]
    return Quantized(written, images, notes)


def no_int8(model: str, refusal: EdgekitError) -> BadInput:
    """Return a calibration's refusal with the model as the user named it, not as it lies here."""
    return BadInput(f"There is no int8 of {model}: {refusal.message}", hint=refusal.hint)


def growing_state(decisions: Mapping[str, Path]) -> list[str]:
    """Name the state that the ranges of decisions do not hold in the long run, by role and input.

    Args:
        decisions: Role to a quantization.json.
    """
    return [
        name if role == "main" else f"{role}/{name}"
        for role, path in decisions.items()
        for name in read_decisions(path).growing
    ]


def write_int8_graph(
    role: str, graph: Path, decisions: Mapping[str, Path], dialect: str, output: Path
) -> None:
    """Write one graph in int8, in a child process; one without decisions stays as it is.

    Args:
        role: Of the graph.
        graph: In fp32.
        decisions: Role to a quantization.json.
        dialect: One of DIALECTS.
        output: The file to write.
    """
    if role not in decisions:
        shutil.copyfile(graph, output)
        return
    content = read_decisions(decisions[role])
    run_in_child(
        write_int8, graph, content, dialect, output, what=f"writing int8-{dialect} of {role}"
    )


def _calibrate(
    model: Path, role: str, data: Data, task: str, seed: int, progress: Progress
) -> tuple[int, Decisions]:
    cases = data.calibration_feeds(role, _CALIBRATION_IMAGES)
    graph = data.card.graph(role)
    feeds, growing = cases, tuple[str, ...]()
    if graph.state:
        with open_plain(model) as session:
            feeds, growing = calibration_calls(session, cases, graph, _CALIBRATION_IMAGES)
    try:
        decisions = calibrate(
            model,
            feeds,
            task=task,
            record=data.record(),
            seed=seed,
            progress=progress,
            growing=growing,
        )
    except Exception as error:
        if not is_foreign(error):
            raise
        raise CheckFailed(
            f"calibration failed on it: {reason_of(error)}.",
            hint="Use fp32 or fp16 for this model.",
        ) from error
    return len(cases), decisions
