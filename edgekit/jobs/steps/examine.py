"""One entry run against the reference, and judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from edgekit.benchmarks.agreement import agreement
from edgekit.benchmarks.certificate import Figures, Simulated, certify, computed_in
from edgekit.benchmarks.metrics.by_class import Scored
from edgekit.benchmarks.metrics.registry import score_by_class
from edgekit.benchmarks.shift import confidence_shift
from edgekit.core.card import ModelCard
from edgekit.core.certificate import Certificate, Check, Limits, Metric
from edgekit.core.details import DifferingImage, EntryDetails
from edgekit.core.errors import BadInput, CheckFailed, Unavailable
from edgekit.core.parity import TensorParity
from edgekit.core.progress import Progress
from edgekit.core.runtime import Feeds, Placement, Probe, Session
from edgekit.core.temporary import scratch
from edgekit.core.variant import EntryName, Variant
from edgekit.export.facts import quantized_shares
from edgekit.jobs.process.aligned import aligned_runs
from edgekit.jobs.process.child import Child
from edgekit.jobs.process.plain import open_graphs
from edgekit.jobs.process.sequences import Outputs, compare
from edgekit.jobs.process.worker import Evaluation, Worker
from edgekit.jobs.steps.details import details_of
from edgekit.jobs.steps.entries import Plan
from edgekit.jobs.steps.reference import Reference
from edgekit.jobs.steps.simulated import narrow_runs, simulation
from edgekit.tasks.samples import Sample

__all__ = [
    "Basis",
    "Findings",
    "Truths",
    "examine_entry",
    "finite_cases",
    "foreign_dialect",
    "is_finite",
    "judge_entry",
    "named_parity",
    "reference_truths",
    "whole_placement",
]

Feeding = Mapping[str, Sequence[Feeds]]
Sequences = Mapping[str, Sequence[list[Outputs]]]


@dataclass(frozen=True)
class Truths:
    """What the reference answered.

    Attributes:
        samples: The evaluation images.
        evaluation: On these images; None where there are none.
        feeds: Inputs by role for the parity check and for measuring.
        outputs: The reference's answers to `feeds`; empty where `evaluation` holds them.
        golden_feeds: Golden inputs by role.
        golden: The reference's answers to them.
        metric: The reference's own score.
    """

    samples: Sequence[Sample]
    evaluation: Evaluation | None
    feeds: Feeding
    outputs: Sequences
    golden_feeds: Feeding
    golden: dict[str, list[list[Outputs]]]
    metric: Metric | None


@dataclass(frozen=True)
class Basis:
    """What every entry of a model is compared with.

    Attributes:
        card: The model's.
        folder: Where a user's decoder is looked for.
        truths: What the reference answered.
        shapes: How the exported graph, which every variant was made of, agrees with its source.
        trust_code: Whether that decoder may run.
        seed: Of the bootstrap.
    """

    card: ModelCard
    folder: Path
    truths: Truths
    shapes: Check
    trust_code: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Findings:
    """What an entry did, before anyone judges it: no limit of the user's is in here.

    Attributes:
        figures: Against the reference.
        golden_sqnr_db: SQNR of the worst output on the golden inputs, dB.
        quantized_share: Share of the graphs' FLOPs that is quantized; None for a float variant.
        quantized_by_graph: Likewise of each graph, by role; empty for a float variant.
        details: By class and by image, for whoever wants to look closer; nothing is judged by it.
        images: What is known of the images that `details` names.
    """

    figures: Figures
    golden_sqnr_db: float
    quantized_share: float | None
    quantized_by_graph: Mapping[str, float] = field(default_factory=dict)
    details: EntryDetails = field(default_factory=EntryDetails)
    images: tuple[DifferingImage, ...] = ()


def reference_truths(
    reference: Reference,
    card: ModelCard,
    folder: Path,
    samples: Sequence[Sample],
    feeds: Feeding,
    golden_feeds: Feeding,
    *,
    trust_code: bool,
    seed: int,
    progress: Progress,
) -> Truths:
    """Run the reference once over everything that entries are compared on.

    Args:
        reference: How to open it.
        card: The model's.
        folder: Where a user's decoder is looked for.
        samples: Evaluation images; may be empty.
        feeds: Inputs by role for the parity check.
        golden_feeds: Golden inputs by role.
        trust_code: Whether that decoder may run.
        seed: Of the bootstrap.
        progress: Receives what is being done.
    """
    evaluation: Evaluation | None = None
    outputs: Sequences = {}
    with Child(
        Worker,
        reference.opener,
        card,
        folder,
        trust_code,
        what=f"the reference ({reference.name})",
        progress=progress,
    ) as child:
        golden = child.call("sequences", golden_feeds)
        if samples:
            evaluation = child.call("evaluate", samples)
        else:
            outputs = child.call("sequences", feeds)
    metric = None
    if evaluation is not None:
        scored = _score(card, evaluation, None, seed)
        metric = None if scored is None else scored.metric
    return Truths(samples, evaluation, feeds, outputs, golden_feeds, golden, metric)


def finite_cases(
    feeds: Feeding, answers: Mapping[str, Sequence[list[Outputs]]]
) -> tuple[dict[str, list[Feeds]], dict[str, list[list[Outputs]]]]:
    """Leave out generated inputs to which the reference itself answers NaN or Inf.

    A mask that happens to hide everything says nothing of an engine. Where every answer of a graph
    is like that, all of them stay.

    Args:
        feeds: Inputs by role.
        answers: The reference's, alike.
    """
    kept_feeds: dict[str, list[Feeds]] = {}
    kept: dict[str, list[list[Outputs]]] = {}
    for role, several in answers.items():
        pairs = list(zip(feeds[role], several, strict=True))
        finite = [pair for pair in pairs if all(is_finite(call) for call in pair[1])] or pairs
        kept_feeds[role] = [one for one, _ in finite]
        kept[role] = [calls for _, calls in finite]
    return kept_feeds, kept


def is_finite(outputs: Outputs) -> bool:
    """Whether no output holds NaN or an infinity."""
    arrays = [array for array in outputs.values() if array.dtype.kind == "f"]
    return all(bool(np.isfinite(array).all()) for array in arrays)


def examine_entry(
    plan: Plan,
    variant: Variant,
    opener: Callable[[], dict[str, Session]],
    basis: Basis,
    progress: Progress,
) -> Findings:
    """Run one entry in a process of its own and compare it with the reference.

    Raises:
        EdgekitError: The engine refuses the graph, or its process died.
    """
    card, truths = basis.card, basis.truths
    with _worker(opener, basis, str(plan), progress) as child:
        placement = whole_placement(child.call("placement"))
        differing, difference = child.call("repeat", truths.golden_feeds)
        answers = _answers(child, truths)
    parity = _parity(basis, answers)
    simulated: Simulated | None = None
    if plan.precision == "fp16" and not computed_in("fp16", placement):
        answers, simulated = _in_fp16(variant, basis, answers, progress)
    against, scored = _against(card, truths.evaluation, answers.evaluation, basis.seed)
    figures = dataclasses.replace(
        against,
        outputs=parity,
        placement=placement,
        differing=differing,
        difference=difference,
        simulated=simulated,
    )
    worst = min(one.sqnr_db for one in named_parity(card, truths.golden, answers.golden).values())
    details, images = details_of(
        card,
        truths.samples,
        truths.evaluation,
        answers.evaluation,
        None if scored is None else scored.classes,
    )
    share, by_graph = (
        quantized_shares(variant.graphs) if variant.precision == "int8" else (None, {})
    )
    return Findings(figures, worst, share, by_graph, details, images)


@dataclass(frozen=True)
class _Answers:
    """What sessions answered to everything that entries are compared on.

    Attributes:
        golden: To the golden inputs.
        sequences: To the inputs that parity is judged on.
        evaluation: To the images; None where there are none.
    """

    golden: Sequences
    sequences: Sequences
    evaluation: Evaluation | None


def _worker(
    opener: Callable[[], dict[str, Session]], basis: Basis, what: str, progress: Progress
) -> Child:
    return Child(
        Worker,
        opener,
        basis.card,
        basis.folder,
        basis.trust_code,
        what=what,
        progress=progress,
    )


def _answers(child: Child, truths: Truths) -> _Answers:
    golden = child.call("sequences", truths.golden_feeds)
    if truths.evaluation is None:
        return _Answers(golden, child.call("sequences", truths.feeds), None)
    evaluation: Evaluation = child.call("evaluate", truths.samples)
    return _Answers(golden, evaluation.sequences, evaluation)


def _parity(basis: Basis, answers: _Answers) -> dict[str, TensorParity]:
    """Against the reference."""
    truths = basis.truths
    expected = truths.outputs if truths.evaluation is None else truths.evaluation.sequences
    parity = named_parity(basis.card, expected, answers.sequences)
    if answers.evaluation is not None and answers.evaluation.not_finite:
        # Parity looks at the first images only; finite is about all of them.
        name = next(iter(parity))
        parity[name] = msgspec.structs.replace(parity[name], finite=False)
    return parity


def _in_fp16(
    variant: Variant, basis: Basis, answers: _Answers, progress: Progress
) -> tuple[_Answers, Simulated]:
    """What an fp16 variant answers in fp16; the engine's own answers where that is not known."""
    truths = basis.truths
    try:
        with simulation(variant) as (graphs, _), scratch("fp16") as folder:
            opener = partial(open_graphs, graphs, folder)
            with _worker(opener, basis, f"{variant.id}, simulated", progress) as child:
                found = _answers(child, truths)
        feeds = {
            role: [*truths.feeds.get(role, ()), *several]
            for role, several in truths.golden_feeds.items()
        }
        narrow = narrow_runs(variant, basis.card, feeds)
    except (BadInput, Unavailable) as error:
        return answers, Simulated(reason=str(error))
    return found, Simulated(
        outputs=_parity(basis, found),
        narrow=named_parity(basis.card, narrow.wide, narrow.narrow),
        nodes=narrow.nodes,
    )


