"""Graphs of a lower precision: calibrated, cast and written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.engine_error import is_foreign
from edgekit.core.errors import BadInput, CheckFailed, EdgekitError
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.subject import reason_of
from edgekit.core.variant import Variant
from edgekit.export.decisions import Decisions, read_decisions, write_decisions
from edgekit.export.fp16 import write_fp16
from edgekit.export.quantize import calibrate, write_int8
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.feeds import Data, generated_feeds, roles
from edgekit.jobs.process.plain import open_plain, run_many
from edgekit.jobs.process.sequences import calibration_calls

__all__ = [
    "DIALECTS",
    "Quantized",
    "calibrate_graphs",
    "cast_feeds",
    "growing_state",
    "no_int8",
    "write_variant",
]


DIALECTS = ("u8s8", "s8s8")


# Calibration images: more changes the ranges of convolutional models little and costs time.
_CALIBRATION_IMAGES = 100


# Inputs on which the nodes of a cast to fp16 are tried.
_CAST_CASES = 8


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


def cast_feeds(
    card: ModelCard, data: Data | None, seed: int
) -> tuple[dict[str, list[Feeds]], list[str]]:
    """Inputs by role on which the nodes of a cast to fp16 are tried.

    Those that calibrate; a graph for which there are none gets generated ones.

    Args:
        card: With the tensors of every graph.
        data: None where there is none.
        seed: Of what is generated.

    Returns:
        The inputs, without a graph for which none can be generated; and a sentence where they are
        not those that calibrate.
    """
    found: dict[str, list[Feeds]] = {}
    said: dict[str, None] = {}
    for role in roles(card):
        try:
            if data is None:
                raise BadInput("There is no data.")
            found[role] = data.calibration_feeds(role, _CAST_CASES)
        except BadInput:
            try:
                found[role] = generated_feeds(card, seed)[role]
                said["What fp16 spoils was looked for on generated inputs."] = None
            except BadInput as error:
                said[f"What fp16 spoils was looked for on no inputs: {error}"] = None
    return found, list(said)


def write_variant(
    variant: Variant,
    identifier: str,
    decisions: dict[str, Path],
    folder: Path,
    feeds: Mapping[str, Sequence[Feeds]],
) -> tuple[Variant, list[str]]:
    """Write every graph of a variant: "fp16" by a cast, "int8-DIALECT" from decisions.

    Args:
        variant: The fp32 variant.
        identifier: What to write.
        decisions: Of int8, by role.
        folder: Where to write.
        feeds: For fp16, inputs by role on which its nodes are tried.

    Returns:
        The variant, and a sentence for everything that a user should know of the cast.
    """
    folder.mkdir(parents=True, exist_ok=True)
    graphs: dict[str, str] = {}
    notes: list[str] = []
    for role, path in variant.graphs.items():
        output = folder / f"{role}.onnx"
        if identifier == "fp16":
            notes += run_in_child(
                write_fp16,
                Path(path),
                output,
                feeds.get(role, ()),
                run_many,
                what=f"casting {role} to fp16",
            )
        elif role not in decisions:
            shutil.copyfile(path, output)
        else:
            content = read_decisions(decisions[role])
            dialect = identifier.partition("-")[2]
            run_in_child(
                write_int8, Path(path), content, dialect, output, what=f"writing {identifier}"
            )
        graphs[role] = str(output)
    made = Variant(id=identifier, precision=identifier.partition("-")[0], graphs=graphs)
    return made, notes


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
