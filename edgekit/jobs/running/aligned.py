"""Runs of a model that ends in NMS, brought into a form that parity can compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.benchmarks.alignment import align_detections, is_detections
from edgekit.core.card import ModelCard
from edgekit.jobs.running.sequences import Outputs

__all__ = ["aligned_runs"]

Sequences = Mapping[str, Sequence[list[Outputs]]]
Aligned = dict[str, list[list[Outputs]]]


def aligned_runs(
    reference: Sequences, outputs: Sequences, card: ModelCard
) -> tuple[Aligned, Aligned]:
    """Put the detections of two runs row against row; see align_detections.

    Args:
        reference: Outputs of the reference by role: a list of sequences of calls.
        outputs: Of the other, alike.
        card: Of the model; where its head leaves duplicates, both come back as they are.

    Returns:
        Both, in the same form.
    """
    one: Aligned = {role: [list(calls) for calls in runs] for role, runs in reference.items()}
    other: Aligned = {role: [list(calls) for calls in runs] for role, runs in outputs.items()}
    if "main" not in one:
        return one, other
    expected = [call for calls in one["main"] for call in calls]
    got = [call for calls in other["main"] for call in calls]
    # All calls together: whether two models see the same objects is no matter of one image.
    for name in [name for name, array in expected[0].items() if is_detections(array, card)]:
        rows = align_detections(
            [call[name] for call in expected], [call[name] for call in got], card
        )
        expected = [{**call, name: array} for call, array in zip(expected, rows[0], strict=True)]
        got = [{**call, name: array} for call, array in zip(got, rows[1], strict=True)]
    return _folded(one, expected), _folded(other, got)


def _folded(runs: Aligned, calls: list[Outputs]) -> Aligned:
    """Put changed calls back where they came from."""
    rest = iter(calls)
    return {**runs, "main": [[next(rest) for _ in sequence] for sequence in runs["main"]]}
