"""Which engine runs a graph fastest here, of those that answer as the graph is written."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from edgekit.benchmarks.certificate import parity_limit
from edgekit.core.cores import usable_cores
from edgekit.core.errors import BadInput, CheckFailed, EdgekitError
from edgekit.core.parity import ParityMeter
from edgekit.core.progress import Progress
from edgekit.core.runtime import Binding, CompileOptions, Feeds, Probe
from edgekit.core.target import Target
from edgekit.jobs.model.resolve import Model
from edgekit.jobs.opening.places import every_place
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.feeds import generated_feeds
from edgekit.jobs.process.plain import open_plain, plain_is_usable
from edgekit.jobs.steps.cache import CacheUnwritable
from edgekit.jobs.steps.engine import CachedEngine, compile_graphs, open_engines
from edgekit.jobs.steps.entries import COMPUTES, plan_entries
from edgekit.runtimes.catalogue import ALL

__all__ = ["Fastest", "fastest"]

# All candidates together are timed for so long; enough to tell apart what a person would notice.
_SECONDS = 1.0
_ROUNDS = 4
# Beyond that, threads are better spent on each; every stream has buffers of its own.
_MOST_STREAMS = 4


@dataclass(frozen=True)
class Fastest:
    """The engine to run.

    Attributes:
        target: Where.
        compute: Float precision.
        engine: Compiled, in the cache.
        reason: One sentence with the figures; empty where there was no choice.
    """

    target: Target
    compute: str
    engine: CachedEngine
    reason: str


@dataclass(frozen=True)
class _Candidate:
    target: Target
    probe: Probe
    compute: str

    def __str__(self) -> str:
        return f"{self.target} in {self.compute}"


@dataclass(frozen=True)
class _Figures:
    """Of one candidate: the worst output's SQNR, dB (None where there was no reference), and ms."""

    sqnr_db: float | None
    latency_ms: float


def fastest(
    model: Model,
    *,
    target: str | None,
    compute: str | None,
    threads: int | None,
    every_frame: bool = False,
    trust_engine: bool = False,
    progress: Progress,
) -> Fastest:
    """Compile a graph for every engine that would do, check each and time them against each other.

    One picture is run through each: an engine whose outputs leave the limit of its precision is out
    (docs/certificate.md argues the limits). This is no certificate.

    Args:
        model: Of one graph, "main", that takes pictures.
        target: Only there; None means wherever this machine can.
        compute: Only in this; None means every float precision that the engine has for it.
        threads: Threads of a CPU engine.
        every_frame: A CPU engine shall take several frames side by side; its times are those of one
            frame all the same.
        trust_engine: See compile_graphs.
        progress: Told of what is compiled, and of engines that are out.

    Raises:
        BadInput: The target does not compute so, or every engine refuses the graph.
        CheckFailed: Every engine answers otherwise than the graph is written.
        Unavailable: The target, or any, is not here.
    """
    candidates = _candidates(model, target, compute)
    compiled: dict[str, CachedEngine] = {}
    refusals: list[EdgekitError] = []
    for one in candidates:
        options = CompileOptions(
            compute=one.compute,
            threads=threads,
            streams=_streams(threads) if every_frame and one.target.device == "cpu" else None,
        )
        try:
            compiled[str(one)] = compile_graphs(
                model.variant.paths,
                one.target,
                one.probe,
                options,
                model=model.name,
                trust_engine=trust_engine,
                progress=progress,
            )["main"]
        except CacheUnwritable:
            raise
        except EdgekitError as error:
            refusals.append(error)
            if len(candidates) > 1:
                progress.note(f"{one} is out: {error.message}")
    if not compiled:
        raise refusals[0]
    left = [one for one in candidates if str(one) in compiled]
    if len(left) == 1 and target is not None and compute is not None:
        return Fastest(left[0].target, left[0].compute, compiled[str(left[0])], "")
    feeds = generated_feeds(model.card, 0, 1)["main"][0]
    progress.stage(f"timing {len(left)} engines")
    figures = _measured(model, compiled, feeds, progress)
    passing = {
        one: found.latency_ms
        for one in left
        if (found := _passing(model, one, figures[str(one)], progress)) is not None
    }
    if not passing:
        raise CheckFailed(
            f"No engine here answers as {model.text} is written.",
            hint="See where it goes wrong: edgekit debug parity "
            f"{shlex.quote(model.text)} --target TARGET",
        )
    order = sorted(passing, key=lambda one: passing[one])
    best = order[0]
    told = ", ".join(f"{one}: {passing[one]:.3g} ms" for one in order)
    reason = f"{told}; not certified, `edgekit deploy` certifies."
    return Fastest(best.target, best.compute, compiled[str(best)], reason)


