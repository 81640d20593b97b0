"""A card of the metadata that Ultralytics' exporter leaves in an ONNX file or in front of a plan.

In an ONNX file every value is the text of a Python literal; in front of a plan it is JSON.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from edgekit.core.card import ModelCard, Postprocess, Preprocess
from edgekit.core.errors import BadInput

__all__ = ["is_ultralytics", "ultralytics_card"]

# What its exporter writes for every task; the repository of YOLOv5 wrote the last two alone.
_SIGNS = frozenset({"task", "names", "stride"})
_YOLOV5_SIGNS = frozenset({"names", "stride"})
# What YOLOv5's exporter takes where nobody says a size.
_YOLOV5_SIZE = (640, 640)

Shape = tuple[int | str, ...]


def is_ultralytics(properties: Mapping[str, Any]) -> bool:
    """Whether metadata is of Ultralytics' exporter, or of YOLOv5's before it."""
    return set(properties) >= _SIGNS or _is_yolov5(properties)


def ultralytics_card(
    properties: Mapping[str, Any],
    where: str,
    *,
    shapes: Sequence[Shape] | None,
    size: tuple[int, int] | None = None,
) -> ModelCard:
    """Make a card of the metadata that Ultralytics' exporter writes.

    Its detectors see RGB in [0, 1], letterboxed on grey 114 around the centre, those of masks and
    of keypoints too; its classifiers RGB in [0, 1], the short side scaled to the input and the
    centre cropped, and they end in a softmax. Its other tasks (`obb`, `semantic`, …) have no head
    here and become "raw", with a sentence under `provenance`.

    Args:
        properties: The metadata, as text or as plain data.
        where: The file, for messages.
        shapes: Of the outputs, in order; None where only the metadata is known, and then a detector
            has the head that this exporter gives it today.
        size: (height, width) of the input, for YOLOv5's metadata, which does not say it; None
            where it is not fixed.

    Raises:
        BadInput: A key is missing or malformed, or the outputs fit no head.
    """
    labels = _labels(properties, where)
    if _is_yolov5(properties):
        return _yolov5_card(labels, shapes, size or _YOLOV5_SIZE)
    found = _literal(properties, "imgsz", where, list | tuple)
    if len(found) != 2 or not all(isinstance(side, int) and side > 0 for side in found):
        raise BadInput(f"The metadata key 'imgsz' of {where} is no [height, width]: {found!r}.")
    provenance = {
        key: str(properties[key])
        for key in ("description", "author", "version", "license")
        if key in properties
    }
    kind = str(properties["task"])
    preprocess = _preprocess((found[0], found[1]), "crop" if kind == "classify" else "letterbox")
    if kind == "classify":
        return ModelCard(
            task="classification",
            labels=labels,
            preprocess=preprocess,
            postprocess=Postprocess(decode="probabilities"),
            provenance=provenance,
        )
    if kind in ("detect", "segment", "pose"):
        points = _keypoints(properties, where) if kind == "pose" else None
        head = _head(properties, kind, shapes, len(labels), points, where)
        rules = Postprocess(decode=head, iou=0.7, max_detections=300, keypoints=points)
        return ModelCard(
            task="detection",
            labels=labels,
            preprocess=preprocess,
            postprocess=rules,
            provenance=provenance,
        )
    return ModelCard(
        task="raw",
        labels=labels,
        preprocess=preprocess,
        provenance={
            **provenance,
            "task": kind,
            "note": f"edgekit has no head for Ultralytics' task {kind!r}: tensors in, tensors out.",
        },
    )


def _is_yolov5(properties: Mapping[str, Any]) -> bool:
    """Whether metadata is of YOLOv5's own exporter, which says names and stride and no more."""
    return set(properties) == _YOLOV5_SIGNS


