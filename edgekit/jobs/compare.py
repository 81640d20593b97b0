"""`edgekit compare`: one stored result against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.benchmarks.environment import differences
from edgekit.benchmarks.ratio import MARGIN, judge
from edgekit.benchmarks.stored_ratio import (
    DRIFT,
    DRIFT_VIRTUAL,
    Figure,
    figure_of,
    stated_figure,
    stored_ratio,
)
from edgekit.core.documents import BenchEntry, ComparedEntry, CompareDocument
from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress
from edgekit.jobs.results.deciding import compare_document, side_name
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
    sides = (
        (base.document.entries[places[0]], base.samples.get(places[0])),
        (new.document.entries[places[1]], new.samples.get(places[1])),
    )
    one, other = sides[0][0], sides[1][0]
    figures = [_figure(entry, raw, confidence) for entry, raw in sides]
    reasons = [
        f"Not measured in turns: the interval allows for a drift of {drift:.0%}. {_SHARPER}",
    ]
    for name, (entry, _) in zip(("base", "new result"), sides, strict=True):
        if not entry.valid:
            reasons.append(
                f"The {name} is INVALID, so nothing is proven: {' '.join(entry.reasons)}"
            )
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    if figures[0] is None or figures[1] is None:
        reasons.append("One of the two has no figure to compare.")
    else:
        found = stored_ratio(figures[0], figures[1], drift)
        ratio, low, high = found.ratio, found.low, found.high
        if low is None:
            reasons.append("One of the two has no interval, so nothing is proven.")
    if not (one.valid and other.valid):
        # Its drift has no bound: gates read the interval, and must not read a proof out of it.
        low = high = None
    return ComparedEntry(
        base=_name(one),
        new=_name(other),
        boundary=one.boundary,
        scenario=one.scenario,
        verdict=judge(low, high, margin),
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        confidence=confidence,
        paired=False,
        base_p50_ms=one.p50_ms,
        new_p50_ms=other.p50_ms,
        base_throughput_per_s=one.throughput_per_s,
        new_throughput_per_s=other.throughput_per_s,
        base_n=one.n,
        new_n=other.n,
        reasons=tuple(reasons),
    )


def _figure(entry: BenchEntry, raw: RawSamples | None, confidence: float) -> Figure | None:
    """A time whose ratio is the comparison's: the median latency, or the time of one input."""
    if entry.scenario == _OFFLINE:
        rate = entry.throughput_per_s
        if raw is not None and raw.counts.size:
            return figure_of(raw.samples_ns / raw.counts / entry.batch / 1e9, confidence)
        if not rate:
            return None
        low, high = entry.throughput_low_per_s, entry.throughput_high_per_s
        return stated_figure(
            1 / rate, 1 / high if high else None, 1 / low if low else None, confidence
        )
    if not entry.p50_ms:
        return None
    if raw is not None:
        return figure_of(raw.samples_ns / 1e6, confidence)
    return stated_figure(entry.p50_ms, entry.p50_low_ms, entry.p50_high_ms, confidence)


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
