"""Graphs run as they are written: ONNX Runtime on the CPU in fp32, optimizations off.

This is the reference where the source is an ONNX file or torch is absent, and the judge of what an
export or a quantizer wrote.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.core.runtime import CompileOptions, Feeds
from edgekit.core.target import Target
from edgekit.jobs.child import run_in_child
from edgekit.jobs.engines import usable
from edgekit.jobs.sequences import Outputs
from edgekit.runtimes.catalogue import load_runtime, parse_target

__all__ = ["PLAIN", "PLAIN_OPTIONS", "Runs", "plain_is_usable", "run_file", "run_plain"]

PLAIN = "onnxruntime:cpu"
PLAIN_OPTIONS = CompileOptions(optimize=False)

# Role to (feeds, outputs) of every case.
Runs = Mapping[str, Sequence[tuple[Feeds, Outputs]]]


def run_plain(graphs: Mapping[str, Path], feeds: Mapping[str, Sequence[Feeds]]) -> Runs:
    """Run graphs by role in a child process.

    Raises:
        Unavailable: ONNX Runtime is not installed.
    """
    target, _ = usable(PLAIN)
    return run_in_child(_run, dict(graphs), target, dict(feeds), what="the unoptimized graphs")


def plain_is_usable() -> bool:
    """Whether ONNX Runtime is installed here."""
    target = parse_target(PLAIN)
    return load_runtime(target.runtime).probe(target).usable


def run_file(graph: Path, feeds: Feeds) -> Outputs:
    """Run one graph once in the current process."""
    return _run({"main": graph}, parse_target(PLAIN), {"main": [feeds]})["main"][0][1]


def _run(graphs: dict[str, Path], target: Target, feeds: dict[str, Sequence[Feeds]]) -> Runs:
    runtime = load_runtime(target.runtime)
    answers: dict[str, list[tuple[Feeds, Outputs]]] = {}
    for role, cases in feeds.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            compiled = runtime.compile(graphs[role], target, PLAIN_OPTIONS, folder)
            with runtime.open(compiled, folder) as session:
                answers[role] = [(case, session.run(case)) for case in cases]
    return answers