def judge_entry(
    plan: Plan,
    found: Findings,
    basis: Basis,
    limits: Limits,
    *,
    unscored: str = "",
    growing: Sequence[str] = (),
) -> Certificate:
    """Judge what an entry did by the user's budget.

    Args:
        plan: The entry.
        found: What it did.
        basis: What it is compared with.
        limits: The budget.
        unscored: Why nothing was scored, where that is known.
        growing: State that the ranges of int8 do not hold in the long run.
    """
    return certify(
        EntryName(str(plan.target), plan.variant, plan.compute),
        found.figures,
        limits,
        shapes=basis.shapes,
        task=basis.card.task,
        precision=plan.precision,
        devices=(plan.target.device,),
        quantized_share=found.quantized_share,
        quantized_by_graph=found.quantized_by_graph,
        growing=growing if plan.precision == "int8" else (),
        simulated=foreign_dialect(plan.variant, plan.probe),
        unscored=unscored,
    )


def foreign_dialect(variant: str, probe: Probe) -> bool:
    """Whether an int8 variant is written for another engine than a target's.

    Args:
        variant: Its id, "int8-s8s8".
        probe: Of the target.
    """
    own = f"int8-{probe.dialect}"
    return bool(probe.dialect) and variant.startswith("int8-") and variant != own


