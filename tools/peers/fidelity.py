"""edgekit's figures against bare loops and against OpenVINO's benchmark_app.

    python tools/peers/fidelity.py [--quick] [--minutes N] [--only TEXT] [-o FILE.json]

Every row alternates two ways to measure the same model until the 95 % interval of their ratio is
narrow enough or its time is up. A row says PASS where the whole interval keeps the bound, FAIL
where the whole interval misses it, else UNCLEAR. The status is 1 where a row fails.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit import api
from edgekit.benchmarks.environment import environment
from edgekit.benchmarks.signed_rank import ratio_interval
from edgekit.benchmarks.singlestream import SingleStream, SingleStreamRule
from edgekit.benchmarks.steady import Steady
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.process.feeds import generated_feeds
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.engine import compile_graphs, open_engines

ROOT = Path(__file__).resolve().parents[2]
THREADS = 2
BLOCK_SECONDS = 0.04
# Quads in a round; both sides are opened anew for each round, because two openings of one model
# differ by where its buffers come to lie.
QUADS = 3
FEWEST_ROUNDS = 8
APP = Path(sys.executable).with_name("benchmark_app")

Take = Callable[[], float]


@dataclass
class FidelityRow:
    """One comparison.

    Attributes:
        what: What edgekit's figure is held against.
        subject: Model and engine.
        low: The ratio (or difference) is to be at least this; None for no lower bound.
        high: At most this.
        unit: Empty for a ratio, else of the difference.
    """

    what: str
    subject: str
    low: float | None
    high: float | None
    unit: str = ""
    value: float = math.nan
    value_low: float = math.nan
    value_high: float = math.nan
    rounds: int = 0
    logs: list[float] = field(default_factory=list, repr=False)

    @property
    def verdict(self) -> str:
        """PASS, FAIL or UNCLEAR."""
        if math.isnan(self.value_low):
            return "UNCLEAR"
        least = -math.inf if self.low is None else self.low
        most = math.inf if self.high is None else self.high
        if least <= self.value_low and self.value_high <= most:
            return "PASS"
        return "FAIL" if self.value_high < least or self.value_low > most else "UNCLEAR"

    @property
    def bound(self) -> str:
        """The bound in words."""
        if self.low is None:
            return f"at most {self.high:g}{self.unit}"
        return f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


def table(rows: Sequence[FidelityRow]) -> str:
    """The rows as Markdown."""
    lines = [
        "| edgekit against | model | ratio | 95 % interval | rounds | bound | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        unit = row.unit
        lines.append(
            f"| {row.what} | {row.subject} | {row.value:.3f}{unit} | "
            f"{row.value_low:.3f}–{row.value_high:.3f}{unit} | {row.rounds} | {row.bound} | "
            f"{row.verdict} |"
        )
    return "\n".join(lines)


def settle(
    row: FidelityRow, rounds: Iterator[float], seconds: float, half_width: float
) -> FidelityRow:
    """Take rounds, the log ratio of each, until the interval is narrow or the time is up."""
    until = time.monotonic() + seconds
    for value in rounds:
        row.logs.append(value)
        row.rounds = len(row.logs)
        found = ratio_interval(row.logs, 0.95)
        if found is not None:
            row.value = found.ratio
            if found.low is not None and found.high is not None:
                row.value_low, row.value_high = found.low, found.high
                narrow = (found.high / found.low - 1) / 2 <= half_width
                if row.rounds >= FEWEST_ROUNDS and narrow:
                    break
        if time.monotonic() >= until and not math.isnan(row.value_low):
            break
    return row


def quads(
    open_both: Callable[[], tuple[Take, Take]], medians: list[tuple[float, float]] | None = None
) -> Iterator[float]:
    """Yield the log ratio of one round after the other: the median of a few ABBA quads."""
    while True:
        new, base = open_both()
        logs = []
        for _ in range(QUADS):
            one, two, three, four = new(), base(), base(), new()
            logs.append((math.log(one) + math.log(four) - math.log(two) - math.log(three)) / 2)
            if medians is not None:
                medians.append(((one + four) / 2, (two + three) / 2))
        yield float(np.median(logs))


def looped(run: Callable[[], object]) -> Take:
    """A bare loop around a call: its median, ns, over one block."""

    def take() -> float:
        for _ in range(3):
            run()
        clock = time.perf_counter_ns
        samples = []
        until = clock() + round(BLOCK_SECONDS * 1e9)
        while True:
            start = clock()
            run()
            end = clock()
            samples.append(end - start)
            if end >= until:
                return float(np.median(samples))

    return take


def measured(run: Callable[[], None]) -> Take:
    """Edgekit's instrument around a call: its median, ns, over one block."""
    steady = Steady(windows=1, window_samples=1, window_seconds=0.0)
    rule = SingleStreamRule(seconds=BLOCK_SECONDS, rewarm_runs=3, rewarm_seconds=0.0)

    def take() -> float:
        stream = SingleStream(rule, steady=steady)
        stream.warm(run)
        stream.block(run, BLOCK_SECONDS)
        return float(np.median(stream.summary().samples_ns))

    return take


