"""The export of a source: its graphs, its card, and how the graphs agree with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.benchmarks.certificate import ShapeCase, check_shapes, parity_limit, parity_verdict
from edgekit.core.card import ModelCard
from edgekit.core.certificate import Check, Verdict, worst
from edgekit.core.documents import OutputParity
from edgekit.core.errors import Unavailable
from edgekit.core.inputs import parse_shape, sizes_in
from edgekit.core.parity import TensorParity, rows_told
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds
from edgekit.core.source import Source
from edgekit.export.builtin.catalogue import builtin_card
from edgekit.export.metadata import with_card
from edgekit.export.onnx_file import read_onnx
from edgekit.export.stability import rounding_noise
from edgekit.export.ultralytics_source import at_size, ultralytics_source_card
from edgekit.export.worker import ExportOutcome, ExportRequest, export_model
from edgekit.jobs.model.resolve import choose_card, with_options
from edgekit.jobs.process.aligned import aligned_runs
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.confined import checked, confinement_of
from edgekit.jobs.process.feeds import generated_feeds
from edgekit.jobs.process.plain import Runs, answer_plain, plain_is_usable, run_file, run_plain
from edgekit.jobs.process.sequences import Outputs, compare
from edgekit.jobs.steps.examine import is_finite
from edgekit.tasks.cards import find_card

__all__ = [
    "Exported",
    "export_graphs",
    "export_verdict",
    "original_graphs",
    "output_parity",
    "output_row",
    "source_card",
]


@dataclass(frozen=True)
class Exported:
    """Graphs written into a folder, and how near they are to the reference.

    Attributes:
        outcome: What the export side says.
        parity: The worst case of every output over all shapes.
        shapes: The same, judged; UNVERIFIED where no engine is installed to run the graphs.
        verdict: Of that, and of what is baked in.
        notes: Sentences worth telling.
    """

    outcome: ExportOutcome
    parity: tuple[OutputParity, ...]
    shapes: Check
    verdict: Verdict
    notes: tuple[str, ...]


def source_card(
    source: Source,
    card: Path | None,
    options: Mapping[str, str] | None = None,
    *,
    inputs: Mapping[str, str] | None = None,
    trust_code: bool = False,
    trust_pickle: bool = False,
) -> tuple[ModelCard, Path]:
    """The card of a source, and the folder where a user's decoder is looked for.

    Args:
        source: What the user named.
        card: The option --card.
        options: Keys of the card to values as YAML would give them (--set), put over it.
        inputs: The option --input; where a source can be exported at any size, it says one.
        trust_code: For a source whose card must be read off the network.
        trust_pickle: Likewise.
    """
    if source.kind == "edgekit" and card is None:
        return with_options(builtin_card(source.location), options), Path()
    if source.kind == "ultralytics":
        # The network knows its labels and its size, and only PyTorch can open it.
        own = run_in_child(
            ultralytics_source_card,
            source.location,
            what=f"reading {source.name}",
            confined=confinement_of(source, trust_code=trust_code, trust_pickle=trust_pickle),
            trust_code=trust_code,
            trust_pickle=trust_pickle,
        )
        return _ultralytics_card(source, own, card, options, inputs or {})
    graphs = original_graphs(source)
    found, folder = choose_card(source.path, graphs.get("main"), card, options)
    # What is a graph already names its own tensors, before data is laid into them.
    silent = {
        role: with_card(read_onnx(path), found.graph(role), str(path))[0]
        for role, path in graphs.items()
        if not found.graph(role).inputs
    }
    return found.with_graphs({**found.graphs, **silent}), folder


def _ultralytics_card(
    source: Source,
    own: ModelCard,
    card: Path | None,
    options: Mapping[str, str] | None,
    inputs: Mapping[str, str],
) -> tuple[ModelCard, Path]:
    found, folder = own, Path()
    if card is not None or (source.path is not None and find_card(source.path) is not None):
        found, folder = choose_card(source.path, None, card)
    found = with_options(found, options)
    if not found.inputs:
        found = msgspec.structs.replace(found, inputs=own.inputs)
    if found.preprocess is None:
        return found, folder
    size = found.preprocess.size
    for text in inputs.values():
        asked = parse_shape(text).shape[2:]
        if len(asked) == 2 and all(isinstance(side, int) for side in asked):
            size = (int(str(asked[0])), int(str(asked[1])))
    return at_size(found, size), folder


def original_graphs(source: Source) -> dict[str, Path]:
    """Role to file of every graph that a source brings as ONNX already."""
    path = source.path
    if path is not None and source.kind == "onnx":
        return {"main": path}
    if path is not None and source.kind == "folder":
        return {file.stem: file for file in sorted(path.glob("*.onnx"))}
    return {}


def export_graphs(
    source: Source,
    card: ModelCard,
    folder: Path,
    *,
    inputs: Mapping[str, str] | None,
    feeds: Mapping[str, Sequence[Feeds]],
    opset: int | None,
    trust_code: bool,
    trust_pickle: bool,
    min_parity: float | None,
    seed: int,
    progress: Progress,
) -> Exported:
    """Export into `folder`, one ROLE.onnx a role, and compare with the reference.

    Args:
        source: The trained model.
        card: The user's.
        folder: Exists.
        inputs: As for edgekit.api.export.
        feeds: Real inputs by role to check parity on; empty generates some.
        opset: As for edgekit.api.export.
        trust_code: As for edgekit.api.export.
        trust_pickle: As for edgekit.api.export.
        min_parity: As for edgekit.api.export.
        seed: Of generated inputs.
        progress: Receives what is being done.
    """
    request = ExportRequest(
        source=source,
        card=card,
        inputs=dict(inputs or {}),
        folder=folder,
        opset=opset,
        trust_code=trust_code,
        trust_pickle=trust_pickle,
        feeds=feeds,
        seed=seed,
        runner=run_file if plain_is_usable() else None,
    )
    # One export a process: the exporter keeps state that spoils the next model's.
    confined = confinement_of(source, folder, trust_code=trust_code, trust_pickle=trust_pickle)
    outcome = run_in_child(
        export_model,
        request,
        what=f"exporting {source.name}",
        progress=progress,
        confined=confined,
    )
    if confined is not None:
        outcome = checked(outcome, folder)
    reference: Runs = outcome.reference
    notes = list(outcome.notes)
    limit = parity_limit("fp32", "fp32", min_parity)
    try:
        originals = original_graphs(source)
        if originals:
            # What is a graph already: what was cleaned must equal what was given.
            pictures = outcome.card.preprocess is not None and not feeds
            real = generated_feeds(outcome.card, seed) if pictures else feeds
            reference = {**reference, **answer_plain(originals, outcome.card, real, seed)}
        got = run_plain(
            outcome.graphs,
            {role: [case[0] for case in cases] for role, cases in reference.items()},
        )
    except Unavailable as error:
        why = f"Parity was not checked: {error.message}"
        shapes = check_shapes({}, (), limit=limit, generated=not feeds, unjudged=[why])
        return Exported(outcome, (), shapes, shapes.verdict, tuple(notes))
    unjudged = list(outcome.unjudged)
    if not feeds:
        reference, got = _answered(reference, got, outcome.card, unjudged)
    parity = output_parity(reference, got, outcome.card)
    if told := rows_told((one.output, one.moved, one.unjudged) for one in parity):
        (unjudged if any(one.unjudged for one in parity) else notes).append(told)
    noise: Mapping[str, Sequence[Mapping[str, float]]] = {}
    if outcome.reference and export_verdict(parity, min_parity) == "FAIL":
        noise = run_in_child(
            rounding_noise,
            source,
            outcome.card,
            {role: reference[role] for role in outcome.reference if role in reference},
            what=f"PyTorch's own rounding in {source.name}",
            confined=confinement_of(source, trust_code=trust_code, trust_pickle=trust_pickle),
            trust_code=trust_code,
            trust_pickle=trust_pickle,
        )
    cases = _shape_cases(reference, got, outcome.card, noise)
    shapes = check_shapes(
        {f"{one.role}/{one.output}": one.sqnr_db for one in parity},
        cases,
        limit=limit,
        generated=not feeds,
        unjudged=unjudged,
    )
    return Exported(outcome, parity, shapes, shapes.verdict, tuple(notes))


def _answered(
    reference: Runs, got: Runs, card: ModelCard, unjudged: list[str]
) -> tuple[Runs, Runs]:
    """Leave out generated whole numbers and masks to which the graph alone answers NaN.

    PyTorch's attention answers 0 where a mask hides everything, and a graph of it divides by
    nothing: right on all that means something to the network. With floats alone a NaN is a fault.

    Args:
        reference: The source's runs, finite.
        got: The graphs'.
        card: With the tensors of every graph.
        unjudged: Receives a sentence for every size that is left out.
    """
    expected: dict[str, list[tuple[Feeds, Outputs]]] = {}
    kept: dict[str, list[tuple[Feeds, Outputs]]] = {}
    for role, several in reference.items():
        for one, other in zip(several, got[role], strict=True):
            chosen = any(array.dtype.kind in "biu" for array in one[0].values())
            if chosen and not is_finite(other[1]):
                shapes = {name: array.shape for name, array in one[0].items()}
                sizes = sizes_in(card.graph(role).inputs, shapes)
                unjudged.append(
                    f"The graph returns NaN or Inf {ShapeCase(role, sizes, {})}, where the source "
                    "does not, and the generated inputs may mean nothing to it: give real ones "
                    "with --data."
                )
                continue
            expected.setdefault(role, []).append(one)
            kept.setdefault(role, []).append(other)
    return expected, kept


def _shape_cases(
    reference: Runs,
    got: Runs,
    card: ModelCard,
    noise: Mapping[str, Sequence[Mapping[str, float]]],
) -> list[ShapeCase]:
    """Compare case by case, to find the size at which graph and source differ."""
    cases = []
    for role, several in reference.items():
        tensors = card.graph(role).inputs
        for index, (one, other) in enumerate(zip(several, got[role], strict=True)):
            figures = _figures({role: [one]}, {role: [other]}, card)
            cases.append(
                ShapeCase(
                    role,
                    sizes_in(tensors, {name: one[0][name].shape for name in tensors}),
                    {name: figure.sqnr_db for (_, name), figure in figures.items()},
                    noise[role][index] if role in noise else {},
                )
            )
    return cases


def output_parity(reference: Runs, got: Runs, card: ModelCard) -> tuple[OutputParity, ...]:
    """Worst case of every output over all cases of two runs."""
    return tuple(
        output_row(role, name, reference[role][0][1][name].shape, one)
        for (role, name), one in _figures(reference, got, card).items()
    )


def _figures(reference: Runs, got: Runs, card: ModelCard) -> dict[tuple[str, str], TensorParity]:
    return compare(
        *aligned_runs(
            {role: [[outputs] for _, outputs in cases] for role, cases in reference.items()},
            {role: [[outputs] for _, outputs in cases] for role, cases in got.items()},
            card,
        )
    )


def output_row(role: str, name: str, shape: tuple[int, ...], one: TensorParity) -> OutputParity:
    """Return the agreement of one output as a document has it; JSON knows no infinity."""
    return OutputParity(
        role=role,
        output=name,
        shape=tuple(shape),
        max_abs=_finite(one.max_abs),
        max_rel=_finite(one.max_rel),
        cosine=one.cosine,
        sqnr_db=one.sqnr_db,
        moved=one.moved,
        unjudged=one.unjudged,
    )


def export_verdict(parity: Sequence[OutputParity], min_parity: float | None) -> Verdict:
    """Judge an export by the SQNR of its outputs, dB, against `min_parity` or the limit of fp32."""
    limit = parity_limit("fp32", "fp32", min_parity)
    return worst(parity_verdict(one.sqnr_db, one.unjudged, limit) for one in parity)


def _finite(figure: float) -> float | None:
    """JSON knows no infinity."""
    return figure if math.isfinite(figure) else None
