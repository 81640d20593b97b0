"""`edgekit predict`: annotated pictures and JSON for images on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.statistics import percentile
from edgekit.core.destination import FOLDER, Destination
from edgekit.core.documents import PredictDocument, PredictedImage, StageTime
from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.progress import Progress
from edgekit.core.subject import works_on
from edgekit.jobs.opening.predictor import Predictor, open_predictor
from edgekit.jobs.steps.delivery import read_for
from edgekit.tasks.draw import draw
from edgekit.tasks.images import UnreadableImage, image_files, read_image
from edgekit.tasks.predictions import MaskPrediction, Prediction, RawPrediction
from edgekit.tasks.task import Image

__all__ = ["DOCUMENT", "run"]

# Written beside the pictures.
DOCUMENT = "predictions.json"

_STAGES = ("read", "preprocess", "inference", "postprocess")
_GIVE = "Give image files, or folders of them."
_JPEG = frozenset({".jpg", ".jpeg"})
# The most pixels in a row or a column that the libraries write.
_JPEG_SIDE, _PNG_SIDE = 65_500, 1_000_000


@works_on
def run(
    model: str,
    images: Sequence[Path],
    output: Path | None,
    *,
    target: str | None,
    compute: str | None,
    confidence: float | None,
    threads: int | None,
    batch: int,
    trust_code: bool,
    trust_engine: bool,
    force: bool,
    progress: Progress,
) -> PredictDocument:
    """See edgekit.api.predict."""
    place = None
    if output is not None:
        place = Destination(output, FOLDER, force=force, inputs=read_for(model, *images))
    found, skipped = _found(images)
    if not found:
        raise BadInput(" ".join(skipped) or "There are no images.", hint=_GIVE)
    progress.stage("compile")
    with ExitStack() as stack:
        predictor = stack.enter_context(
            open_predictor(
                model,
                target=target,
                compute=compute,
                threads=threads,
                confidence=confidence,
                images=True,
                trust_code=trust_code,
                trust_engine=trust_engine,
                progress=progress,
            )
        )
        for sentence in predictor.warnings:
            progress.note(sentence)
        progress.stage("predict")
        work = _Work(predictor, _Pictures(), skipped)
        if place is None:
            work.all(found, batch, progress)
            return work.document(model, None)
        with place.writing() as folder:
            work.pictures.folder = folder
            interrupted = False
            try:
                work.all(found, batch, progress)
            except KeyboardInterrupt:
                interrupted = True
                if not work.answered:
                    raise
            document = work.document(model, place.path)
            write_bytes(folder / DOCUMENT, msgspec.json.format(msgspec.json.encode(document)))
        if interrupted:
            # What was finished is kept, whole; the command ends as an interrupted one.
            raise KeyboardInterrupt
        return document


@dataclass(frozen=True)
class _Found:
    """An image to answer: its path, and its name inside the output folder."""

    path: Path
    name: Path


class _Pictures:
    """Writes annotated pictures, each under a name of its own.

    Attributes:
        folder: Where to; None writes nothing.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._taken: set[str] = set()

    def write(self, found: _Found, image: Image, prediction: Prediction) -> dict[str, str]:
        """Write picture and mask; return their paths relative to the folder, by the JSON's key.

        There are none of an image that is larger than a picture's file holds.
        """
        if self.folder is None:
            return {}
        drawn = draw(image, prediction)
        if max(drawn.shape) > _PNG_SIDE:
            return {}
        written = {"picture": self._name(found.name, _suffix(found.path, drawn))}
        _write_image(self.folder / written["picture"], drawn)
        if isinstance(prediction, MaskPrediction):
            written["mask"] = self._name(found.name, ".mask.png")
            _write_image(self.folder / written["mask"], prediction.mask)
        return written

    def _name(self, name: Path, suffix: str) -> str:
        """A name that no other image has: a.png of another folder becomes a-2.png."""
        stem = name.with_suffix("").as_posix()
        candidate, count = f"{stem}{suffix}", 1
        # Some file systems take "A.png" and "a.png" for the same.
        while candidate.casefold() in self._taken:
            count += 1
            candidate = f"{stem}-{count}{suffix}"
        self._taken.add(candidate.casefold())
        return candidate