@dataclass(frozen=True)
class OpenedModel:
    """A model on a target: what opens it as edgekit does, and bare."""

    name: str
    target: str
    folder: Path
    feeds: dict[str, Any]

    def ours(self) -> Callable[[], None]:
        """Session.bind's call, after its first run."""
        binding = open_engines({"main": self.folder})["main"].bind(self.feeds)
        binding.run()
        return binding.run

    def bare(self) -> Callable[[], object]:
        """The engine's own fastest documented call on the same engine file."""
        if self.target.startswith("onnxruntime"):
            return _bare_ort(self.folder / "engine.onnx", self.feeds)
        return _bare_openvino(self.folder / "engine.blob", self.feeds)


def _bare_ort(engine: Path, feeds: dict[str, Any]) -> Callable[[], object]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = THREADS
    settings.inter_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        str(engine), settings, providers=["CPUExecutionProvider"]
    )
    io = session.io_binding()
    kept = [np.array(array, order="C") for array in feeds.values()]
    for name, array in zip(feeds, kept, strict=True):
        io.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    names = [one.name for one in session.get_outputs()]
    for name in names:
        io.bind_output(name, "cpu")
    session.run_with_iobinding(io)
    outputs = [np.array(value.numpy()) for value in io.get_outputs()]
    for name, array in zip(names, outputs, strict=True):
        io.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    bare = partial(session.run_with_iobinding, io)
    bare.kept = kept, outputs  # type: ignore[attr-defined]
    return bare


def _bare_openvino(engine: Path, feeds: dict[str, Any]) -> Callable[[], object]:
    import openvino

    model = openvino.Core().import_model(
        engine.read_bytes(),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": THREADS,
            "NUM_STREAMS": 1,
        },
    )
    request = model.create_infer_request()
    kept = [np.array(array, order="C") for array in feeds.values()]
    for place, array in enumerate(kept):
        request.set_input_tensor(place, openvino.Tensor(array, shared_memory=True))
    bare = partial(request.infer, share_outputs=True)
    bare.kept = kept  # type: ignore[attr-defined]
    bare()
    return bare


def opened(path: Path, target: str) -> OpenedModel:
    """Compile a model for a target as edgekit does."""
    where, probe = usable(target)
    model = resolve_model(str(path), probe=probe)
    options = CompileOptions(threads=THREADS)
    engines = compile_graphs(model.variant.paths, where, probe, options, progress=Silent())
    feeds = generated_feeds(model.card, 0, 1)["main"][0]
    return OpenedModel(path.stem, str(where), engines["main"].folder, dict(feeds))


