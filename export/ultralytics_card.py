"""A card of the metadata that Ultralytics' exporter leaves in an ONNX file or in front of a plan.

In an ONNX file every value is the text of a Python literal; in front of a plan it is JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from edgekit.core.card import ModelCard, Postprocess, Preprocess
from edgekit.core.errors import BadInput
from edgekit.core.runtime import Array
from edgekit.core.texts import shown
from edgekit.export.literals import parse_literal
from edgekit.tasks.class_names import class_list, classes_of
from edgekit.tasks.heads import HEADS
from edgekit.tasks.instance_heads import INSTANCE_HEADS

__all__ = ["Answers", "is_ultralytics", "ultralytics_card"]

# What its exporter writes for every task; the repository of YOLOv5 wrote the last two alone.
_SIGNS = frozenset({"task", "names", "stride"})
_YOLOV5_SIGNS = frozenset({"names", "stride"})
# Pixels of a side, more than any network takes.
_LARGEST = 1 << 16
# What YOLOv5's exporter takes where nobody says a size.
_YOLOV5_SIZE = (640, 640)

# What it exports its models' boxes as, by family; what masks and keypoints add follows the name.
_YOLO = ("end2end", "yolov8", "yolov5")
_RTDETR = ("rtdetr-end2end", "rtdetr")
_KNOWN = (*HEADS, *INSTANCE_HEADS)
_SUFFIXES = {"detect": "", "segment": "-segment", "pose": "-pose"}
# In front of the description stands the model's own name: "Ultralytics rtdetr-l model trained on".
_NAME = re.compile(r"(?:Ultralytics )?(\S+)")

Shape = tuple[int | str, ...]
# Runs the graph once on noise in [0, 1] of a size (height, width), and returns its outputs in their
# order; None where it cannot be run.
Answers = Callable[[tuple[int, int]], "Sequence[Array] | None"]


def is_ultralytics(properties: Mapping[str, Any]) -> bool:
    """Whether metadata is of Ultralytics' exporter, or of YOLOv5's before it."""
    return set(properties) >= _SIGNS or _is_yolov5(properties)


def ultralytics_card(
    properties: Mapping[str, Any],
    where: str,
    *,
    shapes: Sequence[Shape] | None,
    size: tuple[int, int] | None = None,
    answers: Answers | None = None,
    decode: str | None = None,
    dtype: str = "float32",
) -> ModelCard:
    """Make a card of the metadata that Ultralytics' exporter writes.

    Its detectors see RGB in [0, 1], letterboxed on grey 114 around the centre, those of masks and
    of keypoints too, and RT-DETR stretched to the input; its classifiers RGB in [0, 1], the short
    side scaled to the input and the centre cropped, and they end in a softmax. Its other tasks
    (`obb`, `semantic`, …) have no head here and become "raw", with a sentence under `provenance`.

    Args:
        properties: The metadata, as text or as plain data.
        where: The file, for messages.
        shapes: Of the outputs, in order; None where only the metadata is known, and then a detector
            has the head that this exporter gives it today.
        size: (height, width) of the input, for YOLOv5's metadata, which does not say it; None
            where it is not fixed.
        answers: Asked where metadata and shapes leave several heads, to tell them by values.
        decode: The head that the user names; then none is looked for.
        dtype: Of the image input; one of uint8 takes the pixels as they are.

    Raises:
        BadInput: A key is missing or malformed, the outputs fit no head, or several and nothing
            tells which.
    """
    labels = class_list(
        classes_of(_literal(properties, "names", where), f"The metadata key 'names' of {where}")
    )
    scale = 1.0 if dtype == "uint8" else 1 / 255
    if _is_yolov5(properties):
        return _yolov5_card(labels, shapes, size or _YOLOV5_SIZE, scale)
    found = _literal(properties, "imgsz", where)
    if type(found) is int:
        found = [found, found]  # a square
    sides = found if isinstance(found, list | tuple) else ()
    if len(sides) != 2 or not all(type(side) is int and 0 < side < _LARGEST for side in sides):
        raise BadInput(
            f"The metadata key 'imgsz' of {where} is no [height, width]: {shown(found)}.",
            hint="Give a card with --card.",
        )
    provenance = {
        key: str(properties[key])
        for key in ("description", "author", "version", "license")
        if key in properties
    }
    kind = str(properties["task"])
    preprocess = _preprocess(
        (found[0], found[1]), "crop" if kind == "classify" else "letterbox", scale
    )
    if kind == "classify":
        return ModelCard(
            task="classification",
            labels=labels,
            preprocess=preprocess,
            postprocess=Postprocess(decode="probabilities"),
            provenance=provenance,
        )
    if kind in _SUFFIXES:
        points = _keypoints(properties, where) if kind == "pose" else None
        asked = partial(answers, (found[0], found[1])) if answers is not None else None
        head = decode or _head(properties, kind, shapes, len(labels), points, where, asked)
        rules = Postprocess(
            decode=head,
            iou=0.7,
            max_detections=300,
            keypoints=points,
            # Its prediction shows the rows that the network has chosen as they are.
            multi_label=head.startswith("end2end") or head == _RTDETR[0],
        )
        resize: Literal["letterbox", "stretch"] = "stretch" if head in _RTDETR else "letterbox"
        return ModelCard(
            task="detection",
            labels=labels,
            preprocess=_preprocess((found[0], found[1]), resize, scale),
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
    labels: tuple[str, ...],
    shapes: Sequence[Shape] | None,
    size: tuple[int, int],
    scale: float,
) -> ModelCard:
    rows, prototypes = _outputs(shapes or ())
    extra = 0 if prototypes is None else prototypes[1]
    if rows is None or not isinstance(extra, int) or rows[2] != 5 + len(labels) + extra:
        # Its classifiers say the same, and are told by their output.
        return ModelCard(task="raw", labels=labels)
    rules = Postprocess(
        decode="yolov5-segment" if extra else "yolov5", iou=0.45, max_detections=1000
    )
    return ModelCard(
        task="detection",
        labels=labels,
        preprocess=_preprocess(size, "letterbox", scale),
        postprocess=rules,
        provenance={"description": "YOLOv5"},
    )


def _preprocess(
    size: tuple[int, int], resize: Literal["letterbox", "stretch", "crop"], scale: float
) -> Preprocess:
    return Preprocess(size=size, resize=resize, scale=scale)


def _keypoints(properties: Mapping[str, Any], where: str) -> tuple[int, int]:
    """How many keypoints, and how many numbers each is."""
    found = _literal(properties, "kpt_shape", where)
    shape = list(found) if isinstance(found, list | tuple) else []
    numbers = len(shape) == 2 and all(type(each) is int for each in shape)
    if not numbers or shape[0] < 1 or shape[1] not in (2, 3):
        raise BadInput(
            f"The metadata key 'kpt_shape' of {where} is no [points, 2 or 3]: {shown(found)}."
        )
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
    answers: Callable[[], Sequence[Array] | None] | None,
) -> str:
    """Tell the head by the family in the metadata, the shapes, and then the values.

    A shape alone does not tell RT-DETR: with a number of classes that happens to match, its rows
    are as long as those of another head.
    """
    suffix = _SUFFIXES[kind]
    final, family, known = _family(properties)
    if shapes is None:
        if family is _RTDETR:
            return _RTDETR[0] if "head" in properties else _RTDETR[1]
        return f"end2end{suffix}" if final else f"yolov8{suffix}"
    rows, prototypes = _outputs(shapes)
    extra: int | str | None = 0
    if kind == "segment":
        extra = None if prototypes is None else prototypes[1]
    elif points is not None:
        extra = points[0] * points[1]
    fitting: list[str] = []
    if rows is not None and isinstance(extra, int):
        fitting = [
            name
            for name in family
            if name + suffix in _KNOWN and HEADS[name].fits(rows, classes, extra)
        ]
    if final is not None and len(fitting) > 1:
        fitting = [name for name in fitting if HEADS[name].chosen == final] or fitting
    if len(fitting) == 1 and (known or fitting[0] not in _RTDETR):
        return fitting[0] + suffix
    return _by_values(fitting, kind, shapes, classes, extra, where, answers)


def _family(properties: Mapping[str, Any]) -> tuple[bool | None, tuple[str, ...], bool]:
    """Return what metadata say of the head.

    Returns:
        Whether the network has chosen its boxes, None where nothing says it; the heads of its
        family; and whether a family is stated at all.
    """
    arguments = properties.get("args")
    if isinstance(arguments, str):
        arguments = parse_literal(arguments)
    final: bool | None = None
    if "end2end" in properties:
        final = str(properties["end2end"]).lower() == "true"
    if isinstance(arguments, dict) and arguments.get("nms"):
        final = True
    if "head" in properties:
        # Written since RT-DETR has had the first of its two heads as well.
        rtdetr = str(properties["head"]) == "RTDETRDecoder"
        return None if rtdetr else final, _RTDETR if rtdetr else _YOLO, True
    found = _NAME.match(str(properties.get("description", "")))
    name = found.group(1).lower() if found else ""
    if "rtdetr" in name or "rt-detr" in name:
        return None, _RTDETR[1:], True
    if name.startswith("yolo"):
        return final, _YOLO, True
    return final, (*_YOLO, *_RTDETR[1:]), final is not None


def _by_values(
    fitting: Sequence[str],
    kind: str,
    shapes: Sequence[Shape],
    classes: int,
    extra: int | str | None,
    where: str,
    answers: Callable[[], Sequence[Array] | None] | None,
) -> str:
    """Return the one head whose rows the values of an answer are; refuse where there is none."""
    arrays = answers() if fitting and answers is not None else None
    shown = ", ".join(str(shape) for shape in shapes) or "missing"
    what = {"detect": "detector", "segment": "model of masks", "pose": "model of keypoints"}[kind]
    told = (
        f"{where} says it is an Ultralytics {what} of {classes} classes, but its output is {shown}"
    )
    if arrays is not None:
        rows = next(array for array in arrays if array.ndim == 3)
        assert isinstance(extra, int), "nothing fits otherwise"
        read = [name for name in fitting if HEADS[name].reads_well(rows, classes, extra)]
        if len(read) == 1:
            return read[0] + _SUFFIXES[kind]
        fitting = read
    if not fitting:
        raise BadInput(f"{told}.", hint="Give a card with --card that names the head.")
    lines = " or ".join(f"--set decode={name}{_SUFFIXES[kind]}" for name in fitting)
    raise BadInput(
        f"{told}, which may be the head {' or '.join(fitting)}; neither its metadata nor its "
        "values tell which.",
        hint=f"Say it with {lines}, or under `postprocess` in a card.",
    )


def _literal(properties: Mapping[str, Any], key: str, where: str) -> Any:
    """Read a value that is plain data or its text."""
    if key not in properties:
        raise BadInput(f"The Ultralytics metadata of {where} lacks the key {key!r}.")
    value = properties[key]
    if isinstance(value, str):
        text, value = value, parse_literal(value)
        if value is None:
            raise BadInput(
                f"The metadata key {key!r} of {where} cannot be read: {shown(text)}.",
                hint="Give a card with --card.",
            )
    return value
