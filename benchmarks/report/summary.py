"""What is read in ten seconds: which variant to ship, where, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.benchmarks.environment import differences
from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.records import Subject, entry_text
from edgekit.benchmarks.speed import speed
from edgekit.core.certificate import Metric
from edgekit.core.documents import DeployEntry, Recommendation

__all__ = ["Lead", "SummaryRow", "Tile", "alike", "lead", "rows", "side_by_side", "times_as_fast"]


@dataclass(frozen=True)
class Tile:
    """One figure of the summary."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Lead:
    """The summary of one subject.

    Attributes:
        headline: What to do, in one line.
        entry: What is to be shipped; None where nothing is.
        verdict: Of it; FAIL where nothing holds.
        why: Sentences made of figures.
        cautions: Sentences that a reader must not miss.
        tiles: The figures alone.
    """

    headline: str
    entry: DeployEntry | None
    verdict: str
    why: Sequence[str]
    cautions: Sequence[str]
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class SummaryRow:
    """One target and what to ship on it; entry is None where nothing holds."""

    target: str
    entry: DeployEntry | None
    reason: str


def lead(subject: Subject) -> Lead:
    """Word the summary of one bundle or result."""
    if not subject.certified:
        return _uncertified(subject)
    best = subject.best
    entry = subject.entry(best) if best is not None else None
    if best is None or entry is None:
        return Lead(
            "Ship nothing yet: no variant holds",
            None,
            "FAIL",
            [one.reason for one in subject.recommended] or ["Nothing could be made."],
            (),
            (),
        )
    proviso = "" if entry.verdict == "PASS" else ", once its accuracy is checked"
    proviso += "" if best.settled else "; provisionally, because what is fastest is not settled"
    return Lead(
        f"Ship {entry_text(entry)}{proviso}",
        entry,
        entry.verdict,
        _why(subject, entry, best),
        _cautions(subject, entry),
        _tiles(subject, entry),
    )


def rows(subject: Subject) -> list[SummaryRow]:
    """Return what to ship on each target."""
    return [SummaryRow(one.target, subject.entry(one), one.reason) for one in subject.recommended]


def times_as_fast(
    entry: DeployEntry, base: DeployEntry | None
) -> tuple[float, float, float] | None:
    """Return how many times as fast as `base` an entry is at the median, with the ratio's interval.

    Returns:
        Ratio of the medians, lower end, upper end; None where one is not known.
    """
    ratio = None if base is None else speed(entry, base).ratio
    if ratio is None:
        return None
    low = ratio.ratio if ratio.low is None else ratio.low
    high = ratio.ratio if ratio.high is None else ratio.high
    return 1 / ratio.ratio, 1 / high, 1 / low


def alike(subjects: Sequence[Subject]) -> list[str]:
    """Return why latencies of several subjects must not be compared; empty where they may be.

    Figures of unlike machines, or of machines that are not known, are not comparable.
    """
    reasons: list[str] = []
    first = subjects[0]
    for other in subjects[1:]:
        if first.environment is None or other.environment is None:
            nameless = first if first.environment is None else other
            reasons.append(f"The machine behind {nameless.name} is not known.")
            continue
        unlike = differences(first.environment, other.environment)
        if unlike:
            more = f"; {len(unlike) - 3} more" if len(unlike) > 3 else ""
            reasons.append(
                f"{first.name} and {other.name} were measured in unlike environments "
                f"({'; '.join(unlike[:3])}{more})."
            )
    boundaries = sorted(
        {one.latency.boundary for each in subjects for one in each.entries if one.latency}
    )
    if len(boundaries) > 1:
        reasons.append(f"Latencies are taken at different boundaries: {', '.join(boundaries)}.")
    return list(dict.fromkeys(reasons))


