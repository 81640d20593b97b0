"""Whether a model is a detector, said before the first picture."""

from __future__ import annotations

from edgekit.core.card import Axis, ModelCard
from edgekit.core.errors import BadInput
from edgekit.tasks.cards import check_labels
from edgekit.tasks.instance_heads import INSTANCE_HEADS

__all__ = ["require_detector"]


def require_detector(card: ModelCard, where: str) -> None:
    """Refuse a model that finds no objects, or whose labels are not as many as its classes.

    Args:
        card: The model's, its outputs filled in as far as they are known.
        where: The model, for messages.

    Raises:
        BadInput: Names the task, or both numbers.
    """
    if card.task != "detection":
        raise BadInput(
            f"{where} is no detector: its task is {card.task!r}.",
            hint=card.provenance.get("note")
            or "Give a detector, or a card with --card that says how its outputs are read.",
        )
    classes = _classes(card)
    if classes is not None:
        check_labels(card, classes, f"The card of {where}")


def _classes(card: ModelCard) -> int | None:
    """How many classes the outputs have; None where their shapes do not say it."""
    rules = card.postprocess
    assert rules is not None, "the card's own check"
    shapes = [tensor.shape for tensor in card.outputs.values()]
    rows = [shape for shape in shapes if len(shape) == 3]
    head = INSTANCE_HEADS.get(rules.decode)
    name = rules.decode if head is None else head.boxes
    if len(rows) != 1 or name not in ("yolov8", "yolov5", "yolox"):
        return None
    before: tuple[int | str | Axis, ...] = (5,)
    if name == "yolov8":
        before = (4,)
    if rules.keypoints is not None:
        before += (rules.keypoints[0] * rules.keypoints[1],)
    elif head is not None:
        before += tuple(shape[1] for shape in shapes if len(shape) == 4)
    length = rows[0][1 if name == "yolov8" else 2]
    known = [each for each in (length, *before) if isinstance(each, int)]
    return known[0] - sum(known[1:]) if len(known) == 1 + len(before) else None