class _Work:
    """Answers images in batches and gathers what the document says of them."""

    def __init__(self, predictor: Predictor, pictures: _Pictures, skipped: list[str]) -> None:
        self.answered: list[PredictedImage] = []
        self.pictures = pictures
        self._predictor = predictor
        self._skipped = skipped
        self._batch = 1
        self._times: dict[str, list[float]] = {stage: [] for stage in _STAGES}

    def all(self, found: Sequence[_Found], batch: int, progress: Progress) -> None:
        """Answer every image that can be read.

        Raises:
            BadInput: None can.
        """
        self._batch = self._predictor.batch_size(batch)
        images = self._read(progress.track(found, "images", total=len(found)))
        while chunk := list(islice(images, self._batch)):
            predictions = self._predictor.predict([image for _, image in chunk], batch=self._batch)
            for (one, image), prediction in zip(chunk, predictions, strict=True):
                self._keep(one, image, prediction)
        if not self.answered:
            raise BadInput(f"No image could be read: {self._skipped[-1]}", hint=_GIVE)

    def document(self, model: str, output: Path | None) -> PredictDocument:
        """Lay everything into the document."""
        predictor = self._predictor
        return PredictDocument(
            model=model,
            task=predictor.task,
            target=predictor.target,
            variant=predictor.variant,
            compute=predictor.compute,
            verdict=predictor.verdict,
            batch=self._batch,
            n=len(self.answered),
            images=tuple(self.answered),
            stages={
                stage: StageTime(
                    n=len(times), mean_ms=float(np.mean(times)), p50_ms=percentile(times, 50)
                )
                for stage, times in self._times.items()
            },
            skipped=tuple(self._skipped),
            output=None if output is None else str(output),
        )

    def _read(self, found: Iterator[_Found]) -> Iterator[tuple[_Found, Image]]:
        for one in found:
            start = time.perf_counter_ns()
            try:
                image = read_image(one.path)
            except UnreadableImage as error:
                self._skipped.append(error.message)
                continue
            self._times["read"].append((time.perf_counter_ns() - start) / 1e6)
            yield one, image

    def _keep(self, found: _Found, image: Image, prediction: Prediction) -> None:
        assert not isinstance(prediction, RawPrediction), "the model takes images"
        for stage in _STAGES[1:]:
            self._times[stage].append(getattr(prediction.timings, stage))
        height, width = prediction.size
        content: dict[str, Any] = {
            "image": str(found.path),
            "width": width,
            "height": height,
            **prediction.to_dict(),
            **self.pictures.write(found, image, prediction),
        }
        self.answered.append(msgspec.convert(content, PredictedImage))


def _found(images: Sequence[Path]) -> tuple[list[_Found], list[str]]:
    """The images of files and folders, each once; and what holds none, each a sentence."""
    found: dict[Path, _Found] = {}
    skipped = []
    for path in images:
        if not path.is_dir():
            found.setdefault(path.absolute(), _Found(path, Path(path.name)))
            continue
        files = image_files(path)
        if not files:
            skipped.append(f"{path} holds no images.")
        for file in files:
            found.setdefault(file.absolute(), _Found(file, file.relative_to(path)))
    return list(found.values()), skipped


def _suffix(path: Path, drawn: Image) -> str:
    jpeg = path.suffix.lower() in _JPEG and max(drawn.shape) <= _JPEG_SIDE
    return ".jpg" if jpeg else ".png"


def _write_image(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write an image inside a folder that is not yet at its place."""
    encoded, content = cv2.imencode(path.suffix, image)
    assert encoded, "OpenCV writes JPEG and PNG"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.tobytes())
