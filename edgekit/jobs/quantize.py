"""`edgekit quantize`: an int8 or fp16 variant of an ONNX model."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

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
from edgekit.core.errors import BadInput, CheckFailed, Unavailable
from edgekit.core.names import closest
from edgekit.core.parity import rows_told
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.subject import works_on
from edgekit.core.temporary import scratch
from edgekit.core.variant import Variant
from edgekit.export.decisions import read_decisions
from edgekit.export.facts import quantized_shares
from edgekit.export.metadata import write_card
from edgekit.export.quantize import calibrated_graph
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.process.feeds import Data, missing_inputs, open_data
from edgekit.jobs.process.plain import Runs, run_plain
from edgekit.jobs.steps.cast import cast_feeds
from edgekit.jobs.steps.delivery import Delivery, read_for
from edgekit.jobs.steps.examine import named_parity
from edgekit.jobs.steps.export import output_parity
from edgekit.jobs.steps.graphs import calibrated, variant
from edgekit.jobs.steps.quantize import DIALECTS, growing_state, no_int8
from edgekit.jobs.steps.simulated import narrow_runs
from edgekit.jobs.steps.step import Stages

__all__ = ["run"]


_PARITY_IMAGES = 4


_SIMULATED = "Parity is that of fp16 arithmetic, which was simulated."


_ELSEWHERE = "Parity was checked on ONNX Runtime, for TensorRT runs on its own device only."


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
    name, stages = Path(model).stem, Stages(progress)
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
            try:
                found = calibrated(stages, name, before, resolved.card, images, seed)
            except (BadInput, CheckFailed) as error:
                raise no_int8(model, error) from error
            decisions, count, stayed = found.decisions, found.images, list(found.notes)
        feeds: Mapping[str, Sequence[Feeds]] = {}
        if identifier == "fp16":
            feeds, stayed = cast_feeds(resolved.card, images, seed)
        kept, notes = variant(
            stages, name, identifier, before, resolved.card, decisions, frozenset(), feeds
        )
        copies = {role: work / graph.name for role, graph in kept.paths.items()}
        for role, copy in copies.items():
            shutil.copyfile(kept.paths[role], copy)
            # The card may have come from a file beside the model; one file must be enough.
            write_card(copy, delivery.card, role)
        made = msgspec.structs.replace(kept, graphs={k: str(path) for k, path in copies.items()})
        parity, verdict, more = _checked(before, made, resolved.card, images, min_parity, progress)
        growing = growing_state(decisions)
        if growing and verdict == "PASS":
            verdict = "UNVERIFIED"
            names = ", ".join(growing)
            more = [*more, f"The state {names} grew as long as calibration followed it."]
        share, by_graph = quantized_shares(made.graphs)
        graphs = delivery.put(made.paths)
        files = dict(decisions)
        for role in decisions.keys() & beside.keys():
            files[role] = beside[role].path
            beside[role].write(decisions[role].read_bytes())
    return QuantizeDocument(
        model=model,
        variant=identifier,
        graphs={role: str(path) for role, path in graphs.items()},
        decisions={role: str(path) for role, path in files.items()},
        verdict=verdict,
        parity=parity,
        size_bytes=sum(path.stat().st_size for path in graphs.values()),
        size_bytes_before=sum(Path(path).stat().st_size for path in before.graphs.values()),
        quantized_share=(share or 0.0) if precision == "int8" else None,
        quantized_by_graph=by_graph if precision == "int8" else {},
        images=count,
        notes=(*stayed, *notes, *more, *delivery.notes),
    )


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
