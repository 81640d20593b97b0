"""`edgekit doctor`: what works here, what does not, why, and the fix."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import numpy as np

from edgekit.benchmarks.environment import environment
from edgekit.core.documents import DoctorDocument, DoctorTarget
from edgekit.core.errors import CheckFailed, EdgekitError
from edgekit.core.progress import Position, Progress
from edgekit.core.runtime import CompileOptions, Probe
from edgekit.export.builtin.known_answer import EXPECTED, FEED, write_known_answer
from edgekit.jobs.running.child import run_in_child
from edgekit.runtimes.catalogue import load_runtime, parse_target
from edgekit.runtimes.jetson import jetson
from edgekit.runtimes.nvidia import nvidia
from edgekit.runtimes.probes import probe_all
from edgekit.runtimes.problems import problems

__all__ = ["known_answer", "run"]


def run(*, deep: bool, progress: Progress) -> DoctorDocument:
    """See edgekit.api.doctor."""
    probes = probe_all(providers=deep)
    if deep:
        for number, probe in enumerate(probes):
            progress.stage(f"opening {probe.target}", Position(number + 1, len(probes)))
            probes[number] = _opened(probe)
    here, cards, board = environment(None), nvidia(), jetson()
    return DoctorDocument(
        targets=tuple(
            DoctorTarget(
                target=probe.target,
                usable=probe.usable,
                reason=probe.reason,
                fix=probe.fix,
                version=probe.version,
                device=probe.device,
                precisions=probe.precisions,
                computes=probe.computes,
            )
            for probe in probes
        ),
        problems=tuple(problems(here, cards, board)),
        environment=here,
        nvidia=cards,
        jetson=board,
    )


def _opened(probe: Probe) -> Probe:
    """Believe a probe only once its engine answered a known sum, in a process of its own."""
    if not probe.usable:
        return probe
    try:
        run_in_child(known_answer, probe.target, what=probe.target)
    except EdgekitError as error:
        return msgspec.structs.replace(
            probe,
            usable=False,
            reason=f"It is installed and fails: {error.message}",
            fix=error.hint,
        )
    return probe


def known_answer(text: str) -> None:
    """Compile and run a tiny graph whose answer is known.

    Raises:
        EdgekitError: The engine is not usable after all.
    """
    target = parse_target(text)
    runtime = load_runtime(target.runtime)
    with tempfile.TemporaryDirectory() as name:
        graph, folder = Path(name, "graph.onnx"), Path(name, "engine")
        folder.mkdir()
        write_known_answer(graph)
        compiled = runtime.compile(graph, target, CompileOptions(), folder)
        with runtime.open(compiled, folder) as session:
            answer = session.run({"x": np.array(FEED, np.float32)})["y"]
    if not np.allclose(answer, EXPECTED):
        raise CheckFailed(f"{target} answered {answer.tolist()} instead of {list(EXPECTED)}.")
