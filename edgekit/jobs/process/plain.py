"""Graphs run as they are written: ONNX Runtime on the CPU in fp32, optimizations off.

This is the reference where the source is an ONNX file or torch is absent, and the judge of what an
export or a quantizer wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgekit.core.card import GraphCard, ModelCard
from edgekit.core.runtime import CompileOptions, Feeds, Session
from edgekit.core.temporary import scratch
from edgekit.core.trials import answer_trials, trials
from edgekit.export.onnx_file import plain_file
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.sequences import Outputs, sequence
from edgekit.jobs.process.targets import usable
from edgekit.runtimes.catalogue import load_runtime, parse_target

__all__ = [
    "PLAIN",
    "PLAIN_OPTIONS",
    "Runs",
    "answer_plain",
    "open_graphs",
    "open_plain",
    "plain_is_usable",
    "run_file",
    "run_many",
    "run_once",
    "run_plain",
]

PLAIN = "onnxruntime:cpu"
PLAIN_OPTIONS = CompileOptions(optimize=False)

# Role to (feeds, outputs) of every case.
Runs = Mapping[str, Sequence[tuple[Feeds, Outputs]]]


def run_plain(
    graphs: Mapping[str, Path],
    feeds: Mapping[str, Sequence[Feeds]],
    card: ModelCard | None = None,
) -> Runs:
    """Run graphs by role in a child process.

    Args:
        graphs: Role to file.
        feeds: Cases by role.
        card: Its state loops from output to input over several calls, each a case; None runs every
            case once.

    Raises:
        Unavailable: ONNX Runtime is not installed.
    """
    usable(PLAIN)
    return run_in_child(_run, dict(graphs), dict(feeds), card, what="the unoptimized graphs")


def answer_plain(
    graphs: Mapping[str, Path], card: ModelCard, real: Mapping[str, Sequence[Feeds]], seed: int
) -> Runs:
    """Run graphs by role in a child process at several sizes of their dynamic axes.

    A graph says nothing of the sizes that it takes, and often takes few of those that it names: at
    a size that it refuses it has no answer.

    Args:
        graphs: Role to file.
        card: With the tensors of every graph.
        real: Real inputs of batch one, by role; where there are none, they are generated.
        seed: Of what is generated.

    Raises:
        Unavailable: ONNX Runtime is not installed.
        BadInput: A graph has no answer at any size.
    """
    usable(PLAIN)
    return run_in_child(
        _answer, dict(graphs), card, dict(real), seed, what="the graphs as they were given"
    )


def plain_is_usable() -> bool:
    """Whether ONNX Runtime is installed here."""
    target = parse_target(PLAIN)
    return load_runtime(target.runtime).probe(target).usable


def run_many(graph: Path, feeds: Sequence[Feeds]) -> Iterator[Outputs]:
    """Run one graph on several inputs in the current process."""
    with open_plain(graph) as session:
        for one in feeds:
            yield session.run(one)


def run_file(graph: Path, feeds: Feeds) -> Outputs:
    """Run one graph once in the current process."""
    return _run({"main": graph}, {"main": [feeds]})["main"][0][1]


def run_once(graph: Path, feeds: Feeds) -> Outputs | None:
    """Run one graph once in a child process; None where ONNX Runtime is not installed."""
    if not plain_is_usable():
        return None
    return run_plain({"main": graph}, {"main": [feeds]})["main"][0][1]


@contextmanager
def open_plain(graph: Path) -> Iterator[Session]:
    """Open one graph in the current process.

    Raises:
        MissingLibrary: ONNX Runtime is not installed.
    """
    with (
        scratch("plain") as name,
        open_graphs({"main": graph}, name)["main"] as session,
    ):
        yield session


def open_graphs(graphs: Mapping[str, Path], folder: Path) -> dict[str, Session]:
    """Open graphs by role in the current process.

    Args:
        graphs: ONNX files.
        folder: Receives a copy of each.

    Raises:
        MissingLibrary: ONNX Runtime is not installed.
    """
    target = parse_target(PLAIN)
    runtime = load_runtime(target.runtime)
    sessions: dict[str, Session] = {}
    for role, graph in graphs.items():
        place = folder / role
        place.mkdir(parents=True)
        with plain_file(graph) as file:
            compiled = runtime.compile(file, target, PLAIN_OPTIONS, place)
        sessions[role] = runtime.open(compiled, place)
    return sessions


def _answer(
    graphs: dict[str, Path], card: ModelCard, real: dict[str, Sequence[Feeds]], seed: int
) -> Runs:
    answers: dict[str, list[tuple[Feeds, Outputs]]] = {}
    for role, path in graphs.items():
        with open_plain(path) as session:
            wanted = trials(card.graph(role).inputs, real.get(role, ()), seed)
            answered, failures = answer_trials(session.run, wanted)
        given = [one for one in answered if one.finite]
        if not given:
            raise failures[0].error
        answers[role] = [(one.feeds, one.outputs) for one in given]
    return answers


def _run(
    graphs: dict[str, Path], feeds: dict[str, Sequence[Feeds]], card: ModelCard | None = None
) -> Runs:
    answers: dict[str, list[tuple[Feeds, Outputs]]] = {}
    for role, cases in feeds.items():
        with open_plain(graphs[role]) as session:
            graph = card.graph(role) if card is not None else GraphCard()
            answers[role] = [call for case in cases for call in sequence(session, case, graph)]
    return answers
