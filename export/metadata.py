"""The card inside an ONNX file's metadata, ours and Ultralytics', and what a graph says itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgekit.core.card import (
    Axis,
    GraphCard,
    ModelCard,
    Postprocess,
    Preprocess,
    TensorCard,
    card_from_dict,
    card_to_dict,
)
from edgekit.core.errors import BadInput
from edgekit.core.onnx_keys import CARD_KEY, ROLE_KEY
from edgekit.core.requires import requires
from edgekit.export.onnx_file import read_onnx, write_onnx
from edgekit.export.signature import match_names, merge_tensors

__all__ = ["card_of", "graph_card", "put_card", "read_card", "with_card", "write_card"]


def read_card(path: Path) -> ModelCard | None:
    """Read the card off an ONNX file's metadata; None where it carries none.

    Raises:
        BadInput: No ONNX file, or metadata that is malformed; names the key.
    """
    with requires("onnx", extra="onnx", why=f"to read {path}"):
        import onnx
        from google.protobuf.message import DecodeError
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise BadInput(f"{path} is not an ONNX file, or it is damaged.") from error
    return card_of(model, str(path))


def card_of(model: Any, where: str) -> ModelCard | None:
    """Return the card that a loaded model carries: edgekit's own, else Ultralytics', else None.

    Args:
        model: onnx.ModelProto.
        where: The file, for messages.

    Raises:
        BadInput: Metadata that is malformed; names the key.
    """
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if CARD_KEY in properties:
        try:
            content = msgspec.json.decode(properties[CARD_KEY])
        except msgspec.DecodeError as error:
            raise BadInput(
                f"The metadata key {CARD_KEY!r} of {where} is no JSON: {error}.",
                hint="Give a card with --card, or export the model again.",
            ) from error
        return card_from_dict(content, f"The metadata key {CARD_KEY!r} of {where}")
    if {"task", "names", "stride"} <= set(properties):
        return _ultralytics_card(properties, model, where)
    return None


def put_card(model: Any, card: ModelCard, role: str = "main") -> None:
    """Put the card into a model's metadata, in place of one that is there."""
    values = {
        CARD_KEY: msgspec.json.encode(card_to_dict(card)).decode(),
        ROLE_KEY: role,
    }
    kept = [entry for entry in model.metadata_props if entry.key not in values]
    others = {entry.key: entry.value for entry in kept}
    del model.metadata_props[:]
    for key, value in {**others, **values}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def write_card(path: Path, card: ModelCard, role: str = "main") -> None:
    """Write the card into an ONNX file, atomically; external data is taken into the file.

    Raises:
        BadInput: The file is damaged or cannot be written.
    """
    model = read_onnx(path)
    put_card(model, card, role)
    write_onnx(model, path)


def graph_card(model: Any, where: str = "the graph") -> GraphCard:
    """Read inputs and outputs off a graph.

    A dynamic axis keeps its name (`dim_param`); one without a name is called "batch" where it
    comes first, else TENSOR_INDEX.

    Args:
        model: onnx.ModelProto.
        where: The file, for messages.

    Raises:
        BadInput: An input or output that is no dense tensor, or has no shape.
    """
    initialised = {tensor.name for tensor in model.graph.initializer}
    inputs = [tensor for tensor in model.graph.input if tensor.name not in initialised]
    return GraphCard(
        inputs={tensor.name: _tensor_card(tensor, where) for tensor in inputs},
        outputs={tensor.name: _tensor_card(tensor, where) for tensor in model.graph.output},
    )


