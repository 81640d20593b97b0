"""The same inputs through the fp32 graph as it is written and through a variant's engine.

Everything here runs in the process of one comparison; what leaves it are figures and a few values,
because the tensors of a network together are far larger than its outputs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.documents import ParityValue
from edgekit.core.parity import ParityMeter, TensorParity
from edgekit.core.runtime import Array, Feeds
from edgekit.jobs.process.aligned import aligned_runs
from edgekit.jobs.process.plain import open_plain
from edgekit.jobs.process.sequences import Outputs, run_sequence
from edgekit.jobs.steps.engine import open_engines

__all__ = ["Seen", "compare_calls", "compare_piece", "compare_sequences"]

# Elements that are shown of a tensor that is wrong.
_VALUES = 5


@dataclass(frozen=True)
class Seen:
    """One tensor of a variant against the fp32 graph's.

    Attributes:
        parity: Over all inputs.
        shape: In the reference, at the last input.
        silent: Whether the reference holds zeros only and the variant only finite values: then an
            SQNR says nothing.
        values: The elements that are furthest off, worst first.
    """

    parity: TensorParity
    shape: tuple[int, ...]
    silent: bool
    values: tuple[ParityValue, ...]

    @property
    def sqnr_db(self) -> float | None:
        """SQNR, dB; None for a silent tensor."""
        return None if self.silent else self.parity.sqnr_db


def compare_sequences(
    reference: Path, engine: Path, feeds: Sequence[Feeds], card: ModelCard, role: str
) -> tuple[dict[str, Seen], list[Feeds]]:
    """Run both as the certificate does, each looping its own state, and compare the outputs.

    Args:
        reference: The fp32 ONNX file.
        engine: Folder of the variant's engine.
        feeds: Inputs of first calls.
        card: Of the model; lists of detections are put row against row.
        role: Of the graph.

    Returns:
        The outputs by name, and the inputs that the reference got at every call.
    """
    graph = card.graph(role)
    sessions = open_engines({role: engine})
    with open_plain(reference) as plain, sessions[role] as session:
        expected = [run_sequence(plain, one, graph) for one in feeds]
        got = [run_sequence(session, one, graph) for one in feeds]
    calls: list[Feeds] = []
    for one, steps in zip(feeds, expected, strict=True):
        state: Mapping[str, Array] = {}
        for step in steps:
            calls.append({**one, **state})
            state = {name: step[output] for output, name in graph.state.items()}
    meters: dict[str, _Meter] = {}
    first, second, _ = aligned_runs({role: expected}, {role: got}, card)
    for case, (one, other) in enumerate(zip(_flat(first[role]), _flat(second[role]), strict=True)):
        for name, array in one.items():
            meters.setdefault(name, _Meter()).add(case, array, other[name])
    return {name: meter.seen() for name, meter in meters.items()}, calls


def compare_calls(
    reference: Path, engine: Path, calls: Sequence[Feeds], pairs: Sequence[tuple[str, str]]
) -> dict[str, Seen]:
    """Run both on the same inputs, call by call.

    Args:
        reference: The fp32 ONNX file; its outputs hold what the pairs name.
        engine: Folder of the variant's engine; likewise.
        calls: Inputs.
        pairs: Output of the engine, and output or input of the reference that it should equal.

    Returns:
        Name in the engine to what was seen.
    """
    meters = {name: _Meter() for name, _ in pairs}
    sessions = open_engines({"main": engine})
    with open_plain(reference) as plain, sessions["main"] as session:
        for case, one in enumerate(calls):
            expected = {**one, **plain.run(one)}
            got = session.run(one)
            for name, partner in pairs:
                meters[name].add(case, expected[partner], got[name])
    return {name: meter.seen() for name, meter in meters.items()}


def compare_piece(
    reference: Path,
    engine: Path,
    calls: Sequence[Feeds],
    fed: Mapping[str, str],
    pair: tuple[str, str],
) -> Seen:
    """Run a piece of the variant on the values that the fp32 graph has in its place.

    Args:
        reference: The fp32 ONNX file; its outputs hold what `fed` and `pair` name.
        engine: Folder of the piece's engine.
        calls: Inputs of the whole graph.
        fed: Input of the piece to output or input of the reference.
        pair: As in `compare_calls`.
    """
    meter = _Meter()
    sessions = open_engines({"main": engine})
    with open_plain(reference) as plain, sessions["main"] as session:
        dtypes = {info.name: info.dtype for info in session.inputs}
        for case, one in enumerate(calls):
            expected = {**one, **plain.run(one)}
            with np.errstate(over="ignore"):
                piece = {name: expected[at].astype(dtypes[name]) for name, at in fed.items()}
            meter.add(case, expected[pair[1]], session.run(piece)[pair[0]])
    return meter.seen()


def _flat(runs: Sequence[list[Outputs]]) -> list[Outputs]:
    return [call for calls in runs for call in calls]


@dataclass
class _Meter:
    """Adds up one tensor over all inputs."""

    parity: ParityMeter = field(default_factory=ParityMeter)
    shape: tuple[int, ...] = ()
    silent: bool = True
    values: list[tuple[float, ParityValue]] = field(default_factory=list)

    def add(self, case: int, expected: Array, got: Array) -> None:
        self.parity.add(expected, got)
        self.shape = expected.shape
        self.silent &= not expected.any() and bool(np.isfinite(got).all())
        if expected.shape == got.shape:
            worst = heapq.merge(self.values, _worst(case, expected, got), key=_gap, reverse=True)
            self.values = list(worst)[:_VALUES]

    def seen(self) -> Seen:
        values = tuple(value for _, value in self.values)
        return Seen(self.parity.result(), tuple(self.shape), self.silent, values)


def _worst(case: int, expected: Array, got: Array) -> Iterable[tuple[float, ParityValue]]:
    """The elements of one tensor that are furthest off, worst first."""
    right, answer = expected.ravel(), got.ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        wide = np.result_type(right, answer, np.float32)
        gaps = np.abs(np.subtract(right, answer, dtype=wide))
    if not np.isfinite(gaps).all():
        # Equal infinities are no difference; whatever else is no number is the largest one.
        gaps = np.where(right == answer, 0.0, np.where(np.isnan(gaps), np.inf, gaps))
    count = min(_VALUES, gaps.size)
    for flat in sorted(np.argpartition(-gaps, count - 1)[:count], key=lambda at: (-gaps[at], at)):
        if gaps[flat]:
            index = tuple(int(one) for one in np.unravel_index(flat, expected.shape))
            value = ParityValue(
                case=case, index=index, expected=_plain(right[flat]), got=_plain(answer[flat])
            )
            yield float(gaps[flat]), value


def _gap(entry: tuple[float, ParityValue]) -> float:
    return entry[0]


def _plain(value: Any) -> float | str:
    """JSON knows no infinity and no NaN."""
    return float(value) if np.isfinite(value) else str(float(value))
