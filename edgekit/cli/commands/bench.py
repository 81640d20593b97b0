"""`edgekit bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import completing, options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import BenchDocument, CompareDocument

__all__ = ["command"]

# What only a measurement against another model has.
_AGAINST = ("against_target", "against_compute", "margin", "fail_on", "confidence")
# What a measurement against another model takes of the rest.
_SHARED = (
    "targets", "compute", "scenario", "batch", "shapes", "threads", "time", "timeout",
    "allow_fallback", "provider_options", "trust_engine", "output", "force", "seed", "progress",
)  # fmt: skip


@click.command(
    "bench",
    epilog=examples(
        "edgekit bench model.onnx --target onnxruntime:cpu --target openvino:cpu",
        "edgekit bench my.bundle@int8 --target ov --boundary latency.e2e --json",
        "edgekit bench model.onnx --target openvino:cpu --scenario offline",
        "edgekit bench my.bundle@int8 --target ov --scenario paced --rate 30",
        "edgekit bench model.onnx --target ort --sweep batch=1,4 --sweep threads=1,2",
        "edgekit bench new.onnx --against old.onnx --target ort --fail-on slower:3%",
    ),
)
@options.model
@options.targets()
@options.computes(default="fp32, or as MODEL was compiled")
@click.option(
    "--against",
    metavar="MODEL",
    shell_complete=completing.models,
    help="Take turns with this base until the ratio of both is known.",
)
@click.option(
    "--against-target",
    metavar="TARGET",
    shell_complete=completing.targets,
    help="Where the base runs; default: where MODEL does.",
)
@click.option(
    "--against-compute",
    metavar="COMPUTE",
    help="What the base computes in; default: what MODEL does.",
)
@options.fail_on
@options.margin
@options.confidence_of_ratio
@options.scenario
@options.boundary
@options.sweep
@options.batch
@options.shapes
@options.threads
@options.streams
@options.concurrency
@options.rate
@options.data(help="Images for latency.e2e and paced; without it, generated ones.")
@options.time(help="Longest measurement of each entry; with --against, 60 of each model.")
@options.timeout
@options.allow_fallback
@options.provider_options
@options.trust_code
@options.trust_engine
@options.output(metavar="DIR", help="Folder for the result and the raw samples.")
@options.resume
@options.force
@click.option(
    "--no-store",
    "store",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Do not put the result into the store (edgekit results).",
)
@options.seed
@options.require_valid
@reporting
def command(*, model: str, against: str | None, **rest: Any) -> BenchDocument | CompareDocument:
    """Measure latency, throughput and memory of MODEL, the targets taking turns.

    A sweep measures cell after cell instead, each in a process of its own. With --against, MODEL
    is judged against another one: FASTER, SLOWER, SAME or UNCLEAR, or INVALID as a measurement is.

    MODEL is an ONNX file, a folder of graphs, a bundle, BUNDLE@VARIANT, or a folder of engines that
    compile -o wrote.
    """
    from edgekit import api

    own = {name: rest.pop(name) for name in _AGAINST if name in rest}
    if against is None:
        options.refuse_given(_AGAINST, "needs --against MODEL")
        return api.bench(model, **rest)
    options.refuse_given(
        [name for name in rest if name not in _SHARED] + ["require_valid"],
        "does not go together with --against",
    )
    shared = {name: rest[name] for name in _SHARED if name in rest}
    if not options.was_given("time"):
        # The API's own: it ends long before where the machine is quiet.
        shared.pop("time")
    return api.bench_against(model, against, **own, **shared)
