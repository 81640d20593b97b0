"""The model card: what must travel with the graphs so that pictures go in and answers come out."""

from __future__ import annotations

import re
import types
import typing
from typing import Any, Literal

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.fields import DTYPES, TensorType
from edgekit.core.names import closest

__all__ = [
    "CARD_SCHEMA",
    "Axis",
    "GraphCard",
    "ModelCard",
    "Postprocess",
    "Preprocess",
    "TensorCard",
    "card_from_dict",
    "card_to_dict",
]

CARD_SCHEMA = "edgekit.card/1"
# Pixels of a side of a network's input; two of them are what an image may have.
_LARGEST = 1 << 14
_RECORD = type(msgspec.Struct)
# Where msgspec found what is wrong: " - at `$.graphs[...].inputs[...].shape[0]`".
_PLACE = re.compile(r" - at `\$((?:\.[a-z_]+|\[[^]]*\])*)`$")


class Axis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dynamic axis: its name and the range the engine is compiled for.

    Attributes:
        name: For instance "batch".
        min: Smallest size.
        typical: The size engines optimise for; None means `min`.
        max: Largest size; None means not bounded.
    """

    name: str
    min: int = 1
    typical: int | None = None
    max: int | None = None

    def __post_init__(self) -> None:
        typical = self.min if self.typical is None else self.typical
        top = typical if self.max is None else self.max
        if not 1 <= self.min <= typical <= top:
            raise ValueError(
                f"axis {self.name!r} needs 1 <= min <= typical <= max, got "
                f"{self.min}, {self.typical}, {self.max}"
            )


class TensorCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of a graph.

    Attributes:
        shape: Sizes; a string or an Axis is a dynamic axis.
        dtype: A numpy dtype name, "float32".
        layout: One letter an axis, "NCHW"; None where it has no meaning.
        range: [low, high] for generated inputs; None means a normal distribution for floats and
            [0, 1] for integers.
    """

    shape: tuple[int | str | Axis, ...]
    dtype: TensorType = "float32"
    layout: str | None = None
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.layout is not None and len(self.layout) != len(self.shape):
            raise ValueError(f"layout {self.layout!r} does not name {len(self.shape)} axes")
        if self.range is not None and not self.range[0] <= self.range[1]:
            raise ValueError(f"range ends below its start, got {list(self.range)}")


class GraphCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Inputs and outputs of one graph.

    Attributes:
        inputs: Name to tensor.
        outputs: Name to tensor.
        state: Output name to the input it becomes on the next call, for a step with state.
        rows: Outputs whose rows a top-k or a suppression chose; where scores tie, their order and
            which come last are no property of the model.
    """

    inputs: dict[str, TensorCard] = {}
    outputs: dict[str, TensorCard] = {}
    state: dict[str, str] = {}
    rows: tuple[str, ...] = ()


class Preprocess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From an image to the network input.

    Attributes:
        size: [height, width] of the network input, pixels.
        resize: "letterbox" keeps the ratio and pads, "stretch" does not keep it, "crop" scales the
            short side to `resize_to` and takes the centre.
        resize_to: For "crop": the short side, pixels; None means the crop's own.
        interpolation: As OpenCV does it, without antialias.
        anchor: For "letterbox": where the image sits in the padded square.
        pad: For "letterbox": the grey level of the padding, 0 to 255.
        colour: Order of the channels; "GRAY" is one channel.
        scale: Pixels (0 to 255) are multiplied by this, then (x - mean) / std.
        mean: One value a channel, in the order of `colour`.
        std: One value a channel.
    """

    size: tuple[int, int]
    resize: Literal["letterbox", "stretch", "crop"] = "stretch"
    resize_to: int | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "area"] = "bilinear"
    anchor: Literal["center", "top-left"] = "center"
    pad: int = 114
    colour: Literal["RGB", "BGR", "GRAY"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    @property
    def channels(self) -> int:
        """Number of channels of the network input."""
        return 1 if self.colour == "GRAY" else 3

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise ValueError(f"size must be positive, got {list(self.size)}")
        short = self.size[0] if self.resize_to is None else self.resize_to
        if short < 1 or max(*self.size, short) > _LARGEST:
            raise ValueError(f"size and resize_to have 1 to {_LARGEST} pixels a side")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) < self.channels:
                raise ValueError(f"{name} needs {self.channels} values, got {len(values)}")
        if 0 in self.std:
            raise ValueError("std must not hold 0")
        if not 0 <= self.pad <= 255:
            raise ValueError(f"pad is a grey level from 0 to 255, got {self.pad}")