def side_by_side(subjects: Sequence[Subject], unlike: Sequence[str]) -> list[str]:
    """Say how the choices of several subjects compare.

    Args:
        subjects: Two or more.
        unlike: Why their latencies must not be compared.
    """
    chosen = [(one, lead(one).entry) for one in subjects]
    held = [(one, entry) for one, entry in chosen if entry is not None and entry.verdict != "FAIL"]
    found: list[str] = []
    timed = [
        (entry.latency.p50_ms, one, entry)
        for one, entry in held
        if entry.latency is not None and entry.latency.p50_ms is not None
    ]
    if len(timed) > 1 and not unlike:
        p50, one, entry = min(timed, key=lambda row: row[0])
        slowest = max(row[0] for row in timed)
        found.append(
            f"Smallest median: {one.name}, {entry_text(entry)}, at {words.milliseconds(p50)}; the "
            f"largest is {slowest / p50:.2f} times as long."
        )
    scored = [(entry.metric, one, entry) for one, entry in held if entry.metric is not None]
    kinds = {(metric.name, metric.n) for metric, _, _ in scored}
    if len(scored) > 1 and len(kinds) == 1:
        metric, one, entry = max(scored, key=lambda row: row[0].value)
        found.append(
            f"Most accurate: {one.name}, {entry_text(entry)}, with {metric.name} "
            f"{words.metric_text(metric)} on {words.count(metric.n)} images."
        )
    elif len(kinds) > 1:
        several = ", ".join(f"{name} on {words.count(n)} images" for name, n in sorted(kinds))
        found.append(f"Their accuracy was scored differently and is not compared: {several}.")
    nothing = [one.name for one, entry in chosen if one.certified and entry is None]
    if nothing:
        found.append(f"Nothing holds in {', '.join(nothing)}.")
    return found


def _uncertified(subject: Subject) -> Lead:
    """A result of `bench` or `eval`: figures, and nobody who judged them."""
    timed = [one for one in subject.entries if one.latency and one.latency.p50_ms is not None]
    what = "A measurement" if subject.kind == "bench" else "A score"
    caution = f"{what} and no certificate: nothing here says whether a variant may be shipped."
    cautions = [f"{caution} edgekit deploy does."]
    if timed:
        entry = min(timed, key=lambda one: (one.latency and one.latency.p50_ms) or 0.0)
        headline = f"Smallest median: {entry_text(entry)}"
    elif subject.entries:
        entry = subject.entries[0]
        headline = f"Scored: {entry_text(entry)}"
    else:
        return Lead("Nothing was measured", None, "UNVERIFIED", (), cautions, ())
    why = [sentence for sentence in (_speed(subject, entry), _accuracy(subject, entry)) if sentence]
    return Lead(headline, entry, "UNVERIFIED", why, cautions, _tiles(subject, entry))


def _why(subject: Subject, entry: DeployEntry, choice: Recommendation) -> list[str]:
    found = [_speed(subject, entry), _accuracy(subject, entry), _judged(entry), choice.reason]
    return [sentence for sentence in found if sentence]


def _speed(subject: Subject, entry: DeployEntry) -> str:
    latency = entry.latency
    if latency is None or latency.p50_ms is None:
        return ""
    ends = words.interval(latency)
    text = f"It answers in {words.milliseconds(latency.p50_ms)} at the median"
    text += f" (95 % interval {ends})" if ends else ""
    base = subject.baseline(entry)
    ratio = times_as_fast(entry, base)
    if base is None or base is entry or ratio is None:
        return f"{text}."
    value, low, high = ratio
    found = speed(entry, base)
    if found.verdict == "SAME":
        return f"{text}, as fast as fp32 there ({value:.2f} times, {low:.2f}–{high:.2f})."
    if found.verdict == "SLOWER":
        long = f"{1 / value:.2f} times as long as fp32 there ({1 / high:.2f}–{1 / low:.2f})"
        return f"{text}, {long}."
    times = f"{value:.2f} times as fast as fp32 there ({low:.2f}–{high:.2f})"
    if found.verdict == "FASTER":
        return f"{text}, {times}."
    return f"{text}. Whether it is faster than fp32 there is not settled: {found.reason}."


