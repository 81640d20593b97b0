"""A detector's decoding and non-maximum suppression as standard ONNX operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.export.graph_writer import GraphWriter
from edgekit.tasks.baked import score_floor
from edgekit.tasks.heads import yolox_cells

if TYPE_CHECKING:
    import onnx

__all__ = ["OPSET", "write_detections"]

# GatherND with batch dimensions came with 12, the last of the operators used here.
OPSET = 12
_LARGEST = float(np.finfo(np.float32).max)


def write_detections(
    writer: GraphWriter, model: onnx.ModelProto, card: ModelCard, output: str
) -> None:
    """Write what lies between the network's output and (batch, K, 6) detections.

    The rules are those by which edgekit.tasks.detection scores: every class whose score is above
    the floor makes a candidate, duplicates are suppressed within a class, the best K of all classes
    remain, and of equal scores the first.

    Args:
        writer: Receives the nodes.
        model: The plain model.
        card: The plain model's.
        output: Name of the tensor to make.

    Raises:
        BadInput: No output fits the head, or its classes are not as many as the labels.
    """
    rules = card.postprocess
    assert rules is not None, "the card's own check"
    count = rules.max_detections
    if rules.decode == "end2end":
        _write_final(writer, model, card, output)
        return
    if rules.decode not in _HEADS:
        raise BadInput(
            f"The head {rules.decode!r} cannot be baked into a graph.",
            hint="Leave `nms` out of --bake.",
        )
    head = _HEADS[rules.decode](writer, model, card)
    found, place = _suppressed(writer, head, card)
    classes = writer.constant([head.classes])
    anchor = writer.add("Div", place, classes)
    label = writer.add("Sub", place, writer.add("Mul", anchor, classes))
    # Rows that nothing was found for may point behind the last anchor.
    anchor = writer.add("Min", anchor, writer.constant([head.anchors - 1]))
    boxes = writer.add("GatherND", head.boxes, _column(writer, anchor, count), batch_dims=1)
    score = _column(writer, found, count)
    label = _column(writer, writer.add("Cast", label, to=1), count)
    _write_rows(writer, writer.add("Concat", boxes, score, label, axis=2), score, output)


@dataclass(frozen=True)
class _Decoded:
    """Tensors of a head that is decoded, and their sizes.

    Attributes:
        boxes: (B, A, 4) xyxy in pixels of the input.
        scores: (B, C, A).
        anchors: A.
        classes: C.
    """

    boxes: str
    scores: str
    anchors: int
    classes: int


def _yolox(writer: GraphWriter, model: onnx.ModelProto, card: ModelCard) -> _Decoded:
    assert card.preprocess is not None, "a detector's card has it"
    cells, strides = yolox_cells(card.preprocess.size)
    name, shape = _head_output(
        model,
        card,
        lambda shape: shape[1] in (len(cells), None) and (shape[2] or 6) > 5,
        f"(batch, {len(cells)}, 5 + classes)",
    )
    classes = _classes(shape[2], 5, card)
    rows = _as_float(writer, model, name)
    centre = writer.add("Add", writer.slice(rows, 0, 2, axis=2), writer.constant(cells))
    centre = writer.add("Mul", centre, writer.constant(strides))
    size = writer.add("Exp", writer.slice(rows, 2, 4, axis=2))
    half = writer.add("Mul", size, writer.constant(strides / 2))
    # A size that overflows is no detection.
    sides = writer.slice(half, 0, 1, axis=2), writer.slice(half, 1, 2, axis=2)
    finite = writer.add("Less", writer.add("Max", *sides), writer.number(_LARGEST))
    objectness = writer.slice(rows, 4, 5, axis=2)
    objectness = writer.add("Where", finite, objectness, writer.number(0.0))
    scores = writer.add("Mul", writer.slice(rows, 5, 5 + classes, axis=2), objectness)
    scores = writer.add("Transpose", scores, perm=[0, 2, 1])
    return _Decoded(_corners(writer, centre, half), scores, len(cells), classes)


def _yolov5(writer: GraphWriter, model: onnx.ModelProto, card: ModelCard) -> _Decoded:
    name, shape = _head_output(
        model, card, lambda shape: (shape[2] or 6) > 5, "(batch, anchors, 5 + classes)"
    )
    classes = _classes(shape[2], 5, card)
    rows = _as_float(writer, model, name)
    centre = writer.slice(rows, 0, 2, axis=2)
    half = writer.add("Mul", writer.slice(rows, 2, 4, axis=2), writer.number(0.5))
    objectness = writer.slice(rows, 4, 5, axis=2)
    scores = writer.add("Mul", writer.slice(rows, 5, 5 + classes, axis=2), objectness)
    scores = writer.add("Transpose", scores, perm=[0, 2, 1])
    return _Decoded(_corners(writer, centre, half), scores, _anchors(shape[1], name), classes)


def _yolov8(writer: GraphWriter, model: onnx.ModelProto, card: ModelCard) -> _Decoded:
    name, shape = _head_output(
        model, card, lambda shape: (shape[1] or 5) > 4, "(batch, 4 + classes, anchors)"
    )
    classes = _classes(shape[1], 4, card)
    columns = _as_float(writer, model, name)
    rows = writer.add("Transpose", writer.slice(columns, 0, 4, axis=1), perm=[0, 2, 1])
    centre = writer.slice(rows, 0, 2, axis=2)
    half = writer.add("Mul", writer.slice(rows, 2, 4, axis=2), writer.number(0.5))
    scores = writer.slice(columns, 4, 4 + classes, axis=1)
    return _Decoded(_corners(writer, centre, half), scores, _anchors(shape[2], name), classes)


# What `postprocess.decode` may name beside "end2end"; see edgekit.tasks.heads.
_HEADS: dict[str, Callable[[GraphWriter, onnx.ModelProto, ModelCard], _Decoded]] = {
    "yolox": _yolox,
    "yolov5": _yolov5,
    "yolov8": _yolov8,
}


def _corners(writer: GraphWriter, centre: str, half: str) -> str:
    corners = writer.add("Sub", centre, half), writer.add("Add", centre, half)
    return writer.add("Concat", *corners, axis=2)


def _suppressed(writer: GraphWriter, head: _Decoded, card: ModelCard) -> tuple[str, str]:
    """Suppress within each class, then take the best K of an image.

    NonMaxSuppression gives one list for the whole batch, as long as it happens to be. Its scores
    are scattered over zeros, one place for each pair of anchor and class, where TopK finds a fixed
    number of them for each image. Of equal scores the one in front comes first.

    Returns:
        Scores (B, K), best first, 0 where nothing was found; places (B, K), anchor * C + class.
    """
    rules = card.postprocess
    assert rules is not None, "the card's own check"
    count = rules.max_detections
    kept = writer.add(
        "NonMaxSuppression",
        head.boxes,
        head.scores,
        writer.constant([count]),
        writer.number(rules.iou),
        writer.number(score_floor(card)),
    )
    batch, label, anchor = (writer.slice(kept, each, each + 1, axis=1) for each in range(3))
    place = writer.add("Mul", anchor, writer.constant([head.classes]))
    place = writer.add("Add", place, label)
    field = writer.add(
        "ScatterND",
        # There are K places at least.
        _zeros(writer, head.scores, [1, max(head.anchors * head.classes, count)]),
        writer.add("Concat", batch, place, axis=1),
        writer.add("GatherND", head.scores, kept),
    )
    return writer.add_pair("TopK", field, writer.constant([count]), axis=1)


def _write_final(writer: GraphWriter, model: onnx.ModelProto, card: ModelCard, output: str) -> None:
    """Bring (B, N, 6) of a network that suppresses by itself to K rows, best first."""
    rules = card.postprocess
    assert rules is not None, "the card's own check"
    count = rules.max_detections
    name, _ = _head_output(model, card, lambda shape: shape[2] in (6, None), "(batch, N, 6)")
    rows = _as_float(writer, model, name)
    # There are K rows at least.
    rows = writer.add("Concat", rows, _zeros(writer, rows, [1, count, 6]), axis=1)
    scores = writer.add("Reshape", writer.slice(rows, 4, 5, axis=2), writer.constant([0, -1]))
    reached = writer.add("Greater", scores, writer.number(score_floor(card)))
    scores = writer.add("Where", reached, scores, writer.number(0.0))
    found, place = writer.add_pair("TopK", scores, writer.constant([count]), axis=1)
    chosen = writer.add("GatherND", rows, _column(writer, place, count), batch_dims=1)
    _write_rows(writer, chosen, _column(writer, found, count), output)


def _zeros(writer: GraphWriter, like: str, shape: Sequence[int]) -> str:
    """Make zeros of a fixed shape for each image of a batch.

    Args:
        writer: Receives the nodes.
        like: (B, M, N), whose batch is taken, M and N from 1.
        shape: With 1 for the batch.
    """
    # Not by way of the operator Shape: OpenVINO then takes the batch's size off some other tensor,
    # where it keeps a convolution and its bias from being fused.
    one = writer.slice(writer.slice(like, 0, 1, axis=1), 0, 1, axis=2)
    one = writer.add("Reshape", one, writer.constant([-1, *[1] * (len(shape) - 1)]))
    never = writer.add("Greater", one, writer.number(float("inf")))
    return writer.add("Expand", writer.add("Cast", never, to=1), writer.constant(shape))


def _write_rows(writer: GraphWriter, rows: str, score: str, output: str) -> None:
    """Leave nothing but zeros in rows that nothing was found for."""
    found = writer.add("Greater", score, writer.number(0.0))
    writer.add("Where", found, rows, writer.number(0.0), output=output)


def _column(writer: GraphWriter, tensor: str, count: int) -> str:
    """Reshape (B, K) to (B, K, 1)."""
    return writer.add("Reshape", tensor, writer.constant([-1, count, 1]))


Sizes = tuple[int | None, ...]


def _head_output(
    model: onnx.ModelProto, card: ModelCard, fits: Callable[[Sizes], bool], expected: str
) -> tuple[str, Sizes]:
    """Find the output that the head reads; a size that the graph leaves open is None."""
    assert card.postprocess is not None
    shapes: dict[str, Sizes] = {
        one.name: tuple(size.dim_value or None for size in one.type.tensor_type.shape.dim)
        for one in model.graph.output
    }
    found = [name for name, shape in shapes.items() if len(shape) == 3 and fits(shape)]
    if len(found) == 1:
        return found[0], shapes[found[0]]
    listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    verb = "several outputs fit" if found else "no output fits"
    raise BadInput(
        f"The head {card.postprocess.decode!r} expects an output of shape {expected}, and {verb}: "
        f"{listed}.",
        hint="Check `postprocess.decode` and `preprocess.size` in the card.",
    )


def _classes(size: int | None, before: int, card: ModelCard) -> int:
    """Return how many classes an axis holds behind its boxes."""
    labels = len(card.labels)
    if size is None:
        if not labels:
            raise BadInput(
                "The graph leaves open how many classes it has, and the card names none.",
                hint="Add `labels` to the card.",
            )
        return labels
    if labels and size - before != labels:
        raise BadInput(
            f"The network has {size - before} classes, but the card names {labels} under `labels`.",
            hint="Check `labels` and `postprocess.decode` in the card.",
        )
    return size - before


def _anchors(size: int | None, name: str) -> int:
    """Return the number of anchors, which must be fixed."""
    if size is None:
        raise BadInput(
            f"The graph leaves open how many anchors the output {name!r} has, so NMS cannot be "
            "baked.",
            hint="Export the model with a fixed height and width.",
        )
    return size


def _as_float(writer: GraphWriter, model: onnx.ModelProto, name: str) -> str:
    """Return an output as float32."""
    kind = next(one for one in model.graph.output if one.name == name).type.tensor_type.elem_type
    return name if kind == 1 else writer.add("Cast", name, to=1)
