"""`edgekit quantize`: an int8 or fp16 variant of an ONNX model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.benchmarks.certificate import (
    Simulated,
    parity_limit,
    parity_verdict,
    spoiled_sums,
)
from edgekit.core.card import ModelCard
from edgekit.core.certificate import Verdict, worst
from edgekit.core.destination import FOLDER, GRAPH, JSON, Destination
from edgekit.core.documents import OutputParity, QuantizeDocument
from edgekit.core.engine_error import is_foreign
from edgekit.core.errors import BadInput, CheckFailed, EdgekitError, Unavailable
from edgekit.core.names import closest
from edgekit.core.parity import rows_told
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.subject import reason_of, works_on
from edgekit.core.temporary import scratch
from edgekit.core.variant import Variant
from edgekit.export.decisions import Decisions, read_decisions, write_decisions
from edgekit.export.facts import quantized_shares
from edgekit.export.fp16 import write_fp16
from edgekit.export.metadata import write_card
from edgekit.export.quantize import calibrate, calibrated_graph, write_int8
from edgekit.jobs.delivery import Delivery, read_for
from edgekit.jobs.export import output_parity
from edgekit.jobs.running.certify import named_parity
from edgekit.jobs.running.child import run_in_child
from edgekit.jobs.running.feeds import Data, generated_feeds, missing_inputs, open_data, roles
from edgekit.jobs.running.models import resolve_model
from edgekit.jobs.running.plain import Runs, open_plain, run_many, run_plain
from edgekit.jobs.running.sequences import calibration_calls
from edgekit.jobs.running.simulated import narrow_runs

__all__ = [
    "DIALECTS",
    "Quantized",
    "calibrate_graphs",
    "cast_feeds",
    "growing_state",
    "no_int8",
    "run",
    "write_variant",
]

DIALECTS = ("u8s8", "s8s8")

# Calibration images: more changes the ranges of convolutional models little and costs time.
_CALIBRATION_IMAGES = 100
_PARITY_IMAGES = 4
# Inputs on which the nodes of a cast to fp16 are tried.
_CAST_CASES = 8
_SIMULATED = "Parity is that of fp16 arithmetic, which was simulated."
_ELSEWHERE = "Parity was checked on ONNX Runtime, for TensorRT runs on its own device only."


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


@works_on
def run(
    model: str,
    output: Path | None,
    *,
    data: Path | None,
    calibration: Path | None,
    written: Sequence[Path] = (),
    precision: str,
    dialect: str,
    card: Path | None,
    options: Mapping[str, str] | None,
    min_parity: float | None,
    seed: int,
    force: bool,
    progress: Progress,
) -> QuantizeDocument:
    """See edgekit.api.quantize."""
    if precision not in ("int8", "fp16"):
        raise BadInput(f"{precision!r} is not a precision.", closest(precision, ("int8", "fp16")))
    if dialect not in DIALECTS:
        raise BadInput(f"{dialect!r} is not a dialect.", closest(dialect, DIALECTS))
    resolved = resolve_model(model, card=card, options=options)
    if resolved.variant.precision != "fp32":
        raise BadInput(
            f"{model} holds {resolved.variant.precision} already.", hint="Give the fp32 graph."
        )
    images = None
    if data is not None or calibration is not None:
        images = open_data(data, resolved.card, calibration=calibration, seed=seed)
    missing = missing_inputs(images, "calib")
    before = resolved.variant
    if written and (precision != "int8" or calibration is not None):
        raise BadInput(
            "What --from names was calibrated already and is int8.",
            hint="Leave --calibration and --precision out.",
        )
    identifier = "fp16" if precision == "fp16" else f"int8-{dialect}"
    read = read_for(model, card, data, calibration, *written)
    place = Destination(
        output or _beside(before, identifier),
        GRAPH if len(before.graphs) == 1 else FOLDER,
        force=force,
        inputs=read,
    )
    delivery = Delivery(place, resolved.card, resolved.folder)
    beside = {}
    if precision == "int8" and not written:
        for role in before.graphs:
            path = place.path.with_name(f"{place.path.stem}.{role}.quantization.json")
            beside[role] = Destination(path, JSON, force=force, inputs=read)
    with scratch("quantize") as work:
        decisions: dict[str, Path] = {}
        stayed: list[str] = []
        count = 0
        if written:
            decisions = _given(before, written)
            count = max(read_decisions(path).calibration.samples for path in written)
        elif precision == "int8":
            if missing is not None:
                raise BadInput(
                    f"There is nothing to calibrate int8 on: {missing[0]}.",
                    hint=f"{missing[1]} A quantization.json of this graph does too (--from).",
                )
            assert images is not None, "no data is something missing"
            progress.stage("calibrate")
            try:
                quantized = calibrate_graphs(before, resolved.card, images, work, seed, progress)
            except (BadInput, CheckFailed) as error:
                raise no_int8(model, error) from error
            decisions, count = quantized.decisions, quantized.images
            stayed = quantized.notes
        progress.stage(identifier)
        feeds: Mapping[str, Sequence[Feeds]] = {}
        if identifier == "fp16":
            feeds, stayed = cast_feeds(resolved.card, images, seed)
        variant, notes = write_variant(before, identifier, decisions, work / "graphs", feeds)
        for role, graph in variant.graphs.items():
            # The card may have come from a file beside the model; one file must be enough.
            write_card(Path(graph), delivery.card, role)
        parity, verdict, more = _checked(
            before, variant, resolved.card, images, min_parity, progress
        )
        growing = growing_state(decisions)
        if growing and verdict == "PASS":
            verdict = "UNVERIFIED"
            names = ", ".join(growing)
            more = [*more, f"The state {names} grew as long as calibration followed it."]
        share, by_graph = quantized_shares(variant.graphs)
        graphs = delivery.put(variant.paths)
        kept = dict(decisions)
        for role in decisions.keys() & beside.keys():
            kept[role] = beside[role].path
            beside[role].write(decisions[role].read_bytes())
    return QuantizeDocument(
        model=model,
        variant=identifier,
        graphs={role: str(path) for role, path in graphs.items()},
        decisions={role: str(path) for role, path in kept.items()},
        verdict=verdict,
        parity=parity,
        size_bytes=sum(path.stat().st_size for path in graphs.values()),
        size_bytes_before=sum(Path(path).stat().st_size for path in before.graphs.values()),
        quantized_share=(share or 0.0) if precision == "int8" else None,
        quantized_by_graph=by_graph if precision == "int8" else {},
        images=count,
        notes=(*stayed, *notes, *more, *delivery.notes),
    )


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


def _given(variant: Variant, written: Sequence[Path]) -> dict[str, Path]:
    """Find out which graph each quantization.json was made for.

    Raises:
        BadInput: One of them was made for none of the graphs, or for one that another names too.
    """
    roles = {calibrated_graph(path): role for role, path in variant.paths.items()}
    found: dict[str, Path] = {}
    for path in written:
        role = roles.get(read_decisions(path).graph_sha256)
        if role is None:
            raise BadInput(
                f"{path} was made for another graph than {', '.join(variant.graphs.values())}.",
                hint="Name the fp32 graph that was calibrated, as it was then.",
            )
        if role in found:
            raise BadInput(
                f"{found[role]} and {path} are for one and the same graph.", hint="Give one."
            )
        found[role] = path
    return found


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


def _checked(
    before: Variant,
    after: Variant,
    card: ModelCard,
    data: Data | None,
    min_parity: float | None,
    progress: Progress,
) -> tuple[tuple[OutputParity, ...], Verdict, list[str]]:
    """Compare with the fp32 graph on images that were not calibrated on."""
    missing = missing_inputs(data, "eval")
    if missing is not None:
        return (), "UNVERIFIED", [f"Parity was not checked: {missing[0]}. {missing[1]}"]
    assert data is not None, "no data is something missing"
    feeds = data.feeds(_PARITY_IMAGES)
    progress.stage("parity")
    simulated: Simulated | None = None
    try:
        reference = run_plain(before.paths, feeds, card)
        if after.precision == "fp16":
            found = narrow_runs(after, card, feeds)
            simulated = Simulated(
                narrow=named_parity(card, found.wide, found.narrow), nodes=found.nodes
            )
            got: Runs = {
                role: [
                    (one, call)
                    for one, calls in zip(feeds[role], found.wide[role], strict=True)
                    for call in calls
                ]
                for role in feeds
            }
        else:
            got = run_plain(after.paths, feeds, card)
    except (BadInput, Unavailable) as error:
        return (), "UNVERIFIED", [f"Parity was not checked: {error}"]
    parity = output_parity(reference, got, card)
    limit = parity_limit(after.precision, after.precision, min_parity)
    verdict = worst(parity_verdict(one.sqnr_db, one.unjudged, limit) for one in parity)
    said = [_ELSEWHERE] if after.id == "int8-s8s8" else []
    said += filter(None, [rows_told((one.output, one.moved, one.unjudged) for one in parity)])
    if simulated is not None:
        said.append(_SIMULATED)
        spoiled = spoiled_sums(simulated, limit)
        if spoiled and verdict == "PASS":
            said.append(spoiled)
            verdict = "UNVERIFIED"
    return parity, verdict, said


def _beside(variant: Variant, identifier: str) -> Path:
    first = Path(next(iter(variant.graphs.values())))
    if len(variant.graphs) == 1:
        return first.with_name(f"{first.stem}.{identifier}.onnx")
    return first.parent.with_name(f"{first.parent.name}.{identifier}")