def with_card(model: Any, card: GraphCard, where: str) -> tuple[GraphCard, list[str]]:
    """Combine what a graph says with what its card adds: ranges of axes, layouts, state.

    Args:
        model: onnx.ModelProto.
        card: What the user wrote about this graph; may be empty.
        where: The file, for messages.

    Returns:
        The graph's full card, and a note for every place where graph and card differ harmlessly.

    Raises:
        BadInput: They contradict each other.
    """
    own = graph_card(model, where)
    inputs, notes = merge_tensors(
        own.inputs, match_names(tuple(own.inputs), card.inputs, where), where
    )
    known = {name: tensor for name, tensor in card.outputs.items() if name in own.outputs}
    if known != card.outputs:
        unknown = next(name for name in card.outputs if name not in own.outputs)
        raise BadInput(
            f"{where} has no output {unknown!r}.", hint=f"It has: {', '.join(own.outputs)}."
        )
    outputs = {
        name: msgspec.structs.replace(tensor, layout=known[name].layout if name in known else None)
        for name, tensor in own.outputs.items()
    }
    for source, target in card.state.items():
        if source not in outputs or target not in inputs:
            raise BadInput(
                f"The card's state {source!r} to {target!r} names no output and input of {where}.",
                hint=f"Outputs: {', '.join(outputs)}; inputs: {', '.join(inputs)}.",
            )
        if _sizes(outputs[source]) != _sizes(inputs[target]):
            raise BadInput(
                f"The card's state {source!r} cannot become {target!r} in {where}: "
                f"{_sizes(outputs[source])} against {_sizes(inputs[target])}."
            )
    return GraphCard(inputs=inputs, outputs=outputs, state=card.state), notes


def _sizes(tensor: TensorCard) -> tuple[int | str, ...]:
    return tuple(size.name if isinstance(size, Axis) else size for size in tensor.shape)


def _tensor_card(value: Any, where: str) -> TensorCard:
    import onnx

    kind = value.type.WhichOneof("value")
    if kind != "tensor_type" or not value.type.tensor_type.HasField("shape"):
        raise BadInput(
            f"{value.name!r} of {where} has no shape that edgekit can use.",
            hint="Every input and output must be a tensor with a known number of axes.",
        )
    tensor = value.type.tensor_type
    shape: list[int | str] = []
    for index, size in enumerate(tensor.shape.dim):
        if size.HasField("dim_value") and size.dim_value > 0:
            shape.append(int(size.dim_value))
        else:
            default = "batch" if index == 0 else f"{value.name}_{index}"
            shape.append(size.dim_param or default)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return TensorCard(shape=tuple(shape), dtype=dtype)


def _ultralytics_card(properties: Mapping[str, str], model: Any, where: str) -> ModelCard:
    """Make a card of the metadata that Ultralytics' exporter writes.

    Its detectors see RGB in [0, 1], letterboxed on grey 114 around the centre; its classifiers RGB
    in [0, 1], the short side scaled to the input and the centre cropped, and they end in a softmax.
    Its other tasks have no head here and become "raw".
    """
    names = _literal(properties, "names", where, dict)
    labels = tuple(str(names[key]) for key in sorted(names))
    size = _literal(properties, "imgsz", where, list | tuple)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise BadInput(f"The metadata key 'imgsz' of {where} is no [height, width]: {size!r}.")
    provenance = {
        key: properties[key]
        for key in ("description", "author", "version", "license")
        if key in properties
    }
    kind = properties["task"]
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
                decode=_ultralytics_head(properties, model, len(labels), where),
                iou=0.7,
                max_detections=300,
            ),
            provenance=provenance,
        )
    return ModelCard(
        task="raw", labels=labels, preprocess=preprocess, provenance={**provenance, "task": kind}
    )


def _ultralytics_head(properties: Mapping[str, str], model: Any, classes: int, where: str) -> str:
    """Tell the head by the output's shape: (N, K, 6) final boxes, or (N, 4 + classes, anchors)."""
    shape = _sizes(next(iter(graph_card(model, where).outputs.values())))
    if properties.get("end2end", "").lower() == "true" or (len(shape) == 3 and shape[2] == 6):
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


def _literal(properties: Mapping[str, str], key: str, where: str, kind: Any) -> Any:
    """Read a Python literal; literal_eval builds plain data and runs nothing."""
    try:
        value = ast.literal_eval(properties[key])
    except KeyError as error:
        raise BadInput(f"The Ultralytics metadata of {where} lacks the key {key!r}.") from error
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise BadInput(
            f"The metadata key {key!r} of {where} cannot be read: {properties[key][:80]!r}.",
            hint="Give a card with --card.",
        ) from error
    if not isinstance(value, kind):
        raise BadInput(f"The metadata key {key!r} of {where} is {type(value).__name__!r}.")
    return value
