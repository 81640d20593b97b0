"""`edgekit doctor`: what works here, what does not, why, and the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from edgekit.benchmarks.environment import environment
from edgekit.core.confinement import isolation
from edgekit.core.documents import DoctorDocument, DoctorTarget
from edgekit.core.errors import CheckFailed, EdgekitError
from edgekit.core.progress import Position, Progress
from edgekit.core.runtime import Array, CompileOptions, Feeds, Probe
from edgekit.core.target import Target
from edgekit.core.temporary import scratch
from edgekit.jobs.process.child import run_in_child
from edgekit.runtimes.catalogue import load_runtime, parse_target
from edgekit.runtimes.jetson import jetson
from edgekit.runtimes.nvidia import nvidia
from edgekit.runtimes.probes import probe_all
from edgekit.runtimes.problems import problems

__all__ = ["known_answer", "run"]

# Of logits from -4.5 to 7.7. fp16 is within 0.002 of float64 here, and a wrong kernel is not.
_APART = 0.05


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
        isolation=isolation(),
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
    """Run graphs whose answers are known: a sum, and the built-in digits on ten pictures.

    An execution provider may leave operators out and still be of use, so it gets the sum alone.

    Raises:
        EdgekitError: The engine is not usable after all.
    """
    # It brings OpenCV, which who asks without --deep need not wait for.
    from edgekit.export.builtin.known_answer import (
        EXPECTED,
        FEED,
        digit_answers,
        digit_images,
        write_digits_graph,
        write_sum,
    )

    target = parse_target(text)
    answer = _answer(target, write_sum, {"x": np.array(FEED, np.float32)})
    if not np.allclose(answer, EXPECTED):
        raise CheckFailed(f"{target} answered {answer.tolist()} instead of {list(EXPECTED)}.")
    if target.device.startswith("ep="):
        return
    images = digit_images()
    logits = _answer(target, write_digits_graph, {"image": images})
    expected = digit_answers(images)
    read = [int(digit) for digit in logits.argmax(axis=1)]
    if read != list(range(len(read))):
        raise CheckFailed(f"{target} reads ten digits as {read}.")
    apart = float(np.abs(logits - expected).max())
    if apart > _APART:
        raise CheckFailed(
            f"{target} reads ten digits rightly, but its figures are up to {apart:.3g} off."
        )


def _answer(target: Target, write: Callable[[Path], None], feeds: Feeds) -> Array:
    """Compile a graph of one output and run it once."""
    runtime = load_runtime(target.runtime)
    computes = runtime.probe(target).computes
    compute = "fp32" if "fp32" in computes or not computes else computes[0]
    with scratch("doctor") as name:
        graph, folder = name / "graph.onnx", name / "engine"
        folder.mkdir()
        write(graph)
        compiled = runtime.compile(graph, target, CompileOptions(compute=compute), folder)
        with runtime.open(compiled, folder) as session:
            (output,) = session.run(feeds).values()
    return output