def _yolov5_card(
    labels: tuple[str, ...], shapes: Sequence[Shape] | None, size: tuple[int, int]
) -> ModelCard:
    rows, prototypes = _outputs(shapes or ())
    extra = 0 if prototypes is None else prototypes[1]
    if rows is None or not isinstance(extra, int) or rows[2] != 5 + len(labels) + extra:
        # Its classifiers say the same, and are told by their output.
        return ModelCard(task="raw", labels=labels)
    rules = Postprocess(
        decode="yolov5-segment" if extra else "yolov5", iou=0.45, max_detections=300
    )
    return ModelCard(
        task="detection",
        labels=labels,
        preprocess=_preprocess(size, "letterbox"),
        postprocess=rules,
        provenance={"description": "YOLOv5"},
    )


def _preprocess(size: tuple[int, int], resize: Literal["letterbox", "crop"]) -> Preprocess:
    return Preprocess(size=size, resize=resize, scale=1 / 255)


def _labels(properties: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Class names in the order of their indices, which JSON has as text."""
    names = _literal(properties, "names", where, dict if "task" in properties else dict | list)
    if isinstance(names, list):
        return tuple(str(name) for name in names)
    try:
        by_index = {int(key): str(name) for key, name in names.items()}
    except (TypeError, ValueError) as error:
        raise BadInput(f"The metadata key 'names' of {where} has no whole numbers.") from error
    return tuple(by_index[index] for index in sorted(by_index))


def _keypoints(properties: Mapping[str, Any], where: str) -> tuple[int, int]:
    """How many keypoints, and how many numbers each is."""
    shape = _literal(properties, "kpt_shape", where, list | tuple)
    numbers = len(shape) == 2 and all(isinstance(each, int) for each in shape)
    if not numbers or shape[0] < 1 or shape[1] not in (2, 3):
        raise BadInput(f"The metadata key 'kpt_shape' of {where} is no [points, 2 or 3]: {shape}.")
    return shape[0], shape[1]


def _outputs(shapes: Sequence[Shape]) -> tuple[Shape | None, Shape | None]:
    """The shape of the rows, and that of the prototypes of masks."""
    rows = next((shape for shape in shapes if len(shape) == 3), None)
    return rows, next((shape for shape in shapes if len(shape) == 4), None)


def _head(
    properties: Mapping[str, Any],
    kind: str,
    shapes: Sequence[Shape] | None,
    classes: int,
    points: tuple[int, int] | None,
    where: str,
) -> str:
    """Tell the head by the shape of its rows.

    (N, K, 6 + E) are final boxes, (N, 4 + classes + E, anchors) are not; E is what masks or
    keypoints add.
    """
    suffix = "" if kind == "detect" else f"-{kind}"
    arguments = properties.get("args")
    baked = isinstance(arguments, dict) and bool(arguments.get("nms"))
    final = str(properties.get("end2end", "")).lower() == "true"
    if shapes is None:
        return f"end2end{suffix}" if final or baked else f"yolov8{suffix}"
    rows, prototypes = _outputs(shapes)
    extra: int | str | None = 0
    if kind == "segment":
        extra = None if prototypes is None else prototypes[1]
    elif points is not None:
        extra = points[0] * points[1]
    if rows is not None and isinstance(extra, int):
        if rows[2] == 6 + extra:
            return f"end2end{suffix}"
        if rows[1] == 4 + classes + extra:
            return f"yolov8{suffix}"
        if rows[2] == 5 + classes + extra and kind != "pose":
            return f"yolov5{suffix}"
    what = {"detect": "detector", "segment": "model of masks", "pose": "model of keypoints"}[kind]
    shown = ", ".join(str(shape) for shape in shapes) or "missing"
    raise BadInput(
        f"{where} says it is an Ultralytics {what} of {classes} classes, but its output is "
        f"{shown}.",
        hint="Give a card with --card that names the head.",
    )


def _literal(properties: Mapping[str, Any], key: str, where: str, kind: Any) -> Any:
    """Read a value that is plain data or its text; literal_eval builds data and runs nothing."""
    if key not in properties:
        raise BadInput(f"The Ultralytics metadata of {where} lacks the key {key!r}.")
    value = properties[key]
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
            raise BadInput(
                f"The metadata key {key!r} of {where} cannot be read: {value[:80]!r}.",
                hint="Give a card with --card.",
            ) from error
    if not isinstance(value, kind):
        raise BadInput(f"The metadata key {key!r} of {where} is {type(value).__name__!r}.")
    return value
