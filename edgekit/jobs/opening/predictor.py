"""A model opened in the caller's own process: images in, labelled answers out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np

from edgekit.core.card import Axis, ModelCard
from edgekit.core.certificate import Verdict
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.progress import Progress, Silent
from edgekit.core.runtime import Array, Feeds, Session, TensorInfo
from edgekit.jobs.opening.choose import choose, engine_folders
from edgekit.jobs.steps.engine import open_engines
from edgekit.tasks.image_like import Colour, ImageLike, as_image
from edgekit.tasks.misfit import refuse_misfit
from edgekit.tasks.predictions import Prediction, RawPrediction, Timings, labelled
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.registry import task_for
from edgekit.tasks.task import Fit, Image

__all__ = ["Predictor", "open_predictor"]

Outputs = dict[str, Array]


class Predictor:
    """A model that answers. Made by `edgekit.load`; safe to use from several threads at once.

    A context manager: leaving it, or `close`, frees the engine.

    Attributes:
        card: The model's card.
        labels: One name a class, empty where the card names none.
        target: Where it runs, "openvino:cpu".
        variant: Id of the variant that runs, "int8-u8s8".
        compute: Float precision the engine may compute in.
        verdict: Of its certificate; None for an ONNX file, or where it was never certified.
        warnings: What to know before relying on it, each a sentence; empty is good.
    """

    def __init__(
        self,
        sessions: Mapping[str, Session],
        card: ModelCard,
        *,
        folder: Path,
        target: str,
        variant: str,
        compute: str,
        verdict: Verdict | None = None,
        warnings: Sequence[str] = (),
        confidence: float | None = None,
        trust_code: bool = False,
    ) -> None:
        """Take over opened sessions; `edgekit.load` is the way to make one.

        Args:
            sessions: By role; closed with the predictor.
            card: With the tensors of every graph.
            folder: Where a decoder named by the card lies.
            target: As text.
            variant: Id.
            compute: Of the engine.
            verdict: Of the certificate.
            warnings: Sentences.
            confidence: Detections below it are left out; None means the card's own.
            trust_code: Whether that decoder may run.

        Raises:
            BadInput: The card and the graph do not fit.
        """
        self.card = card
        self.labels = card.labels
        self.target = target
        self.variant = variant
        self.compute = compute
        self.verdict: Verdict | None = verdict
        self.warnings = tuple(warnings)
        self._confidence = confidence
        self._sessions = dict(sessions)
        self._task = task_for(card, folder=folder, trust_code=trust_code)
        self._takes_images = card.preprocess is not None
        if self._takes_images:
            self._session, self._input = _image_session(self._sessions, card)
            self._batch = _batch_range(self._session, self._input, card)

    @property
    def task(self) -> str:
        """What the model answers: "classification", "detection", "segmentation", "raw", …."""
        return self.card.task

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs of the first graph, in the graph's order."""
        return next(iter(self._sessions.values())).inputs

    @overload
    def predict(self, image: ImageLike, *, colour: Colour = "BGR") -> Prediction: ...

    @overload
    def predict(self, image: Feeds) -> RawPrediction: ...

    @overload
    def predict(
        self, image: list[Any] | tuple[Any, ...], *, batch: int = 1, colour: Colour = "BGR"
    ) -> list[Prediction]: ...

    def predict(
        self,
        image: ImageLike | Feeds | list[Any] | tuple[Any, ...],
        *,
        batch: int = 1,
        colour: Colour = "BGR",
    ) -> Prediction | list[Prediction]:
        """Answer one image, or a list of them.

        Args:
            image: A path; a numpy array (H, W, 3) uint8, **BGR as OpenCV reads it** unless `colour`
                says otherwise, or (H, W) uint8 grey; or a PIL image of any mode. A list or tuple of
                these. For a model without a task (`raw`): arrays by input name.
            batch: Images of a list that go through the network together, where its batch axis
                allows it; the answers are the same within rounding.
            colour: "RGB" for arrays in that order; paths and PIL images know their own.

        Returns:
            A prediction an image, in order: BoxPrediction, ClassPrediction or MaskPrediction by the
            card's task; RawPrediction for arrays.

        Raises:
            UnreadableImage: A file is missing, truncated or no image (a BadInput).
            BadInput: No image: another type, dtype or shape, or empty; or the predictor is closed.
        """
        if isinstance(image, Mapping):
            return self._raw(image)
        if isinstance(image, list | tuple):
            return list(self.predict_many(image, batch=batch, colour=colour))
        return self._images([image], colour)[0]

    def predict_many(
        self, images: Iterable[ImageLike], *, batch: int = 1, colour: Colour = "BGR"
    ) -> Iterator[Prediction]:
        """Answer images one after the other as they come: a folder's paths, a camera's frames.

        Args:
            images: As for `predict`; read only as far as answers are asked for.
            batch: As for `predict`; so many images are read before the first is answered.
            colour: As for `predict`.

        Yields:
            A prediction an image, in order.
        """
        if batch < 1:
            raise BadInput(f"A batch holds one image or more, not {batch}.")
        waiting = iter(images)
        size = self.batch_size(batch)
        while chunk := list(islice(waiting, size)):
            yield from self._images(chunk, colour)

    def run(self, feeds: Feeds, role: str | None = None) -> Outputs:
        """Run one graph on arrays as they are, without pre- and post-processing.

        Args:
            feeds: Input name to array, of the dtype and shape that `inputs` say.
            role: Which graph ("encoder", "step"); None means the only one.

        Returns:
            Output name to array; the arrays belong to the caller.

        Raises:
            BadInput: A name, dtype, shape or role is wrong, or the predictor is closed.
        """
        if role is None and len(self._sessions) == 1:
            (role,) = self._sessions
        if role is None or role not in self._sessions:
            raise BadInput(
                f"The model has several graphs: {', '.join(self._sessions)}."
                if role is None
                else f"The model has no graph {role!r}.",
                hint="Say which with run(feeds, role)."
                if role is None
                else closest(role, self._sessions),
            )
        return self._sessions[role].run(feeds)

    def batch_size(self, wanted: int) -> int:
        """Return how many images go through the network together where `wanted` are asked for.

        1 where the batch axis is fixed to 1, its own size where it is fixed to another, else
        `wanted`, up to what the card allows.
        """
        if not self._takes_images:
            return 1
        least, most = self._batch
        return max(least, wanted if most is None else min(wanted, most))

    def close(self) -> None:
        """Free the engine; calling it twice is allowed, predicting afterwards raises BadInput."""
        for session in self._sessions.values():
            session.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Predictor {self.task}: {self.variant} on {self.target} in {self.compute}>"

    def _raw(self, feeds: Feeds) -> RawPrediction:
        if self._takes_images:
            raise BadInput(
                f"A model of the task {self.task!r} takes images, not arrays by name.",
                hint="Use run(feeds) to feed the graph itself.",
            )
        start = time.perf_counter_ns()
        outputs = self.run(feeds)
        return RawPrediction(outputs, Timings(0.0, 0.0, _since(start), 0.0))

    def _images(self, images: Sequence[ImageLike], colour: Colour) -> list[Prediction]:
        """Answer images that go through the network together."""
        if not self._takes_images:
            raise BadInput(
                f"A model of the task {self.task!r} takes arrays by input name, not images.",
                hint=f"Its inputs: {', '.join(_described(info) for info in self.inputs)}.",
            )
        laid = [self._lay(image, colour) for image in images]
        start = time.perf_counter_ns()
        outputs = self._infer([array for array, *_ in laid])
        inference = _since(start) / len(laid)
        answers: list[Prediction] = []
        for (_, fit, read, preprocess), output in zip(laid, outputs, strict=True):
            start = time.perf_counter_ns()
            result = self._task.postprocess(output, fit, self._confidence)
            timings = Timings(read, preprocess, inference, _since(start))
            answers.append(labelled(result, self.labels, fit.image, timings))
        return answers

    def _lay(self, image: ImageLike, colour: Colour) -> tuple[Array, Fit, float, float]:
        """Return network input, fit, and the milliseconds of reading and of preprocessing."""
        start = time.perf_counter_ns()
        pixels: Image = as_image(image, colour)
        read = _since(start)
        start = time.perf_counter_ns()
        array, fit = self._task.preprocess(pixels)
        return array, fit, read, _since(start)

    def _infer(self, arrays: Sequence[Array]) -> list[Outputs]:
        """Run network inputs of a batch of one, together; return each one's outputs."""
        least, _ = self._batch
        if len(arrays) == least == 1:
            return [self._session.run({self._input: arrays[0]})]
        # A graph that wants more images than there are gets the last one again.
        filled = [*arrays, *[arrays[-1]] * (least - len(arrays))]
        outputs = self._session.run({self._input: np.concatenate(filled)})
        wrong = [name for name, array in outputs.items() if array.shape[:1] != (len(filled),)]
        if wrong:
            raise BadInput(
                f"The output {wrong[0]!r} has the shape {outputs[wrong[0]].shape} for a batch of "
                f"{len(filled)}: its first axis does not count the images.",
                hint="Use a batch of 1.",
            )
        return [
            {name: array[place : place + 1] for name, array in outputs.items()}
            for place in range(len(arrays))
        ]


