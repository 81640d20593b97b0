"""`edgekit bench`: latency and throughput, the entries taking turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgekit.benchmarks.environment import environment
from edgekit.core.documents import BenchDocument, BenchEntry
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.files import atomic_path, write_bytes
from edgekit.core.inputs import axis_sizes, batch_axis, generate_feeds, sizes_from_shapes
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions, Feeds
from edgekit.jobs.bundles.bundle import entry_name
from edgekit.jobs.running.certify import whole_placement
from edgekit.jobs.running.child import Child
from edgekit.jobs.running.engines import compile_graphs, opener, usable
from edgekit.jobs.running.feeds import generated_feeds, roles
from edgekit.jobs.running.models import Model, resolve_model
from edgekit.jobs.running.turns import Contestant, measure_in_turns
from edgekit.jobs.running.worker import Measured, Worker

__all__ = ["SCENARIOS", "bench_entry", "run", "write_samples"]

SCENARIOS = ("single-stream",)


def run(
    model: str,
    *,
    targets: Sequence[str],
    compute: Sequence[str],
    scenario: str,
    batch: int,
    shapes: Mapping[str, str] | None,
    threads: int | None,
    time: float,
    allow_fallback: bool,
    output: Path | None,
    seed: int,
    progress: Progress,
) -> BenchDocument:
    """See edgekit.api.bench."""
    if scenario not in SCENARIOS:
        raise BadInput(f"There is no scenario {scenario!r}.", closest(scenario, SCENARIOS))
    if not targets:
        raise BadInput("No target was given.", hint="For instance --target openvino:cpu.")
    if time <= 0 or batch < 1:
        raise BadInput(f"--time and --batch must be above 0, got {time:g} and {batch}.")
    contestants: list[Contestant] = []
    entries: list[tuple[str, str, str, str]] = []
    for text in dict.fromkeys(targets):
        target, probe = usable(text)
        resolved = resolve_model(model, probe=probe)
        feeds = _feeds(resolved, batch, shapes or {}, seed)
        for word in compute or ("fp32",):
            options = CompileOptions(compute=word, threads=threads, allow_fallback=allow_fallback)
            graphs = resolved.variant.paths
            engines = compile_graphs(graphs, target, probe, options, progress=progress)
            opened = opener(engines)
            name = f"{resolved.variant.id} on {target} in {word}"
            with Child(Worker, opened, resolved.card, Path(), False, what=name) as child:
                executed = whole_placement(child.call("placement")).executed_precision
            contestants.append(Contestant(name, opened, resolved.card, feeds))
            entries.append((str(target), resolved.variant.id, word, executed))
    progress.stage("measurement")
    measured = measure_in_turns(contestants, seconds=time, seed=seed, progress=progress)
    document = BenchDocument(
        model=model,
        environment=environment(threads),
        entries=tuple(
            bench_entry(*entry, scenario, figures, output)
            for entry, figures in zip(entries, measured, strict=True)
        ),
    )
    if output is not None:
        content = msgspec.json.format(msgspec.json.encode(document))
        write_bytes(output / "bench.json", content + b"\n")
    return document


def bench_entry(
    target: str,
    variant: str,
    compute: str,
    executed_precision: str,
    scenario: str,
    measured: Measured | EdgekitError,
    folder: Path | None,
) -> BenchEntry:
    """Lay the figures of one entry into the document; raw samples go into `folder`."""
    if isinstance(measured, EdgekitError):
        return BenchEntry(
            target=target,
            variant=variant,
            compute=compute,
            executed_precision=executed_precision,
            scenario=scenario,
            boundary="latency.host",
            valid=False,
            reasons=(str(measured),),
            n=0,
        )
    stream = measured.stream
    latency = stream.latency
    samples = None
    if folder is not None:
        name = entry_name(target, variant, compute)
        samples = write_samples(folder / "samples" / f"{name}.npz", measured)
    return BenchEntry(
        target=target,
        variant=variant,
        compute=compute,
        executed_precision=executed_precision,
        scenario=scenario,
        boundary=latency.boundary,
        valid=stream.valid,
        reasons=stream.reasons,
        n=latency.n,
        p50_ms=latency.p50_ms,
        p50_low_ms=latency.p50_low_ms,
        p50_high_ms=latency.p50_high_ms,
        p90_ms=latency.p90_ms,
        p99_ms=latency.p99_ms,
        throughput_per_s=stream.throughput_per_s,
        load_ms=measured.load_ns / 1e6,
        first_ms=measured.first_ns / 1e6,
        rss_peak_bytes=measured.rss_peak_bytes,
        rss_base_bytes=measured.rss_base_bytes,
        samples=samples,
        warmup=stream.warmup,
        steady=stream.steady,
        stopped_by=stream.stopped_by,
        missing=stream.missing,
    )


def write_samples(path: Path, measured: Measured) -> str:
    """Write raw samples (nanoseconds, int64) and the length of each block; return the path."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            samples_ns=np.array(measured.stream.samples_ns, np.int64),
            blocks=np.array(measured.stream.blocks, np.int64),
        )
    return str(path)


def _feeds(model: Model, batch: int, shapes: Mapping[str, str], seed: int) -> dict[str, Feeds]:
    """One input of every graph: a picture for images, else random arrays of the asked size."""
    if batch == 1 and not shapes:
        return {role: several[0] for role, several in generated_feeds(model.card, seed, 1).items()}
    feeds: dict[str, Feeds] = {}
    for role in roles(model.card):
        tensors = model.card.graph(role).inputs
        own = {name: text for name, text in shapes.items() if name in tensors}
        sizes = sizes_from_shapes(tensors, own)
        axis = batch_axis(tensors)
        if batch != 1 and axis is None:
            raise BadInput(
                f"{model.text} has a fixed batch, so --batch {batch} cannot be measured.",
                hint="Export it with a dynamic batch axis.",
            )
        if axis is not None and batch != 1:
            sizes = axis_sizes(tensors, {**sizes, axis: batch})
        feeds[role] = generate_feeds(tensors, sizes, seed)
    known = [name for role in roles(model.card) for name in model.card.graph(role).inputs]
    for name in shapes:
        if name not in known:
            raise BadInput(f"{model.text} has no input {name!r}.", closest(name, known))
    return feeds
