"""Whether a detector's card fits its graph, said before the first picture."""

from __future__ import annotations

from edgekit.core.card import Axis, ModelCard
from edgekit.tasks.cards import check_labels
from edgekit.tasks.instance_heads import INSTANCE_HEADS

__all__ = ["refuse_wrong_labels"]


def refuse_wrong_labels(card: ModelCard, where: str) -> None:
    """Refuse a detector whose labels are not as many as the classes of its outputs.

    Args:
        card: Of a detector, its outputs filled in as far as they are known.
        where: The model, for messages.

    Raises:
        BadInput: Names both numbers.
    """
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
