"""Options that several commands share: one name and one meaning each (the command contract)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from edgekit.cli import completing
from edgekit.cli.recipe import consent
from edgekit.cli.types import (
    Number,
    Percent,
    fail_conditions,
    named_numbers,
    named_shapes,
    named_values,
)

__all__ = [
    "allow_fallback",
    "arch",
    "bake",
    "batch",
    "best_compute",
    "boundary",
    "calibration",
    "card",
    "card_options",
    "compute",
    "computes",
    "concurrency",
    "confidence_of_ratio",
    "data",
    "fail_on",
    "fastest_compute",
    "force",
    "inputs",
    "limits",
    "margin",
    "min_parity",
    "model",
    "opset",
    "output",
    "own_compute",
    "provider_options",
    "rate",
    "refuse_given",
    "require_valid",
    "require_verified",
    "resume",
    "scenario",
    "seed",
    "shapes",
    "source",
    "streams",
    "sweep",
    "target",
    "targets",
    "threads",
    "time",
    "timeout",
    "trust_code",
    "trust_engine",
    "trust_pickle",
    "was_given",
]

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_PATH = click.Path(path_type=Path)
_COMPUTE = click.Choice(["fp32", "tf32", "bf16", "fp16"])
_TARGET_HELP = "RUNTIME:DEVICE[:INDEX], such as openvino:cpu, or a device, such as cpu or cuda:0"


def model(command: Command) -> Command:
    """MODEL: an ONNX file, a folder of graphs or of engines, a bundle or BUNDLE@VARIANT."""
    return click.argument("model", shell_complete=completing.models)(command)


def source(command: Command) -> Command:
    """SOURCE: a file, or a built-in model by name."""
    return click.argument("source", shell_complete=completing.sources)(command)


def target(
    *,
    required: bool = False,
    help: str = "Where to run; default: the first engine that is here.",  # noqa: A002
) -> Decorator:
    """--target, one."""
    return click.option(
        "--target",
        metavar="TARGET",
        required=required,
        shell_complete=completing.targets,
        help=f"{help} {_TARGET_HELP}.",
    )


def targets(
    *,
    help: str = "Where to run, or all; default: the first engine that is here.",  # noqa: A002
) -> Decorator:
    """--target, once or several times."""
    return click.option(
        "--target",
        "targets",
        metavar="TARGET",
        multiple=True,
        shell_complete=completing.targets,
        help=f"{help} {_TARGET_HELP}; repeatable.",
    )


def data(*, required: bool = False, help: str) -> Decorator:  # noqa: A002
    """--data: labelled images or arrays."""
    return click.option("--data", metavar="DIR", type=_PATH, required=required, help=help)


calibration = click.option(
    "--calibration",
    metavar="DIR",
    type=_PATH,
    help="Data for calibration alone; without it, --data is split.",
)
card = click.option(
    "--card",
    metavar="FILE",
    type=_PATH,
    help="The model's card; without it, NAME.card.yaml beside the model or the card in the graph.",
)
arch = click.option(
    "--arch",
    metavar="MODULE:FACTORY",
    help="The network that a state dict belongs to; file.py:factory, or one that a recipe names, "
    "needs --trust-code.",
)
trust_code = click.option(
    "--trust-code",
    is_flag=True,
    callback=consent,
    help="Run Python code that the model brings (--arch, decoders).",
)
trust_pickle = click.option(
    "--trust-pickle",
    is_flag=True,
    callback=consent,
    help="Load weights by a full pickle, which can run any code: only from who you trust.",
)
trust_engine = click.option(
    "--trust-engine",
    is_flag=True,
    help="Open engines that were built elsewhere; they are native code: only from who you trust.",
)
inputs = click.option(
    "--input",
    "inputs",
    metavar="NAME=SHAPE",
    multiple=True,
    callback=named_shapes,
    help="An input's shape for a model without a card, x=batch,3,224,224; repeatable.",
)
card_options = click.option(
    "--set",
    "options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=named_values,
    help="A key of the card put over it, for instance confidence=0.4; repeatable.",
)
opset = click.option(
    "--opset", type=click.IntRange(min=1), help="ONNX operator set; default: the exporter's own."
)
bake = click.option(
    "--bake",
    metavar="PREPROCESS,NMS",
    multiple=True,
    shell_complete=completing.bakes,
    help="What the graph itself is to do: preprocess (uint8 NHWC in), nms (detections out).",
)
compute = click.option(
    "--compute",
    type=_COMPUTE,
    default="fp32",
    show_default=True,
    help="Float precision the engine may compute in.",
)

own_compute = click.option(
    "--compute",
    type=_COMPUTE,
    help="Float precision the engine may compute in; default: fp32, or as MODEL was compiled.",
)
best_compute = click.option(
    "--compute",
    type=_COMPUTE,
    help="Float precision the engine may compute in; default: as the bundle recommends, else fp32.",
)
fastest_compute = click.option(
    "--compute",
    type=_COMPUTE,
    help="Float precision the engine may compute in; default: the fastest that agrees with fp32.",
)


def computes(*, default: str) -> Decorator:
    """--compute, once or several times."""
    return click.option(
        "--compute",
        type=_COMPUTE,
        multiple=True,
        help=f"Float precision the engine may compute in; repeatable. Default: {default}.",
    )


allow_fallback = click.option(
    "--allow-fallback", is_flag=True, help="Allow nodes to run on another device than asked for."
)
provider_options = click.option(
    "--provider-option",
    "provider_options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=named_values,
    help="An option of an execution provider (onnxruntime:ep=NAME); repeatable.",
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of a CPU engine; default: all physical cores.",
)
batch = click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Batch size."
)
shapes = click.option(
    "--shapes",
    metavar="NAME=SHAPE",
    multiple=True,
    callback=named_shapes,
    help="Shape to measure an input at, for other dynamic axes; repeatable.",
)
scenario = click.option(
    "--scenario",
    type=click.Choice(["single-stream", "offline", "paced"]),
    default="single-stream",
    show_default=True,
    help="How requests arrive: by MLPerf's names, or paced, frames at a camera's rate.",
)


def time(*, help: str) -> Decorator:  # noqa: A002
    """--time: of one measurement, at most."""
    return click.option(
        "--time",
        metavar="SECONDS",
        type=Number(min=0, min_open=True),
        default=10.0,
        show_default=True,
        help=help,
    )


boundary = click.option(
    "--boundary",
    type=click.Choice(["latency.host", "latency.device", "latency.e2e"]),
    multiple=True,
    help="What a latency spans; repeatable. Default: latency.host.",
)
sweep = click.option(
    "--sweep",
    metavar="AXIS=N,N",
    multiple=True,
    callback=named_numbers,
    help="Measure every value of batch, threads, streams, concurrency or rate; repeatable.",
)
streams = click.option(
    "--streams",
    type=click.IntRange(min=1),
    help="Requests that the engine executes side by side in offline; default: its own choice.",
)
concurrency = click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="Requests in flight in offline; default: the engine's own choice.",
)
rate = click.option(
    "--rate",
    metavar="FRAMES",
    type=click.IntRange(min=1),
    help="Frames a second in paced; default: 30.",
)
timeout = click.option(
    "--timeout",
    metavar="SECONDS",
    type=Number(min=0, min_open=True),
    help="End an entry that takes longer, all included; default: 10 x --time + 120.",
)
resume = click.option(
    "--resume", is_flag=True, help="Keep the measurements that the folder of -o holds already."
)
seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of splits and generated inputs.",
)
force = click.option(
    "--force", is_flag=True, help="Replace a file, or a folder that edgekit wrote; never another."
)
require_verified = click.option(
    "--require-verified", is_flag=True, help="Exit 1 where the verdict is UNVERIFIED."
)
require_valid = click.option(
    "--require-valid", is_flag=True, help="Exit 1 where a measurement is invalid."
)


fail_on = click.option(
    "--fail-on",
    metavar="slower[:PERCENT],unclear",
    multiple=True,
    callback=fail_conditions,
    help="Exit 1 on a proven slowdown (of more than PERCENT), or on no verdict; repeatable.",
)
margin = click.option(
    "--margin",
    type=Percent(),
    default="3%",
    show_default=True,
    help="SAME: the whole interval of the ratio is within so much of 1.",
)
confidence_of_ratio = click.option(
    "--confidence",
    type=Percent(),
    default="99%",
    show_default=True,
    help="Of the ratio's interval.",
)


def refuse_given(names: Iterable[str], why: str) -> None:
    """Refuse options that stand on the command line and mean nothing there.

    Args:
        names: Of the parameters.
        why: Goes on after the option's name.

    Raises:
        click.UsageError: One of them was given.
    """
    for parameter in click.get_current_context().command.params:
        if parameter.name in names and was_given(str(parameter.name)):
            raise click.UsageError(f"{parameter.opts[0]} {why}.")


def was_given(name: str) -> bool:
    """Say whether a parameter stands on the command line or came from a recipe."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP, None)