def tiny_model(folder: Path) -> Path:
    """One addition of four floats: what a call costs beside the work."""
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"], "add")],
        "tiny",
        [value("x", TensorProto.FLOAT, [1, 4])],
        [value("y", TensorProto.FLOAT, [1, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "tiny.onnx")
    return folder / "tiny.onnx"


def real_models(folder: Path) -> list[Path]:
    """Two real models where the real data is, else the two that are built in."""
    data = Path(os.environ.get("EDGEKIT_REALDATA", ROOT.parent / "shared" / "data")) / "models"
    sources = [data / "fastestdet.pt2", data / "yolox_nano.pt2"]
    if not all(source.is_file() for source in sources):
        sources = [Path("edgekit:digits"), Path("edgekit:shapes")]
    found = []
    for source in sources:
        target = folder / f"{source.stem.replace('edgekit:', '')}.onnx"
        api.export(str(source), target, trust_code=True)
        found.append(target)
    return found


def app(model: Path, shape: str, seconds: float, *options: str) -> str:
    """Run benchmark_app and return what it printed."""
    command = [str(APP), "-m", str(model), "-d", "CPU", "-infer_precision", "f32"]
    # A model with a dynamic axis would otherwise have its inputs filled anew for every inference.
    command += ["-inference_only", "true"]
    command += ["-data_shape", shape, "-t", str(max(1, round(seconds))), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def app_median_ms(printed: str) -> float:
    """The median that benchmark_app prints, with more digits than its report has."""
    number, unit = re.findall(r"Median:\s+([\d.]+) (ms|us)", printed)[0]
    return float(number) / (1000 if unit == "us" else 1)


def app_throughput(printed: str) -> float:
    """Frames a second as benchmark_app prints them."""
    return float(re.findall(r"Throughput:\s+([\d.]+) FPS", printed)[0])


def ours(model: Path, seconds: float, *options: str) -> dict[str, Any]:
    """One entry of `edgekit bench` on OpenVINO, in a process of its own."""
    command = [sys.executable, "-m", "edgekit", "bench", str(model), "--target", "openvino:cpu"]
    command += ["--time", f"{seconds:g}", "--json", "--quiet", "--no-store", *options]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    entry: dict[str, Any] = json.loads(printed)["entries"][0]
    return entry


def alternated(new: Take, base: Take) -> Iterator[float]:
    """Yield log ratios of pairs whose order changes from pair to pair."""
    while True:
        first, second = new(), base()
        yield math.log(first / second)
        second, first = base(), new()
        yield math.log(first / second)


def against_loops(one: OpenedModel, seconds: float, half_width: float) -> FidelityRow:
    """The instrument's median against a bare loop's."""
    row = FidelityRow("a bare loop", f"{one.name} on {one.target}", 0.97, 1.03)
    both = quads(lambda: (measured(one.ours()), looped(one.bare())))
    return settle(row, both, seconds, half_width)


def against_call(one: OpenedModel, seconds: float, half_width: float) -> FidelityRow:
    """What a call through Session.bind adds to the engine's fastest one."""
    row = FidelityRow("the engine's fastest call", f"{one.name} on {one.target}", None, 3.0, " µs")
    medians: list[tuple[float, float]] = []
    both = quads(lambda: (looped(one.ours()), looped(one.bare())), medians)
    settle(row, both, seconds, half_width)
    base = float(np.median([pair[1] for pair in medians])) / 1000
    ends = (row.value, row.value_low, row.value_high)
    row.value, row.value_low, row.value_high = (base * (end - 1) for end in ends)
    row.subject += f" ({base:.2f} µs)"
    return row


def against_sync(
    path: Path, shape: str, stretch: float, seconds: float, half_width: float
) -> FidelityRow:
    """The median of `edgekit bench` against benchmark_app's in its synchronous mode."""
    sync = ("-api", "sync", "-hint", "none", "-nireq", "1", "-nstreams", "1")
    threads = str(THREADS)
    row = FidelityRow("benchmark_app, sync", f"{path.stem} on openvino:cpu", 0.95, 1.05)
    pairs = alternated(
        lambda: float(ours(path, stretch, "--threads", threads)["p50_ms"]),
        lambda: app_median_ms(app(path, shape, stretch, *sync, "-nthreads", threads)),
    )
    return settle(row, pairs, seconds, half_width)


def against_throughput(
    path: Path, shape: str, stretch: float, seconds: float, half_width: float
) -> FidelityRow:
    """Inputs a second of the scenario offline against benchmark_app's throughput mode."""
    row = FidelityRow("benchmark_app, throughput", f"{path.stem} on openvino:cpu", 0.97, None)
    pairs = alternated(
        lambda: float(ours(path, stretch, "--scenario", "offline")["throughput_per_s"]),
        lambda: app_throughput(app(path, shape, stretch, "-hint", "throughput")),
    )
    return settle(row, pairs, seconds, half_width)


def rows(folder: Path, *, seconds: float, quick: bool, only: str) -> Iterator[FidelityRow]:
    """Measure row after row; those of benchmark_app take three times as long."""
    tiny, *real = [tiny_model(folder), *real_models(folder)]
    narrow = 0.05 if quick else 0.01
    engines = ("onnxruntime:cpu", "openvino:cpu")
    for target, path in itertools.product(engines, [tiny, *real]):
        if only in f"bare loop {path.stem} on {target}":
            yield against_loops(opened(path, target), seconds, narrow)
    for target in engines:
        if only in f"call tiny on {target}":
            yield against_call(opened(tiny, target), seconds, narrow)
    if not APP.is_file():
        print(f"No {APP}: benchmark_app is left out.", file=sys.stderr)
        return
    stretch, narrow = (1.0, 0.2) if quick else (2.0, 0.015)
    for path in real:
        (array,) = opened(path, "openvino:cpu").feeds.values()
        shape = f"[{','.join(map(str, array.shape))}]"
        if only in f"benchmark_app sync {path.stem}":
            yield against_sync(path, shape, stretch, 3 * seconds, narrow)
        if only in f"benchmark_app throughput {path.stem}":
            yield against_throughput(path, shape, stretch, 3 * seconds, narrow)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and say whether a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a look of a minute or two")
    parser.add_argument("--minutes", type=float, default=12.0, help="in all, about")
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("-o", "--output", type=Path, help="JSON with the environment")
    given = parser.parse_args(arguments)
    # Eight rows of one share, and four of three.
    seconds = 1.0 if given.quick else given.minutes * 60 / (8 + 4 * 3)
    found: list[FidelityRow] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), seconds=seconds, quick=given.quick, only=given.only):
            print(f"{row.what}, {row.subject}: {row.value:.3f} {row.verdict}", file=sys.stderr)
            found.append(row)
    print(table(found))
    if given.output is not None:
        content = {
            "environment": msgspec.to_builtins(environment(THREADS)),
            "rows": [{**asdict(row), "verdict": row.verdict} for row in found],
        }
        given.output.write_text(json.dumps(content, indent=1))
    return 1 if any(row.verdict == "FAIL" for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
