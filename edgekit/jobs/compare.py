"""`edgekit compare`: one stored result against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.benchmarks.environment import differences
from edgekit.benchmarks.ratio import MARGIN, RatioInterval
from edgekit.benchmarks.stored_ratio import (
    DRIFT,
    DRIFT_VIRTUAL,
    Figure,
    mean_figure,
    median_figure,
    stated_figure,
    stored_ratio,
)
from edgekit.core.documents import BenchEntry, ComparedEntry, CompareDocument
from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress
from edgekit.jobs.results.deciding import compare_document, judged, side_name
from edgekit.jobs.results.raw import RawSamples, StoredResult
from edgekit.jobs.results.reading import read_result

__all__ = ["run"]

# What two entries that are one and the same have in common.
_KEYS = (
    "target", "variant", "compute", "scenario", "boundary", "batch", "threads", "streams",
    "concurrency", "rate",
)  # fmt: skip
# What may differ where there is one entry on each side: it is what the user wants to know.
_FREE = ("target", "variant", "compute")
_UNSAID = ("threads", "streams", "concurrency")
# Observed keys whose change is worth a warning; the rest (time, free memory) always differs.
_WATCHED = ("clock_mhz", "temperature_c", "load_average", "throttle_count", "cpu_limit")
_OFFLINE = "offline"
# One inference after the other: what is done in a second says how long one takes on the average.
_ONE_BY_ONE = "single-stream"
_SHARPER = "`edgekit bench --against` is sharper."


def run(
    base: str,
    new: str,
    *,
    drift: float | None,
    margin: float = MARGIN,
    confidence: float,
    progress: Progress,
) -> CompareDocument:
    """See edgekit.api.compare."""
    if not (0 <= (drift or 0) < 1 and 0 < margin < 1 and 0.5 <= confidence < 1):
        raise BadInput(
            "A drift is from 0 to below 1, a margin above 0, a confidence from 0.5 to below 1; "
            f"got {drift or 0:g}, {margin:g}, {confidence:g}."
        )
    one, other = read_result(base), read_result(new)
    for damage in (*one.damage, *other.damage):
        progress.note(damage)
    unlike = differences(one.document.environment, other.document.environment)
    # What another tool measured says nothing of its machine: it is said, and is the user's to know.
    unknown = [
        f"machine: that of {result.name} is not known"
        for result in (one, other)
        if not result.document.environment.identity
    ]
    if unlike and not unknown:
        raise BadInput(
            f"{base} and {new} were measured on unlike machines: {'; '.join(unlike)}.",
            hint="Measure both on one machine: edgekit bench A --against B.",
        )
    if drift is None:
        drift = _usual_drift(one, other)
    pairs, missing, differing = _pairs(one, other)
    entries = [
        _entry(one, other, places, drift=drift, margin=margin, confidence=confidence)
        for places in pairs
    ]
    return compare_document(
        base,
        new,
        entries,
        margin=margin,
        differences=(*unknown, *differing, *([] if unknown else _observed(one, other))),
        missing=missing,
    )


def _usual_drift(base: StoredResult, new: StoredResult) -> float:
    """What is allowed for where the user says nothing; a machine that is not known is the worst."""
    known = [result.document.environment.observed.get("virtual") for result in (base, new)]
    return DRIFT if known == [False, False] else DRIFT_VIRTUAL


def _pairs(
    base: StoredResult, new: StoredResult
) -> tuple[list[tuple[int, int]], list[str], list[str]]:
    """Places of the entries that belong together, what has no partner, and what differs."""
    ours = {_key(entry): place for place, entry in enumerate(base.document.entries)}
    theirs = {_key(entry): place for place, entry in enumerate(new.document.entries)}
    pairs = [(place, theirs[key]) for key, place in ours.items() if key in theirs]
    if pairs:
        missing = [
            f"Only {result.name} has {_name(result.document.entries[place])}."
            for result, own, foreign in ((base, ours, theirs), (new, theirs, ours))
            for key, place in own.items()
            if key not in foreign
        ]
        return pairs, missing, []
    loose = _loose_pairs(base.document.entries, new.document.entries)
    if loose:
        said = [
            f"{key}: {getattr(base.document.entries[a], key)}, "
            f"{getattr(new.document.entries[b], key)}"
            for a, b in loose
            for key in _KEYS
            if getattr(base.document.entries[a], key) != getattr(new.document.entries[b], key)
        ]
        return loose, [], list(dict.fromkeys(said))
    if len(ours) != 1 or len(theirs) != 1:
        raise BadInput(
            f"{base.name} and {new.name} have no entry of the same conditions in common: "
            f"{_names(base)}; {_names(new)}.",
            hint="Entries are alike in " + ", ".join(_KEYS) + ".",
        )
    one, other = base.document.entries[0], new.document.entries[0]
    refused = [
        f"{key}: {getattr(one, key)}, {getattr(other, key)}"
        for key in _KEYS
        if key not in _FREE and not _alike(one, other, key)
    ]
    raise BadInput(
        f"{base.name} and {new.name} cannot be compared, for they were measured unlike: "
        f"{'; '.join(refused)}.",
        hint="Measure both in the same way.",
    )


def _loose_pairs(base: Sequence[BenchEntry], new: Sequence[BenchEntry]) -> list[tuple[int, int]]:
    """Pair entries that differ in target, variant and compute alone, where there is no choice."""
    fitting = [
        (a, b)
        for a, one in enumerate(base)
        for b, other in enumerate(new)
        if all(_alike(one, other, key) for key in _KEYS if key not in _FREE)
    ]
    firsts, seconds = [a for a, _ in fitting], [b for _, b in fitting]
    return [(a, b) for a, b in fitting if firsts.count(a) == 1 and seconds.count(b) == 1]


def _alike(one: BenchEntry, other: BenchEntry, key: str) -> bool:
    values = getattr(one, key), getattr(other, key)
    # Another tool may not say what it chose.
    unsaid = one.tool != other.tool and key in _UNSAID and None in values
    return bool(values[0] == values[1]) or unsaid


def _entry(
    base: StoredResult,
    new: StoredResult,
    places: tuple[int, int],
    *,
    drift: float,
    margin: float,
    confidence: float,
) -> ComparedEntry:
    one, other = base.document.entries[places[0]], new.document.entries[places[1]]
    ours = _times(one, base.samples.get(places[0]), confidence)
    theirs = _times(other, new.samples.get(places[1]), confidence)
    invalid = [
        f"The {name} is INVALID, so nothing is proven: {' '.join(entry.reasons)}"
        for name, entry in (("base", one), ("new result", other))
        if not entry.valid
    ]
    reasons = [f"Not measured in turns: the interval allows for a drift of {drift:.0%}. {_SHARPER}"]
    typical = _ratio(ours.typical, theirs.typical, drift)
    mean = _ratio(ours.mean, theirs.mean, drift)
    if one.scenario == _OFFLINE:
        typical, mean = mean, None
    if typical is None:
        reasons.append("One of the two has no figure to compare.")
    elif typical.low is None:
        reasons.append("One of the two has no interval, so nothing is proven.")
    if invalid:
        # Its drift has no bound: nobody must read a proof out of the interval.
        typical, mean = _bare(typical), _bare(mean)
    return ComparedEntry(
        base=_name(one),
        new=_name(other),
        boundary=one.boundary,
        scenario=one.scenario,
        confidence=confidence,
        paired=False,
        base_p50_ms=ours.p50_ms,
        new_p50_ms=theirs.p50_ms,
        base_mean_ms=None if mean is None else ours.mean_ms,
        new_mean_ms=None if mean is None else theirs.mean_ms,
        base_throughput_per_s=ours.throughput_per_s,
        new_throughput_per_s=theirs.throughput_per_s,
        base_n=one.n,
        new_n=other.n,
        **judged(typical, mean, margin=margin, invalid=invalid, reasons=reasons),
    )


@dataclass(frozen=True)
class _Times:
    """Times of one entry whose ratios are the comparison's, and its figures as they are shown.

    Attributes:
        typical: Median, ms.
        mean: Mean time of one inference, ms; for offline, of one input.
        throughput_per_s: Inputs a second.
    """

    typical: Figure | None
    mean: Figure | None
    throughput_per_s: float | None

    @property
    def p50_ms(self) -> float | None:
        return None if self.typical is None else self.typical.value

    @property
    def mean_ms(self) -> float | None:
        return None if self.mean is None else self.mean.value


def _times(entry: BenchEntry, raw: RawSamples | None, confidence: float) -> _Times:
    """The figures of the raw samples where there are some, else those that the document states."""
    offline = entry.scenario == _OFFLINE
    rate, low, high = (
        entry.throughput_per_s, entry.throughput_low_per_s, entry.throughput_high_per_s
    )  # fmt: skip
    if raw is not None and offline == bool(raw.counts.size):
        counts = raw.counts * entry.batch if offline else None
        mean = mean_figure(raw.samples_ns, confidence, counts)
        if offline:
            return _Times(None, mean, 1e3 / mean.value)
        return _Times(median_figure(raw.samples_ns, confidence), mean, rate)
    if offline:
        ends = (1e3 / high if high else None, 1e3 / low if low else None)
        return _Times(None, stated_figure(1e3 / rate, *ends, confidence) if rate else None, rate)
    stated = None
    if rate and low and high and entry.scenario == _ONE_BY_ONE:
        batch = 1e3 * entry.batch
        stated = stated_figure(batch / rate, batch / high, batch / low, confidence)
    p50 = entry.p50_ms
    typical = stated_figure(p50, entry.p50_low_ms, entry.p50_high_ms, confidence) if p50 else None
    return _Times(typical, stated, rate)


def _ratio(base: Figure | None, new: Figure | None, drift: float) -> RatioInterval | None:
    if base is None or new is None or not base.usable or not new.usable:
        return None
    return stored_ratio(base, new, drift)


def _bare(found: RatioInterval | None) -> RatioInterval | None:
    return None if found is None else RatioInterval(ratio=found.ratio)


def _observed(base: StoredResult, new: StoredResult) -> list[str]:
    """What was observed to differ: it warns and refuses nothing."""
    one: Mapping[str, object] = base.document.environment.observed
    other: Mapping[str, object] = new.document.environment.observed
    return [
        f"{key}: {one.get(key)}, {other.get(key)}"
        for key in _WATCHED
        if one.get(key) != other.get(key)
    ]


def _key(entry: BenchEntry) -> tuple[object, ...]:
    return tuple(getattr(entry, key) for key in _KEYS)


def _name(entry: BenchEntry) -> str:
    return side_name(entry.variant, entry.target, entry.compute, entry.batch)


def _names(result: StoredResult) -> str:
    return f"{result.name} has " + ", ".join(
        f"{_name(entry)} ({entry.scenario}, {entry.boundary})" for entry in result.document.entries
    )