def _streams(threads: int | None) -> int:
    """Streams of an engine for every frame of a file: one a thread, up to four."""
    return min(_MOST_STREAMS, threads or usable_cores())


def _candidates(model: Model, target: str | None, compute: str | None) -> list[_Candidate]:
    """Every target and compute that runs the variant."""
    here = every_place(target or ALL)
    precision = model.variant.precision
    asked = () if compute is None else (compute,)
    found: list[_Candidate] = []
    refused: BadInput | None = None
    for place in here:
        computes: list[str] = []
        if precision in place[1].precisions:
            try:
                computes = [plan.compute for plan in plan_entries([place], [precision], asked)]
            except BadInput as error:
                refused = error
                continue
        found += [_Candidate(*place, word) for word in computes or _unplanned(place[1], asked)]
    if not found:
        assert refused is not None, "a target without a plan says why"
        raise refused
    return found


def _unplanned(probe: Probe, asked: tuple[str, ...]) -> list[str]:
    """For a variant that gains nothing there but runs: the first compute, or what is asked."""
    return list(asked) or [next(word for word in COMPUTES if word in probe.computes)]


def _passing(
    model: Model, one: _Candidate, found: _Figures | str, progress: Progress
) -> _Figures | None:
    """The figures of a candidate that ran and answers as the graph does; tells of another."""
    if isinstance(found, str):
        progress.note(f"{one} is out: {found}")
        return None
    limit = parity_limit(model.variant.precision, one.compute)
    if found.sqnr_db is not None and found.sqnr_db < limit:
        progress.note(
            f"{one} is out: its outputs are {found.sqnr_db:.0f} dB from the graph as it is "
            f"written, and the limit is {limit:.0f} dB."
        )
        return None
    return found


def _measured(
    model: Model, compiled: Mapping[str, CachedEngine], feeds: Feeds, progress: Progress
) -> Mapping[str, _Figures | str]:
    """Run and time the candidates beside each other in a process of their own."""
    graph = model.variant.paths["main"] if plain_is_usable() else None
    if graph is None:
        progress.note("ONNX Runtime is not installed, so no engine's answers were checked.")
    folders = {name: engine.folder for name, engine in compiled.items()}
    found: dict[str, _Figures | str] = run_in_child(
        _raced, folders, graph, dict(feeds), what=f"timing {model.name}", progress=progress
    )
    return found


def _raced(
    folders: Mapping[str, Path], graph: Path | None, feeds: Feeds
) -> dict[str, _Figures | str]:
    """Open every engine, compare one answer with the graph's as it is written, and time it."""
    truth = None
    if graph is not None:
        with open_plain(graph) as plain:
            truth = plain.run(feeds)
    found: dict[str, _Figures | str] = {}
    bound: dict[str, Binding] = {}
    checked: dict[str, float | None] = {}
    for name, folder in folders.items():
        try:
            binding = open_engines({"main": folder})["main"].bind(feeds)
            binding.run()
        except Exception as error:  # an engine that fails is out, whatever it raises
            found[name] = (str(error).strip().splitlines() or [type(error).__name__])[0]
            continue
        bound[name] = binding
        checked[name] = None
        if truth is not None:
            meters = []
            for key, reference in truth.items():
                meter = ParityMeter()
                meter.add(reference, binding.outputs[key])
                meters.append(meter.result())
            finite = all(meter.finite for meter in meters)
            checked[name] = min(one.sqnr_db for one in meters) if finite else float("-inf")
    times: dict[str, list[int]] = {name: [] for name in bound}
    share = _SECONDS / (_ROUNDS * max(1, len(bound)))
    for number in range(_ROUNDS):
        # Forwards and backwards: what the machine does meanwhile meets all alike.
        for name in list(bound)[:: 1 if number % 2 == 0 else -1]:
            times[name] += _block(bound[name], share)
    for name, several in times.items():
        found[name] = _Figures(checked[name], median(several) / 1e6)
    return found


def _block(binding: Binding, seconds: float) -> list[int]:
    """Nanoseconds of some runs; the first of a block pays for the engine before and counts not."""
    binding.run()
    taken: list[int] = []
    end = time.perf_counter_ns() + seconds * 1e9
    while not taken or time.perf_counter_ns() < end:
        start = time.perf_counter_ns()
        binding.run()
        taken.append(time.perf_counter_ns() - start)
    return taken
