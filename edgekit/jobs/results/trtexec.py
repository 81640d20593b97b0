"""The times that NVIDIA's trtexec writes with --exportTimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.rate import rate_interval
from edgekit.benchmarks.summary import half_width, summarise
from edgekit.core.documents import BenchEntry
from edgekit.core.errors import BadInput
from edgekit.core.texts import shown
from edgekit.jobs.results.raw import RawSamples

__all__ = ["is_trtexec", "trtexec_entries"]

# The names of TensorRT 8.2 to 11 first, those of 7 and 8.0 after.
_COPY_IN = ("h2dMs", "inMs")
_COMPUTE = ("computeMs",)
_COPY_OUT = ("d2hMs", "outMs")
_WHOLE = ("latencyMs",)
_OVERLAP = (
    "trtexec enqueues the next inference before the last one is done, so waiting in line is in no "
    "sample and neighbours overlap."
)
_WITHOUT_COPIES = (
    "The times hold no copies to and from the device (trtexec 11 leaves them out unless it is run "
    "with --includeDataTransfers), so there is no latency.host."
)


def is_trtexec(content: object) -> bool:
    """Whether a JSON document is a list of trtexec's times."""
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and any(name in content[0] for name in _COMPUTE)
    )


def trtexec_entries(
    content: Sequence[Mapping[str, Any]], *, target: str, variant: str, place: str
) -> list[tuple[BenchEntry, RawSamples]]:
    """Return an entry for the time on the device, and one with copies where they were timed.

    Args:
        content: What the file holds, one mapping an inference.
        target: Where it ran.
        variant: What ran.
        place: The file, for messages.

    Raises:
        BadInput: A time is missing or is none.
    """
    compute = _column(content, _COMPUTE, place)
    assert compute is not None
    found = [_entry(compute, "latency.device", target, variant, (_OVERLAP,))]
    copies = [_column(content, names, place, optional=True) for names in (_COPY_IN, _COPY_OUT)]
    whole = _column(content, _WHOLE, place, optional=True)
    if whole is not None and any(one is not None and one.any() for one in copies):
        found.append(_entry(whole, "latency.host", target, variant, (_OVERLAP,)))
    else:
        found[0] = _entry(compute, "latency.device", target, variant, (_OVERLAP, _WITHOUT_COPIES))
    return found


def _entry(
    samples: npt.NDArray[np.int64], boundary: str, target: str, variant: str, reasons: Sequence[str]
) -> tuple[BenchEntry, RawSamples]:
    latency, missing = summarise(samples, boundary)
    rate = rate_interval(samples)
    entry = BenchEntry(
        target=target,
        variant=variant,
        compute="",
        executed_precision="",
        scenario="single-stream",
        # Boundary, n and percentiles have the same names in both.
        **msgspec.structs.asdict(latency),
        # Nothing is known of warm-up, steadiness and the machine's load.
        valid=False,
        reasons=("Measured by trtexec, under conditions that its file does not say.", *reasons),
        throughput_per_s=rate.value,
        missing=missing,
        half_width=half_width(latency.p50_ms, latency.p50_low_ms, latency.p50_high_ms),
        tool="trtexec",
    )
    none = np.zeros(0, np.int64)
    return entry, RawSamples(samples, np.array([samples.size], np.int64), none, none, {})


def _column(
    content: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    place: str,
    *,
    optional: bool = False,
) -> npt.NDArray[np.int64] | None:
    name = next((one for one in names if one in content[0]), "")
    if not name and optional:
        return None
    values = [one.get(name) if isinstance(one, dict) else None for one in content]
    for number, value in enumerate(values):
        # bool is an int to Python; NaN fails both comparisons.
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise BadInput(
                f"{place}: the time {name or names[0]} of inference {number + 1} is "
                f"{shown(value)}.",
                hint="Write the file again with trtexec --exportTimes.",
            )
    return np.round(np.array(values, np.float64) * 1e6).astype(np.int64)
