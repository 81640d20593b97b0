"""What is kept of single classes and single images when an entry is certified; never a pixel."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.benchmarks.differing import answer_of, most_differing, truth_of
from edgekit.core.card import ModelCard
from edgekit.core.details import ClassScores, DifferingAnswer, DifferingImage, EntryDetails
from edgekit.core.files import sha256_file
from edgekit.jobs.process.worker import Evaluation
from edgekit.tasks.images import read_image
from edgekit.tasks.samples import Sample

__all__ = ["details_of"]


def details_of(
    card: ModelCard,
    samples: Sequence[Sample],
    reference: Evaluation | None,
    evaluation: Evaluation | None,
    classes: ClassScores | None,
) -> tuple[EntryDetails, tuple[DifferingImage, ...]]:
    """Find the images on which an entry differs most from the reference, and keep both answers.

    Args:
        card: The model's.
        samples: The images that were answered, and others.
        reference: The reference's answers; None without images.
        evaluation: The entry's to the same images.
        classes: The entry's figures by class.

    Returns:
        The entry's details, and the images that they name.
    """
    if reference is None or evaluation is None:
        return EntryDetails(), ()
    confidence = card.postprocess.confidence if card.postprocess else 0.0
    files = {sample.id: sample.path for sample in samples}
    differing: list[DifferingAnswer] = []
    images: list[DifferingImage] = []
    for index, far in most_differing(evaluation.results, reference.results, confidence=confidence):
        name = evaluation.ids[index]
        # A file's name may hold bytes that are no text; a document may not.
        written = name.encode("utf-8", "replace").decode()
        answer = answer_of(evaluation.results[index], confidence)
        expected = answer_of(reference.results[index], confidence)
        assert answer is not None, "what differs has an answer"
        assert expected is not None, "what differs has an answer"
        height, width = read_image(files[name]).shape[:2]
        differing.append(DifferingAnswer(id=written, difference=round(far, 4), answer=answer))
        images.append(
            DifferingImage(
                id=written,
                sha256=sha256_file(files[name]),
                width=width,
                height=height,
                reference=expected,
                truth=truth_of(evaluation.truths[index]),
            )
        )
    details = EntryDetails(images=len(evaluation.ids), classes=classes, differing=tuple(differing))
    return details, tuple(images)
