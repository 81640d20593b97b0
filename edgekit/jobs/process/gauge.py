"""One opened model measured: its inputs bound, warmed, sampled block by block."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgekit.benchmarks.offline import Offline, OfflineRule
from edgekit.benchmarks.paced import BOUNDARY as PACED
from edgekit.benchmarks.paced import Paced, PacedRule
from edgekit.benchmarks.singlestream import SingleStream, SingleStreamRule
from edgekit.benchmarks.summary import Summary
from edgekit.core.errors import BadInput
from edgekit.core.runtime import Binding, DeviceTimed, Feeds, Queue, Queueing, Session
from edgekit.pipeline.feed import Feed
from edgekit.pipeline.steps import ImageSteps
from edgekit.tasks.task import Image, Task

__all__ = [
    "BOUNDARIES",
    "SCENARIOS",
    "Boundary",
    "Conditions",
    "Gauge",
    "ImageInput",
    "Scenario",
    "open_gauge",
    "quickest",
]

Scenario = Literal["single-stream", "offline", "paced"]
Boundary = Literal["latency.host", "latency.device", "latency.e2e"]
SCENARIOS: tuple[Scenario, ...] = ("single-stream", "offline", "paced")
BOUNDARIES: tuple[Boundary, ...] = ("latency.host", "latency.device", "latency.e2e")


@dataclass(frozen=True)
class Conditions:
    """How a model is measured.

    Attributes:
        scenario: By MLPerf's name, or "paced".
        boundary: Of single-stream's latencies.
        concurrency: Requests in flight in offline; None means the engine's own choice.
        rate: Frames a second in paced; else None.
        seconds: Time of sampling at most.
    """

    scenario: Scenario = "single-stream"
    boundary: Boundary = "latency.host"
    concurrency: int | None = None
    rate: int | None = None
    seconds: float = 10.0


@dataclass(frozen=True)
class ImageInput:
    """What an end-to-end latency needs beside the inputs.

    Attributes:
        task: Lays images into network inputs and reads outputs.
        name: Of the input that takes the image.
        images: (H, W, 3) uint8 BGR each.
    """

    task: Task
    name: str
    images: Sequence[Image]


class Gauge:
    """A measurement that takes blocks.

    Attributes:
        first_ns: What the first inference took.
        concurrency: Requests in flight at most.
    """

    def __init__(
        self,
        first_ns: int,
        warm: Callable[[], object],
        block: Callable[[float], None],
        measurement: SingleStream | Offline | Paced,
        concurrency: int = 1,
    ) -> None:
        self.first_ns = first_ns
        self.warm = warm
        self.concurrency = concurrency
        self._block = block
        self._measurement = measurement

    def block(self, seconds: float) -> bool:
        """Sample for some seconds; return whether the figures are good enough to stop."""
        self._block(seconds)
        return self._measurement.done

    def summary(self) -> Summary:
        """Return the figures so far."""
        return self._measurement.summary()


def open_gauge(
    sessions: Mapping[str, Session],
    feeds: Mapping[str, Feeds],
    conditions: Conditions,
    images: Callable[[], ImageInput] | None = None,
) -> Gauge:
    """Bind the inputs, run the first inference, and return what measures from there on.

    Args:
        sessions: By role.
        feeds: Inputs by role; one inference runs every role once, in order.
        conditions: Scenario and boundary.
        images: Makes what an end-to-end latency needs; None where the model takes no images.

    Raises:
        BadInput: The model or the engine cannot be measured so; the message says why.
    """
    if conditions.scenario == "offline":
        return _offline(sessions, feeds, conditions)
    if conditions.scenario == "paced":
        return _paced(sessions, conditions, images)
    bindings = [sessions[role].bind(one) for role, one in feeds.items()]
    rule = SingleStreamRule(seconds=conditions.seconds)
    if conditions.boundary == "latency.e2e":
        return _end_to_end(bindings, rule, images)
    run = quickest(bindings)
    first_ns = _timed(run)
    if conditions.boundary == "latency.device":
        told = bindings[0]
        if len(bindings) > 1 or not isinstance(told, DeviceTimed):
            raise BadInput(
                "The engine does not tell the time on the device, so latency.device cannot be "
                "measured.",
                hint="Leave --boundary out; it means latency.host.",
            )
        stream = SingleStream(rule, boundary="latency.device", told_ns=told.device_ns)
    else:
        stream = SingleStream(rule)
    # The first run may have bound outputs anew; what is quickest is known only now.
    return _streaming(first_ns, quickest(bindings), stream)


def _streaming(first_ns: int, run: Callable[[], None], stream: SingleStream) -> Gauge:
    return Gauge(
        first_ns, lambda: stream.warm(run), lambda seconds: stream.block(run, seconds), stream
    )


def _end_to_end(
    bindings: Sequence[Binding], rule: SingleStreamRule, images: Callable[[], ImageInput] | None
) -> Gauge:
    given = _images_of("latency.e2e", len(bindings), images)
    pipeline = ImageSteps(given.task, bindings[0], given.name, given.images)
    first_ns = _timed(pipeline.run)
    stream = SingleStream(rule, boundary="latency.e2e", steps=pipeline.steps)
    return _streaming(first_ns, pipeline.run, stream)


def _paced(
    sessions: Mapping[str, Session],
    conditions: Conditions,
    images: Callable[[], ImageInput] | None,
) -> Gauge:
    given = _images_of(PACED, len(sessions), images)
    (session,) = sessions.values()
    assert conditions.rate is not None, "the cells have a rate"
    # Its threads wait for frames until this process, which is this entry's alone, ends.
    feed = Feed(session, given.task, given.name, given.images)
    paced = Paced(PacedRule(rate=conditions.rate, seconds=conditions.seconds))

    def once() -> None:
        feed.put(time.perf_counter_ns())
        feed.settle()

    return Gauge(
        _timed(once),
        lambda: paced.warm(feed),
        lambda seconds: paced.block(feed, seconds),
        paced,
    )


def _images_of(boundary: str, graphs: int, images: Callable[[], ImageInput] | None) -> ImageInput:
    if images is None or graphs != 1:
        raise BadInput(
            f"{boundary} goes from an image to a result, and this model takes arrays.",
            hint="Give it a card with a task, or measure latency.host in single-stream.",
        )
    return images()


def _offline(
    sessions: Mapping[str, Session], feeds: Mapping[str, Feeds], conditions: Conditions
) -> Gauge:
    (role, one), *others = feeds.items()
    session = sessions[role]
    if others or not isinstance(session, Queueing):
        why = "has several graphs" if others else "runs on an engine without a queue of requests"
        raise BadInput(
            f"The model {why}, so the scenario offline cannot be measured.",
            hint="Use --scenario single-stream.",
        )
    queue: Queue = session.queue(one, conditions.concurrency)
    offline = Offline(OfflineRule(seconds=conditions.seconds))

    def once() -> None:
        queue.submit()
        queue.drain()

    return Gauge(
        _timed(once),
        lambda: offline.warm(queue),
        lambda seconds: offline.block(queue, seconds),
        offline,
        queue.depth,
    )


def _timed(run: Callable[[], None]) -> int:
    start = time.perf_counter_ns()
    run()
    return time.perf_counter_ns() - start


def quickest(bindings: Sequence[Binding]) -> Callable[[], None]:
    """One inference without a loop around it where there is one graph only."""
    if len(bindings) == 1:
        return bindings[0].run

    def every() -> None:
        for binding in bindings:
            binding.run()

    return every
