"""The task that a card asks for."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.tasks.classification import Classifier
from edgekit.tasks.detection import Detector
from edgekit.tasks.raw import RawTask
from edgekit.tasks.segmentation import Segmenter
from edgekit.tasks.task import Task

__all__ = ["task_for"]


def task_for(card: ModelCard, *, folder: Path | None = None, trust_code: bool = False) -> Task:
    """Make the task that a card asks for.

    "audio" and "text" have no pre- and post-processing yet: they are run as "raw", tensors in and
    tensors out.

    Args:
        card: The model's card.
        folder: The card's folder, for a decoder in a file; None where the card comes from none.
        trust_code: Whether code from files may run.

    Raises:
        BadInput: The card's `decode` is unknown (the closest match is named) or cannot be loaded,
            or its `preprocess` contradicts its inputs.
    """
    if card.task == "classification":
        return Classifier(card)
    if card.task == "detection":
        return Detector(card, folder=folder, trust_code=trust_code)
    if card.task == "segmentation":
        return Segmenter(card)
    return RawTask()
