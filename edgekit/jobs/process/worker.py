"""What runs in an entry's own process: open, run, score, measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edgekit.benchmarks.certificate import compare_runs
from edgekit.benchmarks.memory import rss_bytes, rss_peak_bytes
from edgekit.benchmarks.summary import Summary
from edgekit.core.card import GraphCard, ModelCard
from edgekit.core.engine_error import run_engine
from edgekit.core.progress import Progress
from edgekit.core.runtime import Array, DeviceMemory, Feeds, Placement, Session
from edgekit.jobs.process.feeds import fit_batch
from edgekit.jobs.process.gauge import Conditions, Gauge, ImageInput, open_gauge
from edgekit.jobs.process.sequences import Outputs, run_sequence
from edgekit.tasks.datasets import readable
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.registry import task_for
from edgekit.tasks.results import Result, Truth
from edgekit.tasks.samples import Sample, feeds
from edgekit.tasks.task import Image

__all__ = ["EntryFigures", "Evaluation", "Worker"]

# Outputs of the first images are kept whole for the parity check, up to this many bytes.
_KEPT_BYTES = 64 << 20
_KEPT_IMAGES = 16


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

    @property
    def sequences(self) -> dict[str, list[list[Outputs]]]:
        """The outputs in the form that `compare` takes."""
        return {"main": [[one] for one in self.outputs]}


@dataclass(frozen=True)
class EntryFigures:
    """Figures of one entry's process; nanoseconds and bytes.

    Attributes:
        device_bytes: Taken of the device's own memory at the end; what is bound once stays until
            then, so it is the most.
    """

    load_ns: int
    first_ns: int
    rss_base_bytes: int
    rss_peak_bytes: int | None
    device_bytes: int | None
    stream: Summary
    concurrency: int = 1


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
        self._rss_base = rss_bytes()
        start = time.perf_counter_ns()
        self._sessions = opener()
        self._load_ns = time.perf_counter_ns() - start
        self._gauge: Gauge | None = None

    def placement(self) -> dict[str, Placement]:
        """What ran where, by role."""
        return {role: session.placement() for role, session in self._sessions.items()}

    def sequences(self, feeds: Mapping[str, Sequence[Feeds]]) -> dict[str, list[list[Outputs]]]:
        """Run every role on its inputs, state looped; see run_sequence."""
        return {
            role: [run_sequence(self._sessions[role], one, self._graph(role)) for one in several]
            for role, several in feeds.items()
        }

    def repeat(self, feeds: Mapping[str, Sequence[Feeds]]) -> tuple[int, float]:
        """Run the same inputs twice; return elements that differ and the largest difference."""
        differing, largest = 0, 0.0
        first, second = self.sequences(feeds), self.sequences(feeds)
        for role, sequences in first.items():
            for one, other in zip(sequences, second[role], strict=True):
                for step, again in zip(one, other, strict=True):
                    count, gap = compare_runs(step, again)
                    differing, largest = differing + count, max(largest, gap)
        return differing, largest

    def evaluate(self, samples: Sequence[Sample], progress: Progress) -> Evaluation:
        """Answer every sample of a data set; unreadable images are skipped and named."""
        role, session = next(iter(self._sessions.items()))
        task = task_for(self._card, folder=self._folder, trust_code=self._trust_code)
        name = session.inputs[0].name
        tensors = self._card.graph(role).inputs
        ids: list[str] = []
        results: list[Result] = []
        truths: list[Truth] = []
        outputs: list[Outputs] = []
        not_finite: list[str] = []
        kept = 0
        skipped: list[str] = []
        examples = readable(samples, skipped=skipped)
        for example in progress.track(examples, "images", total=len(samples)):
            fed, fit = feeds(example, task, name)
            assert fit is not None, "data sets of arrays are no images"
            answer = {key: out[:1] for key, out in session.run(fit_batch(fed, tensors)).items()}
            if not all(_finite(array) for array in answer.values()):
                not_finite.append(example.sample.id)
            size = sum(array.nbytes for array in answer.values())
            if len(outputs) < _KEPT_IMAGES and (kept + size <= _KEPT_BYTES or len(outputs) < 2):
                outputs.append(answer)
                kept += size
            ids.append(example.sample.id)
            results.append(task.postprocess(answer, fit, evaluation=True))
            truths.append(example.truth)
        return Evaluation(
            tuple(ids),
            tuple(results),
            tuple(truths),
            tuple(outputs),
            tuple(not_finite),
            tuple(skipped),
        )

    def start(
        self,
        feeds: Mapping[str, Feeds],
        conditions: Conditions,
        images: Sequence[Image] = (),
    ) -> None:
        """Bind the inputs of every role and run the first inference.

        Args:
            feeds: Inputs by role; one inference runs every role once, in order.
            conditions: Scenario, boundary, time.
            images: For an end-to-end latency, (H, W, 3) uint8 BGR each.

        Raises:
            BadInput: It cannot be measured so.
        """
        takes_images = self._card.preprocess is not None
        self._gauge = open_gauge(
            self._sessions,
            feeds,
            conditions,
            partial(self._images, images) if takes_images else None,
        )

    def warm(self) -> None:
        """Run until the last windows agree.

        Raises:
            BadInput: The engine failed.
        """
        run_engine(self._started.warm)

    def block(self, seconds: float) -> bool:
        """Sample for some seconds; return whether the figures are good enough to stop."""
        return run_engine(partial(self._started.block, seconds))

    def finish(self) -> EntryFigures:
        """Return every figure so far."""
        return EntryFigures(
            load_ns=self._load_ns,
            first_ns=self._started.first_ns,
            rss_base_bytes=self._rss_base,
            rss_peak_bytes=rss_peak_bytes(),
            device_bytes=_device_bytes(self._sessions.values()),
            stream=self._started.summary(),
            concurrency=self._started.concurrency,
        )

    @property
    def _started(self) -> Gauge:
        assert self._gauge is not None, "start() comes first"
        return self._gauge

    def _images(self, images: Sequence[Image]) -> ImageInput:
        session = next(iter(self._sessions.values()))
        task = task_for(self._card, folder=self._folder, trust_code=self._trust_code)
        found = image_input(self._card)
        return ImageInput(task, found[0] if found else session.inputs[0].name, images)

    def _graph(self, role: str) -> GraphCard:
        return self._card.graph(role)


def _device_bytes(sessions: Iterable[Session]) -> int | None:
    """What sessions take of their device's own memory; None where it has none."""
    told = [one.device_bytes() for one in sessions if isinstance(one, DeviceMemory)]
    # Each counts from before its own opening on, so the first one's figure holds the others'.
    return max(told, default=None)


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
