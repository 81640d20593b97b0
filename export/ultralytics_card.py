"""A card of the metadata that Ultralytics' exporter leaves in an ONNX file or in front of a plan.

In an ONNX file every value is the text of a Python literal; in front of a plan it is JSON.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Literal

from edgekit.core.card import ModelCard, Postprocess, Preprocess
from edgekit.core.errors import BadInput

__all__ = ["is_ultralytics", "ultralytics_card"]

_SIGNS = frozenset({"task", "names", "stride"})


def is_ultralytics(properties: Mapping[str, Any]) -> bool:
    """Whether metadata is of Ultralytics' exporter."""
    return set(properties) >= _SIGNS


def ultralytics_card(
    properties: Mapping[str, Any], where: str, *, shape: tuple[int | str, ...] | None
) -> ModelCard:
    """Make a card of the metadata that Ultralytics' exporter writes.

    Its detectors see RGB in [0, 1], letterboxed on grey 114 around the centre; its classifiers RGB
    in [0, 1], the short side scaled to the input and the centre cropped, and they end in a softmax.
    Its other tasks have no head here and become "raw".

    Args:
        properties: The metadata, as text or as plain data.
        where: The file, for messages.
        shape: Of the first output; None where only the metadata is known, and then a detector has
            the head that this exporter gives it today.

    Raises:
        BadInput: A key is missing or malformed, or the output fits no head.
    """
    labels = _labels(properties, where)
    size = _literal(properties, "imgsz", where, list | tuple)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise BadInput(f"The metadata key 'imgsz' of {where} is no [height, width]: {size!r}.")
    provenance = {
        key: str(properties[key])
        for key in ("description", "author", "version", "license")
        if key in properties
    }
    kind = str(properties["task"])
    resize: Literal["letterbox", "crop"] = "crop" if kind == "classify" else "letterbox"
    preprocess = Preprocess(size=(size[0], size[1]), resize=resize, scale=1 / 255)
    if kind == "classify":
        return ModelCard(
            task="classification",
            labels=labels,
            preprocess=preprocess,
            postprocess=Postprocess(decode="probabilities"),
            provenance=provenance,
        )
    if kind == "detect":
        return ModelCard(
            task="detection",
            labels=labels,
            preprocess=preprocess,
            postprocess=Postprocess(
                decode=_head(properties, shape, len(labels), where), iou=0.7, max_detections=300
            ),
            provenance=provenance,
        )
    return ModelCard(
        task="raw", labels=labels, preprocess=preprocess, provenance={**provenance, "task": kind}
    )


def _labels(properties: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Class names in the order of their indices, which JSON has as text."""
    names = _literal(properties, "names", where, dict)
    try:
        by_index = {int(key): str(name) for key, name in names.items()}
    except (TypeError, ValueError) as error:
        raise BadInput(f"The metadata key 'names' of {where} has no whole numbers.") from error
    return tuple(by_index[index] for index in sorted(by_index))


def _head(
    properties: Mapping[str, Any],
    shape: tuple[int | str, ...] | None,
    classes: int,
    where: str,
) -> str:
    """Tell the head by the output's shape: (N, K, 6) final boxes, or (N, 4 + classes, anchors)."""
    arguments = properties.get("args")
    baked = isinstance(arguments, dict) and bool(arguments.get("nms"))
    if str(properties.get("end2end", "")).lower() == "true" or (shape is None and baked):
        return "end2end"
    if shape is None:
        return "yolov8"
    if len(shape) == 3 and shape[2] == 6:
        return "end2end"
    if len(shape) == 3 and shape[1] == 4 + classes:
        return "yolov8"
    if len(shape) == 3 and shape[2] == 5 + classes:
        return "yolov5"
    raise BadInput(
        f"{where} says it is an Ultralytics detector of {classes} classes, but its output is "
        f"{shape}.",
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