def output(*, required: bool = False, metavar: str = "PATH", help: str) -> Decorator:  # noqa: A002
    """-o/--output-path."""
    return click.option(
        "-o", "--output-path", "output", metavar=metavar, type=_PATH, required=required, help=help
    )


def min_parity(default: str = "by precision: 80 fp32, 30 fp16, 20 bf16, 10 int8") -> Decorator:
    """--min-parity."""
    return click.option(
        "--min-parity",
        metavar="DB",
        type=Number(min=0, max=300),
        help=f"Smallest SQNR of the worst output, dB.  [default: {default}]",
    )


def limits(command: Command) -> Command:
    """The budget: --max-drop, --min-agreement, --max-shift, --min-parity, --require-proven."""
    for option in (
        click.option(
            "--require-proven",
            is_flag=True,
            help="Fail what passes only by its figure and not by its interval.",
        ),
        min_parity(),
        click.option(
            "--max-shift",
            type=Number(min=0, max=1),
            help="Largest median change of confidence, 0 to 1.  [default: 0.05]",
        ),
        click.option(
            "--min-agreement",
            type=Number(min=0, max=1),
            help="Smallest agreement with the reference, 0 to 1.  [default: 0.85]",
        ),
        click.option(
            "--max-drop",
            metavar="POINTS",
            type=Number(min=0, max=100),
            help="Largest drop of the metric, in points.  [default: 1.0]",
        ),
    ):
        command = option(command)
    return command
