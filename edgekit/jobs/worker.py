"""What runs in an entry's own process: open, run, score, measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.benchmarks.memory import rss_now, rss_peak
from edgekit.benchmarks.singlestream import SingleStream, StreamSummary
from edgekit.core.card import GraphCard, ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress
from edgekit.core.runtime import Array, Binding, Feeds, Placement, Session
from edgekit.jobs.sequences import Outputs, run_sequence
from edgekit.tasks.datasets import Sample, readable
from edgekit.tasks.registry import task_for
from edgekit.tasks.results import Result, Truth

__all__ = ["Evaluation", "Measured", "Worker"]

# Outputs of the first images are kept whole for the parity check, up to this many bytes.
_KEPT_BYTES = 64 << 20
_KEPT_IMAGES = 16
# The metric wants the whole precision-recall curve, not only what the user's threshold shows.
_EVALUATION_CONFIDENCE = 0.01


@dataclass(frozen=True)
class Evaluation:
    """What an entry answered on the evaluation images.

    Attributes:
        ids: Of the images scored, in order.
        results: One an image.
        truths: One an image.
        outputs: Raw outputs of the first images, for parity.
        not_finite: Ids of images on which an output held NaN or Inf.
        skipped: Images that could not be read, each a sentence.
    """

    ids: tuple[str, ...]
    results: tuple[Result, ...]
    truths: tuple[Truth, ...]
    outputs: tuple[Outputs, ...]
    not_finite: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Figures of one entry's process; nanoseconds and bytes."""

    load_ns: int
    first_ns: int
    rss_base_bytes: int
    rss_peak_bytes: int
    stream: StreamSummary


@dataclass
class _Bound:
    """Every graph of a model, run in order as one inference."""

    bindings: list[Binding] = field(default_factory=list)

    def run(self) -> None:
        for binding in self.bindings:
            binding.run()


class Worker:
    """An opened model in a process of its own.

    Args:
        opener: Opens the sessions by role; travels by pickle.
        card: The model's.
        folder: Where a user's decoder is looked for.
        trust_code: Whether that decoder may run.
    """

    def __init__(
        self,
        opener: Callable[[], dict[str, Session]],
        card: ModelCard,
        folder: Path,
        trust_code: bool,
    ) -> None:
        self._card = card
        self._folder = folder
        self._trust_code = trust_code
        self._rss_base = rss_now()
        start = time.perf_counter_ns()
        self._sessions = opener()
        self._load_ns = time.perf_counter_ns() - start
        self._first_ns = 0
        self._bound = _Bound()
        self._stream: SingleStream | None = None

    def placement(self) -> dict[str, Placement]:
        """What ran where, by role."""
        return {role: session.placement() for role, session in self._sessions.items()}

    def sequences(self, feeds: Mapping[str, Sequence[Feeds]]) -> dict[str, list[list[Outputs]]]:
        """Run every role on its inputs, state looped; see run_sequence."""
        return {
            role: [run_sequence(self._sessions[role], one, self._graph(role)) for one in several]
            for role, several in feeds.items()
        }

    def repeat(self, feeds: Mapping[str, Sequence[Feeds]]) -> float:
        """Run the same inputs twice and return the largest absolute difference; 0 is bitwise."""
        largest = 0.0
        first, second = self.sequences(feeds), self.sequences(feeds)
        for role, sequences in first.items():
            for one, other in zip(sequences, second[role], strict=True):
                for step, again in zip(one, other, strict=True):
                    largest = max(largest, *(_difference(step[k], again[k]) for k in step))
        return largest

    def evaluate(self, samples: Sequence[Sample], progress: Progress) -> Evaluation:
        """Answer every sample of a data set; unreadable images are skipped and named."""
        role, session = next(iter(self._sessions.items()))
        if len(self._sessions) > 1:
            raise BadInput("A data set of images needs a model of one graph.")
        task = task_for(self._card, folder=self._folder, trust_code=self._trust_code)
        name = session.inputs[0].name
        batch = session.inputs[0].shape[0]
        ids: list[str] = []
        results: list[Result] = []
        truths: list[Truth] = []
        outputs: list[Outputs] = []
        not_finite: list[str] = []
        kept = 0
        skipped: list[str] = []
        images = readable(samples, skipped=skipped)
        for sample, image in progress.track(images, "images", total=len(samples)):
            tensor, fit = task.preprocess(image)
            if isinstance(batch, int) and batch > 1:
                # A graph of a fixed batch gets the same image in every place.
                tensor = np.repeat(tensor, batch, axis=0)
            answer = {key: array[:1] for key, array in session.run({name: tensor}).items()}
            if not all(_finite(array) for array in answer.values()):
                not_finite.append(sample.id)
            size = sum(array.nbytes for array in answer.values())
            if len(outputs) < _KEPT_IMAGES and (kept + size <= _KEPT_BYTES or len(outputs) < 2):
                outputs.append(answer)
                kept += size
            ids.append(sample.id)
            results.append(task.postprocess(answer, fit, confidence=_EVALUATION_CONFIDENCE))
            truths.append(sample.truth)
        return Evaluation(
            tuple(ids),
            tuple(results),
            tuple(truths),
            tuple(outputs),
            tuple(not_finite),
            tuple(skipped),
        )

    def start(self, feeds: Mapping[str, Feeds]) -> None:
        """Bind the inputs of every role and run the first inference."""
        self._bound = _Bound([self._sessions[role].bind(one) for role, one in feeds.items()])
        start = time.perf_counter_ns()
        self._bound.run()
        self._first_ns = time.perf_counter_ns() - start
        self._stream = SingleStream(self._bound.run)

    def warm(self) -> None:
        """Run until the last windows agree."""
        assert self._stream is not None
        self._stream.warm()

    def block(self, seconds: float) -> bool:
        """Measure for some seconds; return whether the figures are good enough to stop."""
        assert self._stream is not None
        self._stream.block(seconds)
        return self._stream.done

    def finish(self) -> Measured:
        """Return every figure."""
        assert self._stream is not None
        return Measured(
            load_ns=self._load_ns,
            first_ns=self._first_ns,
            rss_base_bytes=self._rss_base,
            rss_peak_bytes=rss_peak(),
            stream=self._stream.summary(),
        )

    def _graph(self, role: str) -> GraphCard:
        return self._card.graph(role)


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _difference(one: Array, other: Array) -> float:
    if np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
        return 0.0
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
