"""The report that OpenVINO's benchmark_app writes with -json_stats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from edgekit.benchmarks.offline import BOUNDARY as OFFLINE
from edgekit.core.documents import BenchEntry
from edgekit.core.errors import BadInput
from edgekit.core.texts import shown, whole_number

__all__ = ["benchmark_app_entry", "benchmark_app_model", "is_benchmark_app"]

_RESULTS, _SETUP, _OPTIONS = "execution_results", "configuration_setup", "cmd_options"
_STATED = (
    "Stated by benchmark_app without raw samples: no interval can be given, and its latencies are "
    "rounded to 0.01 ms."
)
_COMPUTES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


def is_benchmark_app(content: object) -> bool:
    """Whether a JSON document is a report of benchmark_app."""
    return (
        isinstance(content, dict)
        and all(isinstance(content.get(key), dict) for key in (_RESULTS, _SETUP))
        and isinstance(content.get(_OPTIONS, {}), dict)
    )


def benchmark_app_model(content: Mapping[str, Any]) -> str:
    """The model's file as it was given to benchmark_app."""
    return str(content.get(_OPTIONS, {}).get("-m", ""))


def benchmark_app_entry(
    content: Mapping[str, Any], *, target: str, variant: str, place: str
) -> BenchEntry:
    """Return the one entry of a report.

    Args:
        content: What the file holds.
        target: Where it ran; empty takes the device that the report names.
        variant: What ran.
        place: The file, for messages.

    Raises:
        BadInput: A figure is missing or is none.
    """
    results, setup = content[_RESULTS], content[_SETUP]
    options = content.get(_OPTIONS, {})

    def number(name: str) -> float:
        try:
            value = float(results[name])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(
                f"{place}: {name!r} of {_RESULTS} is {shown(results.get(name))}, not a number.",
                hint="Write the report again with benchmark_app -json_stats.",
            ) from error
        if not math.isfinite(value) or value < 0:
            raise BadInput(f"{place}: {name!r} of {_RESULTS} is {value}.")
        return value

    offline = str(setup.get("API", "")).lower() != "sync"
    device = str(setup.get("target device", "CPU")).lower()
    return BenchEntry(
        target=target or f"openvino:{device}",
        variant=variant,
        compute=_COMPUTES.get(str(options.get("-infer_precision", "")), ""),
        executed_precision="",
        scenario="offline" if offline else "single-stream",
        boundary=OFFLINE if offline else "latency.host",
        valid=False,
        reasons=(_STATED,),
        n=int(number("total number of iterations")),
        p50_ms=None if offline else number("latency (ms)"),
        throughput_per_s=number("throughput"),
        compile_ms=number("compile model time (ms)"),
        first_ms=number("first inference time (ms)"),
        batch=_whole(setup.get("batch size")) or 1,
        threads=_whole(options.get("-nthreads")),
        streams=_whole(setup.get("number of CPU streams")) if offline else None,
        concurrency=_whole(setup.get("number of parallel infer requests")) or 1,
        tool="benchmark_app",
    )


def _whole(value: Any) -> int | None:
    return whole_number(str(value)) or None
