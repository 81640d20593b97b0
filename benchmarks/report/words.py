"""Figures as a reader sees them."""

from __future__ import annotations

import math

from edgekit.core.certificate import Check, Metric
from edgekit.core.measurement import Latency

__all__ = [
    "CHECK_TITLES",
    "NONE",
    "between",
    "clean",
    "count",
    "figure",
    "fraction",
    "interval",
    "limit",
    "metric_text",
    "milliseconds",
    "points",
    "quantity",
    "short",
    "size",
]

NONE = "–"
_MINUS = "\N{MINUS SIGN}"
_UNITS = ("bytes", "kB", "MB", "GB", "TB")

# Check to its title and to what it asks.
CHECK_TITLES = {
    "finite": ("Finite", "Is every number of every answer a number?"),
    "parity": ("Parity", "How close are the raw outputs to the reference's?"),
    "metric": ("Metric", "How much accuracy is lost on the same images?"),
    "agreement": ("Agreement", "How often is the answer the reference's?"),
    "confidence_shift": ("Confidence", "How far do the scores move?"),
    "placement": ("Placement", "Did it run where and in what precision it should?"),
    "repeatable": ("Repeatable", "Does the same input give the same answer twice?"),
    "shapes": ("Shapes", "Does the exported graph answer as its source at several sizes?"),
}


def clean(text: object) -> str:
    """Return a text from anywhere without characters that no page can hold."""
    whole = str(text).encode("utf-8", "replace").decode()
    return "".join(
        letter if letter.isprintable() or letter in " \n\t" or ord(letter) > 159 else "\ufffd"
        for letter in whole
    )


def short(text: str, most: int) -> str:
    """Return a text of at most so many letters, its end left out where it is longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def milliseconds(value: float | None, unit: str = " ms") -> str:
    """Three digits that count: "0.0386 ms", "5.21 ms", "1,240 ms"."""
    return f"{_digits(value, 3)}{unit}" if _known(value) else NONE


def fraction(value: float | None) -> str:
    """A metric, 0 to 1: "0.342"."""
    return _signed(f"{value:.3f}") if value is not None and math.isfinite(value) else NONE


def points(value: float | None, *, sign: bool = False) -> str:
    """A fraction as points (hundredths): "0.25"."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"
    return _signed("0.00" if float(text) == 0 else text)


def between(low: str, high: str) -> str:
    """The two ends of an interval; "to" where a minus sign would make a dash unreadable."""
    if NONE in (low, high):
        return ""
    signed = low.startswith((_MINUS, "+")) or high.startswith((_MINUS, "+"))
    return f"{low} to {high}" if signed else f"{low}–{high}"


def interval(latency: Latency | None) -> str:
    """The interval of a median: "5.10–5.33"."""
    if latency is None:
        return ""
    return between(milliseconds(latency.p50_low_ms, ""), milliseconds(latency.p50_high_ms, ""))


def size(value: float | None) -> str:
    """Bytes in powers of a thousand: "3.71 MB"."""
    if value is None:
        return NONE
    power = 0
    while abs(value) >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{_digits(value, 3)} {_UNITS[power]}"


def count(value: float | None) -> str:
    """A whole number: "12,345"."""
    return NONE if value is None else f"{value:,.0f}"


def figure(name: str, check: Check) -> str:
    """The figure of a check with its unit."""
    return quantity(name, check.value)


def limit(name: str, check: Check) -> str:
    """The limit of a check, and from which side it binds."""
    side = "at least" if name in ("parity", "agreement", "placement", "shapes") else "at most"
    text = quantity(name, check.limit)
    return text if text == NONE else f"{side} {text}"


def quantity(name: str, value: float | None) -> str:
    """A figure in the unit of its check."""
    if value is None:
        return NONE
    if not math.isfinite(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    text = {
        "parity": f"{value:.1f} dB",
        "shapes": f"{value:.1f} dB",
        "metric": f"{0.0 if abs(value) < 0.005 else value:.2f} points",
        "agreement": f"{value:.3f}",
        "confidence_shift": f"{value:.4f}",
        "placement": f"{100 * value:.1f} %",
        "finite": f"{value:g}",
    }.get(name, f"{value:g}")
    return _signed(text)


def metric_text(metric: Metric | None) -> str:
    """A metric with its interval: "0.342 (0.300–0.380)"."""
    if metric is None:
        return NONE
    return f"{fraction(metric.value)} ({between(fraction(metric.low), fraction(metric.high))})"


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _digits(value: float | None, digits: int) -> str:
    """So many digits that count, never in powers of ten."""
    assert value is not None, "asked for what is known"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return _signed(f"{value:,.{min(places, 6)}f}")


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)