class Postprocess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the network's outputs to the answer.

    Attributes:
        decode: A built-in head ("softmax", "argmax", "yolox", "end2end", …) or a user's own
            "file.py:function".
        confidence: Detections are shown whose score is above this, 0 to 1.
        iou: Boxes of one class that overlap more than this are one object (NMS).
        max_detections: At most so many boxes an image.
        keypoints: For a head of keypoints: how many an object has, and the numbers of each, 2
            (x, y) or 3 (x, y, confidence).
        multi_label: Whether a box is shown once for each class above `confidence`, and not with its
            best class alone. A metric takes every class whatever this says.
    """

    decode: str
    confidence: float = 0.25
    iou: float = 0.65
    max_detections: int = 100
    keypoints: tuple[int, int] | None = None
    multi_label: bool = False

    def __post_init__(self) -> None:
        for name, value in (("confidence", self.confidence), ("iou", self.iou)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {value}")
        if self.max_detections < 1:
            raise ValueError(f"max_detections must be at least 1, got {self.max_detections}")
        points = self.keypoints
        if points is not None and (points[0] < 1 or points[1] not in (2, 3)):
            raise ValueError(f"keypoints is [how many, 2 or 3], got {list(points)}")


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Task, labels, tensors and processing of a model.

    Attributes:
        schema: Always CARD_SCHEMA.
        task: What the model answers; "raw" means tensors in, tensors out.
        labels: One name a class, in class order; empty where unknown.
        inputs: Inputs of the graph "main".
        outputs: Outputs of the graph "main".
        state: State of the graph "main", see GraphCard.
        rows: Outputs of the graph "main" that are sets of rows, see GraphCard.
        graphs: Further graphs by role ("encoder", "step"); a model of several graphs has no "main".
        preprocess: None for "raw".
        postprocess: None for "raw".
        provenance: Where the weights come from, free text by key.
    """

    schema: Literal["edgekit.card/1"] = "edgekit.card/1"
    task: Literal["classification", "detection", "segmentation", "audio", "text", "raw"] = "raw"
    labels: tuple[str, ...] = ()
    inputs: dict[str, TensorCard] = {}
    outputs: dict[str, TensorCard] = {}
    state: dict[str, str] = {}
    rows: tuple[str, ...] = ()
    graphs: dict[str, GraphCard] = {}
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    provenance: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.task in ("classification", "detection", "segmentation"):
            if self.preprocess is None:
                raise ValueError(f"task {self.task!r} needs the key `preprocess`")
            if self.postprocess is None:
                raise ValueError(f"task {self.task!r} needs the key `postprocess`")

    def graph(self, role: str) -> GraphCard:
        """Return inputs, outputs and state of one graph; empty where the card is silent."""
        if role == "main":
            return GraphCard(self.inputs, self.outputs, self.state, self.rows)
        return self.graphs.get(role, GraphCard())

    def with_graphs(self, graphs: dict[str, GraphCard]) -> ModelCard:
        """Return the card with what the graphs themselves say about their tensors filled in."""
        main = graphs.get("main")
        others = {role: graph for role, graph in graphs.items() if role != "main"}
        card = msgspec.structs.replace(self, graphs=others)
        if main is None:
            return card
        return msgspec.structs.replace(
            card, inputs=main.inputs, outputs=main.outputs, state=main.state, rows=main.rows
        )


def card_from_dict(content: object, where: str) -> ModelCard:
    """Make a card of parsed YAML or JSON; `labels` must be a list by now.

    Args:
        content: What the parser returned.
        where: The file's name, for the message.

    Raises:
        BadInput: Names the key that is wrong, and the closest one that is right.
    """
    if not isinstance(content, dict):
        raise BadInput(f"{where} is not a card: it holds no keys.", hint="See docs/card.md.")
    try:
        return msgspec.convert(content, ModelCard, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        message = str(error)
        hint = "See docs/card.md."
        place = _PLACE.search(message)
        kind = _kind_at(place[1] if place else "")
        if "unknown field" in message:
            fields = getattr(kind, "__struct_fields__", ModelCard.__struct_fields__)
            hint = closest(message.split("`")[1], fields)
        elif "Invalid enum value" in message:
            hint = closest(message.split("'")[1], typing.get_args(kind))
        elif "matching regex" in message and place:
            message = f"Expected the type of a tensor{place[0]}"
            hint = f"Known: {', '.join(sorted(DTYPES))}."
        raise BadInput(f"{where} is not a valid card: {message}.", hint=hint) from error


def card_to_dict(card: ModelCard) -> dict[str, Any]:
    """Return plain data (lists, dicts, strings, numbers) that card_from_dict reads back."""
    content = msgspec.to_builtins(card)
    assert isinstance(content, dict)
    if card.postprocess is not None:
        # A card that does not use a key stays what it was before there was one, to its readers too.
        for key in ("keypoints", "multi_label"):
            if not content["postprocess"][key]:
                del content["postprocess"][key]
    return {key: value for key, value in content.items() if value not in ({}, [], (), None)}


def _kind_at(place: str) -> Any:
    """The type of what stands at a place in a card.

    Args:
        place: As msgspec names it; empty is the card itself.
    """
    kind: Any = ModelCard
    try:
        for step in re.findall(r"[a-z_]+|\[", place):
            if step == "[":
                kind = next(one for one in reversed(typing.get_args(kind)) if one is not ...)
            else:
                kind = typing.get_type_hints(kind)[step]
            # Of "this or that" and "this or nothing" a place has one that has places in it.
            records = [one for one in typing.get_args(kind) if isinstance(one, _RECORD)]
            if isinstance(kind, types.UnionType) and records:
                (kind,) = records
    except (KeyError, TypeError, StopIteration):
        return ModelCard  # a key that holds what msgspec writes forged the place
    return kind
