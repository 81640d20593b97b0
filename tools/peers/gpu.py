"""What edgekit measures on this machine's NVIDIA GPUs, and what it skips and why.

    python tools/peers/gpu.py [--models DIR] [--seconds S] [-o DIR]

Needs no network. Without --models it exports the two built-in models, which takes torch; DIR holds
ONNX files made elsewhere (a Jetson has no torch): NAME.onnx, and NAME.fp16.onnx and
NAME.int8-s8s8.onnx beside it where there are such. Every target that this machine lacks is named
with its reason. The status is 1 where something failed, 0 where everything was measured or skipped.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgekit import api
from edgekit.core.errors import EdgekitError
from edgekit.core.runtime import Probe
from edgekit.runtimes.catalogue import load_runtime, parse_target

TARGETS = ("tensorrt:cuda", "tensorrt-rtx:cuda", "onnxruntime:cuda")
BATCHES = (1, 8)
BUILT_IN = ("digits", "shapes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what can be measured, and say what cannot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args(arguments)
    probes = {text: _probe(text) for text in TARGETS}
    for text, probe in probes.items():
        print(f"{text}: {probe.device if probe.usable else f'skipped: {probe.reason}'}")
    usable = {text: probe for text, probe in probes.items() if probe.usable}
    if not usable:
        print("Nothing was measured.")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = given.models or _built_in(Path(name))
        print("| model | target | batch | host p50 (ms) | device p50 (ms) | per s, offline |")
        print("| --- | --- | --- | --- | --- | --- |")
        for text, probe in usable.items():
            for model in _models(folder, probe):
                for batch in BATCHES:
                    failed += _row(model, text, batch, given.seconds, given.output)
    return 1 if failed else 0


def _probe(text: str) -> Probe:
    target = parse_target(text)
    return load_runtime(target.runtime).probe(target)


def _built_in(folder: Path) -> Path:
    """The built-in models in every precision."""
    if importlib.util.find_spec("torch") is None:
        print("Skipped: exporting the built-in models takes torch; give --models DIR.")
        return folder
    for name in BUILT_IN:
        graph, data = folder / f"{name}.onnx", folder / f"{name}-data"
        api.export(f"edgekit:{name}", graph)
        api.data(name, data)
        api.quantize(str(graph), folder / f"{name}.fp16.onnx", precision="fp16")
        output = folder / f"{name}.int8-s8s8.onnx"
        api.quantize(str(graph), output, data=data, dialect="s8s8")
    return folder


def _models(folder: Path, probe: Probe) -> Iterator[Path]:
    """The graphs that a target takes."""
    for path in sorted(folder.glob("*.onnx")):
        int8 = "int8-" in path.name
        if not int8 or path.name.endswith(f"int8-{probe.dialect}.onnx"):
            yield path


def _row(model: Path, target: str, batch: int, seconds: float, output: Path | None) -> int:
    """Measure one model at one batch and print it; 1 where it failed."""
    keep = None if output is None else output / f"{model.stem}-{target.replace(':', '-')}-{batch}"
    try:
        latency = api.bench(
            str(model),
            targets=[target],
            boundary=["latency.host", "latency.device"],
            batch=batch,
            time=seconds,
            output=keep,
            store=False,
        )
    except EdgekitError as error:
        print(f"| {model.stem} | {target} | {batch} | {error} | | |")
        return 1
    try:
        offline = api.bench(
            str(model),
            targets=[target],
            scenario="offline",
            batch=batch,
            time=seconds,
            store=False,
        )
        rate = f"{offline.entries[0].throughput_per_s:.0f}"
    except EdgekitError as error:
        rate = f"skipped: {error.message}"
    figures = [f"{one.p50_ms:.3f}" if one.p50_ms else "–" for one in latency.entries]
    figures += ["–"] * (2 - len(figures))
    print(f"| {model.stem} | {target} | {batch} | {' | '.join(figures)} | {rate} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
