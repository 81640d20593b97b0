"""The demo so far as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, get_args

from edgekit.core.documents import DemoDocument, Distribution
from edgekit.core.requires import requires
from edgekit.pipeline.states import SourceState

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["load_metrics", "metrics_text"]

_PREFIX = "edgekit_demo"
_QUANTILES = {"0.5": "p50_ms", "0.9": "p90_ms", "0.99": "p99_ms"}
# Prefix of the key of a document, and what it counts.
_COUNTERS = {
    "frames": "Frames that went through the model.",
    "captured": "Frames that the source gave.",
    "dropped": "Frames that were captured and skipped, because a newer one was there.",
    "not_shown": "Frames that were answered and that nothing showed.",
    "detections": "Objects found.",
}


def load_metrics() -> None:
    """Import what the metrics are written with.

    Raises:
        MissingLibrary: prometheus-client is not installed.
    """
    with requires("prometheus_client", extra="demo", why="to serve the page's metrics"):
        import prometheus_client  # noqa: F401


def metrics_text(document: DemoDocument, viewers: int) -> tuple[bytes, str]:
    """Return the text and its content type.

    Args:
        document: The demo so far.
        viewers: Pages that look on.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    class Collector:
        def collect(self) -> Iterable[Metric]:
            return _families(document, viewers)

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _families(document: DemoDocument, viewers: int) -> Iterator[Metric]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        InfoMetricFamily,
    )

    for key, text in _COUNTERS.items():
        yield CounterMetricFamily(f"{_PREFIX}_{key}", text, value=getattr(document, key))
    rates = GaugeMetricFamily(
        f"{_PREFIX}_frames_per_second", "Over the last two seconds.", labels=["at"]
    )
    for at in ("camera", "inference", "shown"):
        rates.add_metric([at], getattr(document.rates, at))
    yield rates
    yield _summary("stage_seconds", "Time of a frame in a stage.", "stage", document.stages)
    ages = {"result": document.frame_age_ms, "display": document.shown_age_ms}
    yield _summary("frame_age_seconds", "From the capture to the result, or display.", "at", ages)
    state = GaugeMetricFamily(
        f"{_PREFIX}_source_state", "1 for the one it is in.", labels=["state"]
    )
    for name in get_args(SourceState):
        state.add_metric([name], float(document.source.state == name))
    yield state
    yield GaugeMetricFamily(f"{_PREFIX}_viewers", "Pages that look on.", value=viewers)
    yield GaugeMetricFamily(
        f"{_PREFIX}_running_seconds", "Since the first frame.", value=document.seconds
    )
    info = InfoMetricFamily(_PREFIX, "What runs.")
    info.add_metric([], _facts(document))
    yield info


def _facts(document: DemoDocument) -> dict[str, str]:
    return {
        "model": document.model,
        "task": document.task,
        "target": document.target,
        "variant": document.variant,
        "compute": document.compute,
        "verdict": str(document.verdict or ""),
        "shape": "x".join(str(side) for side in document.shape),
        "source": document.source.name,
    }


def _summary(name: str, text: str, label: str, times: dict[str, Distribution]) -> Metric:
    """Return a summary in seconds; percentiles that are not known yet are left out."""
    from prometheus_client.core import Metric

    whole = f"{_PREFIX}_{name}"
    family = Metric(whole, text, "summary")
    for key, spread in times.items():
        for quantile, field in _QUANTILES.items():
            value = getattr(spread, field)
            if value is not None:
                family.add_sample(whole, {label: key, "quantile": quantile}, value / 1000)
        family.add_sample(f"{whole}_count", {label: key}, spread.n)
        family.add_sample(f"{whole}_sum", {label: key}, spread.n * (spread.mean_ms or 0) / 1000)
    return family