def open_predictor(
    model: str | os.PathLike[str],
    *,
    target: str | None = None,
    compute: str | None = None,
    threads: int | None = None,
    confidence: float | None = None,
    images: bool = False,
    trust_code: bool = False,
    trust_engine: bool = False,
    progress: Progress | None = None,
) -> Predictor:
    """Choose, compile where it is not cached, and open in this process; see `edgekit.load`.

    With `images`, a model that takes none is refused before anything is compiled.
    """
    if confidence is not None and not 0 <= confidence <= 1:
        raise BadInput(f"A confidence lies between 0 and 1, not {confidence}.")
    choice = choose(
        os.fspath(model), target=target, compute=compute, threads=threads, progress=progress
    )
    card = choice.model.card
    if images and card.preprocess is None:
        raise BadInput(
            f"{model} is a model of the task {card.task!r}, which takes arrays and not images.",
            hint="In a program: edgekit.load(model).predict(arrays by input name).",
        )
    # Faults of the card and a decoder without consent show before anything is compiled.
    refuse_misfit(card, os.fspath(model), folder=choice.model.folder, trust_code=trust_code)
    folders = engine_folders(choice, trust_engine=trust_engine, progress=progress or Silent())
    sessions = open_engines(folders)
    try:
        return Predictor(
            sessions,
            card,
            folder=choice.model.folder,
            target=str(choice.target),
            variant=choice.model.variant.id,
            compute=choice.options.compute,
            verdict=choice.verdict,
            warnings=choice.warnings,
            confidence=confidence,
            trust_code=trust_code,
        )
    except BaseException:
        for session in sessions.values():
            session.close()
        raise


