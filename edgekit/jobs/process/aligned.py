"""Runs of a model that chooses rows, brought into a form that parity can compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.benchmarks.alignment import align_detections, is_detections
from edgekit.benchmarks.rows import Rows, match_rows
from edgekit.core.card import ModelCard
from edgekit.core.runtime import Array
from edgekit.jobs.process.sequences import Outputs

__all__ = ["aligned_runs"]

Sequences = Mapping[str, Sequence[list[Outputs]]]
Aligned = dict[str, list[list[Outputs]]]


def aligned_runs(
    reference: Sequences, outputs: Sequences, card: ModelCard
) -> tuple[Aligned, Aligned, dict[tuple[str, str], Rows]]:
    """Put rows that a network has chosen against each other, as far as their order is open.

    Lists of detections as the card's head has them: see align_detections. Other outputs whose rows
    a top-k or a suppression chose, as the graph or the card says: see match_rows.

    Args:
        reference: Outputs of the reference by role: a list of sequences of calls.
        outputs: Of the other, alike.
        card: Of the model.

    Returns:
        Both, in the same form, and what matching rows came to by role and output.
    """
    one: Aligned = {role: [list(calls) for calls in runs] for role, runs in reference.items()}
    other: Aligned = {role: [list(calls) for calls in runs] for role, runs in outputs.items()}
    found: dict[tuple[str, str], Rows] = {}
    for role in one:
        # All calls together: whether two models see the same objects is no matter of one image.
        expected = [call for calls in one[role] for call in calls]
        got = [call for calls in other[role] for call in calls]
        lists = []
        if role == "main" and card.task == "detection" and expected:
            lists = [name for name, array in expected[0].items() if is_detections(array, card)]
        for name in lists:
            rows = align_detections(
                [call[name] for call in expected], [call[name] for call in got], card
            )
            expected, got = _replaced(expected, name, rows[0]), _replaced(got, name, rows[1])
        names = [name for name in card.graph(role).rows if name not in lists]
        if names:
            expected, got, counts = match_rows(expected, got, names)
            found |= {(role, name): count for name, count in counts.items()}
        one[role], other[role] = _folded(one[role], expected), _folded(other[role], got)
    return one, other, found


def _replaced(calls: list[Outputs], name: str, arrays: Sequence[Array]) -> list[Outputs]:
    return [{**call, name: array} for call, array in zip(calls, arrays, strict=True)]


def _folded(runs: list[list[Outputs]], calls: list[Outputs]) -> list[list[Outputs]]:
    """Put changed calls back where they came from."""
    rest = iter(calls)
    return [[next(rest) for _ in sequence] for sequence in runs]