def whole_placement(placements: Mapping[str, Placement]) -> Placement:
    """The nodes of every role as one."""
    return Placement(tuple(node for one in placements.values() for node in one.nodes))


def named_parity(
    card: ModelCard, reference: Sequences, outputs: Sequences
) -> dict[str, TensorParity]:
    """Parity by output name, with "role/" in front where there are several graphs.

    Lists of detections are put row against row before.
    """
    figures = compare(*aligned_runs(reference, outputs, card))
    several = len(reference) > 1
    return {f"{role}/{name}" if several else name: one for (role, name), one in figures.items()}


def _against(
    card: ModelCard, reference: Evaluation | None, evaluation: Evaluation | None, seed: int
) -> tuple[Figures, Scored | None]:
    """Metric, agreement and shift of an entry's answers against the reference's."""
    if reference is None or evaluation is None:
        return Figures(), None
    if reference.ids != evaluation.ids:
        raise CheckFailed("The entry and the reference did not read the same images.")
    confidence = card.postprocess.confidence if card.postprocess else 0.0
    scored = _score(card, evaluation, reference, seed)
    figures = Figures(
        metric=None if scored is None else scored.metric,
        agreement=agreement(
            evaluation.results, reference.results, confidence=confidence, seed=seed
        ),
        shift=confidence_shift(
            evaluation.results, reference.results, evaluation.truths, confidence=confidence
        ),
    )
    return figures, scored


def _score(
    card: ModelCard, evaluation: Evaluation, reference: Evaluation | None, seed: int
) -> Scored | None:
    return score_by_class(
        card.task,
        evaluation.results,
        evaluation.truths,
        reference.results if reference is not None else None,
        labels=len(card.labels),
        seed=seed,
    )