def _accuracy(subject: Subject, entry: DeployEntry) -> str:
    metric = entry.metric
    if metric is None:
        return _agrees(entry)
    text = f"Its {metric.name} is {words.metric_text(metric)} on {words.count(metric.n)} images"
    if metric.drop is None:
        return f"{text}."
    reference = subject.reference_metric
    if reference is not None:
        text += f", against the reference's {words.fraction(reference.value)}"
    return f"{text}: {_drop(metric, entry)}."


def _drop(metric: Metric, entry: DeployEntry) -> str:
    assert metric.drop is not None, "asked for what has a drop"
    allowed = entry.checks["metric"].limit if "metric" in entry.checks else None
    bound = "" if allowed is None else f"; {allowed:g} allowed"
    if abs(metric.drop) < 5e-5 and (metric.drop_low, metric.drop_high) == (0, 0):
        return f"no drop at all{bound}"
    ends = words.between(
        words.points(metric.drop_low, sign=True), words.points(metric.drop_high, sign=True)
    )
    word = "drop" if metric.drop >= 0 else "gain"
    value = words.points(abs(metric.drop))
    about = f"95 % interval of the drop {ends}" if ends else ""
    return f"a {word} of {value} points ({about}{bound})"


def _agrees(entry: DeployEntry) -> str:
    check = entry.checks.get("agreement")
    if check is None or check.value is None:
        return ""
    return f"{100 * check.value:.1f} % of its answers are the reference's."


def _judged(entry: DeployEntry) -> str:
    checks = list(entry.checks.values())
    if not checks:
        return ""
    passed = sum(check.verdict == "PASS" for check in checks)
    return (
        f"All {passed} checks pass."
        if passed == len(checks)
        else f"{passed} of {len(checks)} checks pass."
    )


def _cautions(subject: Subject, entry: DeployEntry) -> list[str]:
    found = []
    for name, check in entry.checks.items():
        if check.verdict != "PASS":
            found.append(f"{check.verdict}: {words.CHECK_TITLES[name][0].lower()}. {check.reason}")
        elif check.proven is False:
            found.append(f"Not proven: {words.CHECK_TITLES[name][0].lower()}. {check.reason}")
    if entry.latency is None or entry.latency.p50_ms is None:
        found.append("Its latency is not known.")
    if not entry.valid:
        reasons = " ".join(entry.reasons) or "The reason is not told."
        found.append(f"The measurement is INVALID, so take its latency with care. {reasons}")
    if subject.damage:
        found.append("The bundle is damaged: do not ship this copy.")
    return found


def _tiles(subject: Subject, entry: DeployEntry) -> list[Tile]:
    found: list[Tile] = []
    latency, metric = entry.latency, entry.metric
    if latency is not None and latency.p50_ms is not None:
        ratio = times_as_fast(entry, subject.baseline(entry))
        note = f"× {ratio[0]:.2f} fp32" if ratio and subject.baseline(entry) is not entry else ""
        found.append(Tile("Median latency", words.milliseconds(latency.p50_ms), note))
    if metric is not None:
        drop = "" if metric.drop is None else f"drop {words.points(metric.drop)} points"
        found.append(Tile(metric.name, words.fraction(metric.value), drop))
    elif "agreement" in entry.checks and entry.checks["agreement"].value is not None:
        found.append(Tile("Agreement", words.fraction(entry.checks["agreement"].value)))
    if entry.size_bytes:
        base = subject.baseline(entry)
        same = base is None or base.size_bytes in (0, entry.size_bytes)
        note = "" if same or base is None else f"{entry.size_bytes / base.size_bytes:.0%} of fp32"
        found.append(Tile("Size", words.size(entry.size_bytes), note))
    if entry.rss_peak_bytes:
        found.append(Tile("Peak memory", words.size(entry.rss_peak_bytes)))
    return found
