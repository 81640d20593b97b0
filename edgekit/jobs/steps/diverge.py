"""The first node of a variant whose output leaves the limit of parity.

Inner tensors are made outputs of copies of two graphs: the variant's, compiled for its target, and
the fp32 graph, run as it is written. A handful of tensors is compared in one round, and the next
round looks where the error must begin (see bisection.py). So the node that is named has an output
out of the limit, and every tensor that it was made of is within it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.card import ModelCard
from edgekit.core.certificate import Verdict
from edgekit.core.documents import OutputParity, ParityNode, TappedTensor
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions, Feeds, Probe
from edgekit.core.target import Target
from edgekit.core.temporary import scratch
from edgekit.core.variant import Variant
from edgekit.export.onnx_file import read_onnx, write_onnx
from edgekit.export.taps import TapGraph, cut_out, tap_graph, with_outputs
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.steps.bisection import Bisection, cuts, members
from edgekit.jobs.steps.engine import compile_graphs
from edgekit.jobs.steps.side_by_side import (
    Seen,
    compare_calls,
    compare_piece,
    compare_sequences,
)

__all__ = ["TAPS", "Divergence", "find_divergence", "first_divergence"]

# Tensors looked at in one round: more would change what the engine fuses in more places, fewer
# would cost more compilations.
TAPS = 12
# Only graphs whose errors hide and show up again come near it.
_MOST_ROUNDS = 24


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; the fields are those of edgekit.core.documents.DebugParityDocument."""

    limit_db: float
    verdict: Verdict
    outputs: tuple[OutputParity, ...]
    node: ParityNode | None
    largest_loss: ParityNode | None
    rounds: int
    runs: int
    trail: tuple[TappedTensor, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """Where the variant runs, and how."""

    target: Target
    probe: Probe
    options: CompileOptions
    progress: Progress

    def compile(self, graph: Path, what: str) -> Path:
        """Return the folder of the engine of one graph."""
        made = compile_graphs(
            {"main": graph},
            self.target,
            self.probe,
            self.options,
            model=what,
            progress=self.progress,
        )
        return made["main"].folder


def first_divergence(
    fp32: Variant,
    variant: Variant,
    card: ModelCard,
    target: Target,
    probe: Probe,
    options: CompileOptions,
    feeds: Mapping[str, Sequence[Feeds]],
    limit_db: float,
    progress: Progress,
) -> Divergence | None:
    """Find the node for an entry that failed; None where its parity holds on these inputs.

    See `find_divergence` for the arguments and the errors.
    """
    found = find_divergence(
        fp32, variant, card, target, probe, options, feeds, limit_db, progress, explain_pass=False
    )
    return found if found.verdict == "FAIL" else None


def find_divergence(
    fp32: Variant,
    variant: Variant,
    card: ModelCard,
    target: Target,
    probe: Probe,
    options: CompileOptions,
    feeds: Mapping[str, Sequence[Feeds]],
    limit_db: float,
    progress: Progress,
    *,
    explain_pass: bool = True,
) -> Divergence:
    """Compare a variant on a target with the fp32 graph, and find where it leaves the limit.

    Args:
        fp32: What it is compared with, run by ONNX Runtime on the CPU, optimizations off.
        variant: The suspect; the same graph is a suspect too, by what its engine makes of it.
        card: The model's; its state is looped for the outputs, while inner tensors are compared
            call by call, each on the state that the fp32 graph had.
        target: Where the variant runs.
        probe: What `usable` said about it.
        options: How it is compiled.
        feeds: Inputs by role.
        limit_db: SQNR that outputs, and inner tensors, must reach, dB.
        progress: Receives what is being done.
        explain_pass: Where no output is out of the limit, look for the node that adds most error.

    Raises:
        BadInput: The two have no outputs in common, or an engine refuses a graph.
        ChildDied: An engine crashed.
        Unavailable: ONNX Runtime is not installed.
    """
    if set(fp32.graphs) != set(variant.graphs):
        raise BadInput(
            f"The variant has the graphs {', '.join(variant.graphs)}, and what it is compared "
            f"with has {', '.join(fp32.graphs)}.",
            hint="Compare two variants of one model.",
        )
    place = _Place(target, probe, options, progress)
    with scratch("debug") as name:
        sides = [
            _Side(role, fp32.path(role), path, card, place, name)
            for role, path in variant.paths.items()
            if role in feeds
        ]
        progress.stage("outputs")
        for side in sides:
            side.compare_outputs(feeds[side.role])
        failed = next((side for side in sides if side.failing(limit_db)), None)
        notes: list[str] = []
        node: ParityNode | None = None
        loss: ParityNode | None = None
        if failed is not None:
            node = _first_bad(failed, limit_db, notes)
            if node is not None and (node.own_sqnr_db or -math.inf) >= limit_db:
                loss = _largest_loss(failed)
                notes.append(
                    "Alone, on the fp32 graph's values, this node is within the limit: the error "
                    "was there before it and grew; see the node of the largest loss."
                )
        elif explain_pass and sides:
            loss = _largest_loss(min(sides, key=_Side.worst_db))
    return Divergence(
        limit_db=limit_db,
        verdict="PASS" if failed is None else "FAIL",
        outputs=tuple(one for side in sides for one in side.outputs()),
        node=node,
        largest_loss=loss,
        rounds=sum(side.rounds for side in sides),
        runs=sum(side.runs for side in sides),
        trail=tuple(one for side in sides for one in side.trail),
        notes=tuple(notes),
    )


class _Side:
    """One graph of the variant beside the same graph in fp32.

    Attributes:
        role: Of the graph.
        taps: What can be looked at.
        seen: Tensor to the latest look at it.
        rounds: Compilations with inner tensors as outputs.
        runs: Runs of the variant over all inputs.
        trail: Every look.
    """

    def __init__(
        self,
        role: str,
        reference: Path,
        suspect: Path,
        card: ModelCard,
        place: _Place,
        folder: Path,
    ) -> None:
        self.role = role
        self._paths = reference, suspect
        self._models = read_onnx(reference), read_onnx(suspect)
        self._card = card
        self._place = place
        self._folder = folder
        self._files = 0
        self._calls: list[Feeds] = []
        self._outputs: dict[str, Seen] = {}
        self.taps: TapGraph = tap_graph(self._models[1], self._models[0])
        self.seen: dict[int, Seen] = {}
        self.rounds = self.runs = 0
        self.trail: list[TappedTensor] = []
        ours, theirs = ({entry.name for entry in one.graph.output} for one in self._models)
        if not ours <= theirs:
            raise BadInput(
                f"{suspect} has no output {', '.join(sorted(ours - theirs))}, which {reference} "
                "has.",
                hint="Compare two variants of one model.",
            )

    def compare_outputs(self, feeds: Sequence[Feeds]) -> None:
        """Run the graphs as they are."""
        engine = self._place.compile(self._paths[1], self.role)
        self._outputs, self._calls = self._child(
            compare_sequences, self._paths[0], engine, list(feeds), self._card, self.role
        )

    def failing(self, limit_db: float) -> list[str]:
        """Names of outputs below the limit."""
        return [
            name for name, seen in self._outputs.items() if not _good(seen, limit_db, output=True)
        ]

    def worst_db(self) -> float:
        """SQNR of the worst output."""
        return min(seen.parity.sqnr_db for seen in self._outputs.values())

    def outputs(self) -> Iterable[OutputParity]:
        """The outputs as a document shows them."""
        for name, seen in self._outputs.items():
            one = seen.parity
            yield OutputParity(
                role=self.role,
                output=name,
                shape=seen.shape,
                max_abs=_finite(one.max_abs),
                max_rel=_finite(one.max_rel),
                cosine=one.cosine,
                sqnr_db=one.sqnr_db,
            )

    def look(self, indices: Iterable[int]) -> dict[int, Seen]:
        """Compile both graphs with these tensors as outputs, run them and compare."""
        wanted = sorted(set(indices))
        self.rounds += 1
        what = f"{self.role}, round {self.rounds}"
        self._place.progress.stage(f"{what}: {len(wanted)} tensors")
        pairs = [
            (self.taps.tensors[index].tensor, self.taps.tensors[index].reference)
            for index in wanted
        ]
        tapped = self._write(self._models[1], [name for name, _ in pairs])
        engine = self._place.compile(tapped, what)
        seen = self._child(
            compare_calls, self._reference([name for _, name in pairs]), engine, self._calls, pairs
        )
        found = {index: seen[self.taps.tensors[index].tensor] for index in wanted}
        self.seen.update(found)
        self.trail += [
            TappedTensor(
                round=self.rounds,
                role=self.role,
                tensor=self.taps.tensors[index].tensor,
                sqnr_db=one.sqnr_db,
            )
            for index, one in found.items()
        ]
        return found

    def vanished(self, index: int) -> str:
        """Say in words that a tensor that was bad is not, now that others are outputs too."""
        tensor = self.taps.tensors[index]
        if tensor.output and self._card.graph(self.role).state:
            return (
                f"Each call on the fp32 graph's state is within the limit, {tensor.tensor!r} "
                "included: the error builds up only as the state loops."
            )
        return (
            f"The error in {tensor.tensor!r} is gone once tensors before it are outputs too: it "
            "comes from what the engine makes of several nodes together."
        )

    def parents(self, index: int) -> list[int]:
        """The tensors that one was made of directly."""
        return members(self.taps.parents[index])

    def node(self, index: int, *, alone: bool) -> ParityNode:
        """Describe a tensor that was looked at and the node that makes it."""
        tap, seen = self.taps.tensors[index], self.seen[index]
        parents = [self.seen[one].sqnr_db for one in self.parents(index) if one in self.seen]
        before = [db for db in parents if db is not None]
        return ParityNode(
            role=self.role,
            name=tap.node,
            op=tap.op,
            module=tap.module,
            tensor=tap.tensor,
            sqnr_db=seen.parity.sqnr_db,
            before_db=min(before, default=None),
            own_sqnr_db=self._alone(index) if alone else None,
            values=seen.values,
        )

    def _alone(self, index: int) -> float | None:
        """SQNR of a tensor whose node gets the fp32 graph's values, dB."""
        tap = self.taps.tensors[index]
        known = {entry.name: entry.name for entry in self._models[1].graph.input}
        known.update((one.tensor, one.reference) for one in self.taps.tensors)
        cut = cut_out(self._models[1], tap.tensor, known)
        if cut is None:
            return None
        piece, fed = cut
        what = f"{self.role}, {tap.node} alone"
        self._place.progress.stage(what)
        try:
            engine = self._place.compile(self._write(piece, ()), what)
            reference = self._reference([*fed.values(), tap.reference])
            seen: Seen = self._child(
                compare_piece, reference, engine, self._calls, fed, (tap.tensor, tap.reference)
            )
        except EdgekitError:
            # What an engine runs inside a graph it may refuse as a graph of its own.
            return None
        return seen.sqnr_db

    def _child(self, function: Callable[..., Any], *args: object) -> Any:
        self.runs += 1
        return run_in_child(function, *args, what=f"{self.role} on {self._place.target}")

    def _reference(self, tensors: Sequence[str]) -> Path:
        inputs = {entry.name for entry in self._models[0].graph.input}
        return self._write(self._models[0], [name for name in tensors if name not in inputs])

    def _write(self, model: Any, tensors: Sequence[str]) -> Path:
        self._files += 1
        path = self._folder / f"{self.role}-{self._files}.onnx"
        write_onnx(with_outputs(model, tensors), path)
        return path


def _first_bad(side: _Side, limit_db: float, notes: list[str]) -> ParityNode | None:
    """Bisect from an output that is out of the limit to the node where that begins."""
    tensors = side.taps.tensors
    failing = set(side.failing(limit_db))
    starts = [index for index, tap in enumerate(tensors) if tap.tensor in failing]
    if not starts:
        notes.append(f"What makes the output {min(failing)!r} cannot be looked at.")
        return None
    search = Bisection(
        side.taps.before,
        side.taps.parents,
        starts[0],
        last=[index for index, tap in enumerate(tensors) if tap.inner],
        width=TAPS - 1,
    )
    asked, beside = search.next(), starts
    while asked or beside:
        # What is known to be bad is looked at beside them, and must still be bad.
        found = side.look([*asked, *beside])
        judged = {
            index: _good(seen, limit_db, output=tensors[index].output)
            for index, seen in found.items()
        }
        if False not in judged.values():
            notes.append(side.vanished(search.bad))
            return side.node(search.bad, alone=True) if search.bad != starts[0] else None
        search.tell(judged)
        if side.rounds >= _MOST_ROUNDS:
            notes.append(f"The search was given up after {side.rounds} rounds.")
            break
        asked = search.next()
        beside = [search.bad] if asked else []
    return side.node(search.bad, alone=True)


def _largest_loss(side: _Side) -> ParityNode | None:
    """Narrow down to the node that adds most of the error, relative to its signal."""
    before, tensors = side.taps.before, side.taps.tensors
    if not tensors:
        return None
    inner = sum(1 << index for index, tap in enumerate(tensors) if tap.inner)
    everything = (1 << len(tensors)) - 1
    asked = [] if side.seen else cuts(before, everything & ~inner or everything, TAPS)
    while True:
        if asked:
            side.look(asked)
        index, between = _largest_step(side)
        asked = cuts(before, between & ~inner or between, TAPS)
        # What lies behind another parent was passed over; the parents themselves must be known.
        asked = asked or [one for one in side.parents(index) if one not in side.seen][:TAPS]
        if not asked or side.rounds >= _MOST_ROUNDS:
            return side.node(index, alone=True)


def _largest_step(side: _Side) -> tuple[int, int]:
    """The tensor that adds most error to the tensors before it, and what lies between."""
    before = side.taps.before
    found = {index: seen.sqnr_db for index, seen in side.seen.items()}
    noise = {index: 10 ** (-db / 10) for index, db in found.items() if db is not None}
    steps: dict[int, tuple[float, int]] = {}
    for index, own in noise.items():
        earlier = [other for other in found if other != index and before[index] >> other & 1]
        between = before[index] & ~(1 << index)
        for other in earlier:
            between &= ~before[other]
        loudest = max((noise.get(other, 0.0) for other in earlier), default=0.0)
        steps[index] = own - loudest, between
    worst = max(steps, key=lambda index: steps[index][0])
    return worst, steps[worst][1]


def _good(seen: Seen, limit_db: float, *, output: bool) -> bool | None:
    """Whether a tensor is within the limit; None where that says nothing of an inner one."""
    if seen.silent and not output:
        return None
    return seen.parity.sqnr_db >= limit_db


def _finite(figure: float) -> float | None:
    """JSON knows no infinity."""
    return figure if math.isfinite(figure) else None