def _image_session(sessions: Mapping[str, Session], card: ModelCard) -> tuple[Session, str]:
    """The one graph of a model that takes images, and the name of its one input."""
    session = next(iter(sessions.values()))
    names = [info.name for info in session.inputs]
    if len(sessions) > 1 or len(names) > 1:
        raise BadInput(
            f"A {card.task} model is one graph with one input, the image; this one has the graphs "
            f"{', '.join(sessions)} and the inputs {', '.join(names)}.",
            hint="With `task: raw` in its card it takes arrays by input name.",
        )
    found = image_input(card)
    return session, found[0] if found is not None else names[0]


def _batch_range(session: Session, name: str, card: ModelCard) -> tuple[int, int | None]:
    """The fewest and the most images that go through a graph together; None means any number."""
    (info,) = session.inputs
    firsts = {output.name: output.shape[:1] for output in session.outputs}
    size = info.shape[0]
    if isinstance(size, int):
        other = next((output for output, first in firsts.items() if first != (size,)), None)
        if size > 1 and other is not None:
            raise BadInput(
                f"The graph takes {size} images at once, and its output {other!r} does not tell "
                "them apart.",
                hint="Export it with a batch axis that is dynamic, or 1.",
            )
        return size, size
    if not all(first and isinstance(first[0], str) for first in firsts.values()):
        return 1, 1
    axis = card.inputs[name].shape[0] if name in card.inputs else None
    return (axis.min, axis.max) if isinstance(axis, Axis) else (1, None)


def _described(info: TensorInfo) -> str:
    return f"{info.name} {info.dtype} [{', '.join(str(size) for size in info.shape)}]"


def _since(start_ns: int) -> float:
    """Milliseconds since a reading of time.perf_counter_ns."""
    return (time.perf_counter_ns() - start_ns) / 1e6
