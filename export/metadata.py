"""The card inside an ONNX file's metadata, ours and Ultralytics', and what a graph says itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.card import (
    Axis,
    GraphCard,
    ModelCard,
    TensorCard,
    card_from_dict,
    card_to_dict,
)
from edgekit.core.errors import BadInput
from edgekit.core.inputs import axis_sizes, generate_feeds
from edgekit.core.json_text import parse_json
from edgekit.core.onnx_keys import CARD_KEY, ROLE_KEY
from edgekit.core.runtime import Array, Feeds
from edgekit.export.onnx_file import read_onnx, write_onnx
from edgekit.export.row_sets import chosen_rows
from edgekit.export.signature import match_names, merge_tensors
from edgekit.export.ultralytics_card import is_ultralytics, ultralytics_card
from edgekit.tasks.outputs import Outputs

__all__ = [
    "card_of",
    "graph_card",
    "put_card",
    "read_card",
    "with_card",
    "write_card",
]


def read_card(
    path: Path,
    *,
    run: Callable[[Path, Feeds], Outputs | None] | None = None,
    decode: str | None = None,
) -> ModelCard | None:
    """Read the card off an ONNX file's metadata; None where it carries none.

    Args:
        path: The file.
        run: Runs it once where only values tell the head of Ultralytics' detector.
        decode: The head that the user names, which is then not looked for.

    Raises:
        BadInput: No ONNX file, or metadata that is malformed; names the key.
    """
    runner = None if run is None else partial(run, path)
    return card_of(read_onnx(path), str(path), run=runner, decode=decode)


def card_of(
    model: Any,
    where: str,
    *,
    run: Callable[[Feeds], Outputs | None] | None = None,
    decode: str | None = None,
) -> ModelCard | None:
    """Return the card that a loaded model carries: edgekit's own, else Ultralytics', else None.

    Args:
        model: onnx.ModelProto.
        where: The file, for messages.
        run: As for `read_card`, for this file.
        decode: As for `read_card`.

    Raises:
        BadInput: Metadata that is malformed; names the key.
    """
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if CARD_KEY in properties:
        place = f"The metadata key {CARD_KEY!r} of {where}"
        hint = "Give a card with --card, or export the model again."
        return card_from_dict(parse_json(properties[CARD_KEY], place, hint=hint), place)
    if not is_ultralytics(properties):
        return None
    own = graph_card(model, where)

    def answers(size: tuple[int, int]) -> list[Array] | None:
        found = run(_noise(own, size)) if run is not None else None
        return None if found is None else [found[name] for name in own.outputs]

    return ultralytics_card(
        properties,
        where,
        shapes=[_sizes(tensor) for tensor in own.outputs.values()],
        size=_image_size(own),
        answers=answers,
        decode=decode,
        dtype=next(
            (tensor.dtype for tensor in own.inputs.values() if len(tensor.shape) == 4), "float32"
        ),
    )


def _noise(graph: GraphCard, size: tuple[int, int]) -> Feeds:
    """Return one image of noise in [0, 1], of a size (height, width), for each input of 4 axes."""
    inputs = {
        name: msgspec.structs.replace(
            tensor, shape=(1, *tensor.shape[1:2], *size), range=(0.0, 1.0)
        )
        for name, tensor in graph.inputs.items()
        if len(tensor.shape) == 4
    }
    return generate_feeds(inputs, axis_sizes(inputs), 0)


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
    return GraphCard(
        inputs={tensor.name: _tensor_card(tensor, where) for tensor in model.graph.input},
        outputs={tensor.name: _tensor_card(tensor, where) for tensor in model.graph.output},
        rows=chosen_rows(model),
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
    unknown = next((name for name in (*card.outputs, *card.rows) if name not in own.outputs), None)
    if unknown is not None:
        raise BadInput(
            f"{where} has no output {unknown!r}.", hint=f"It has: {', '.join(own.outputs)}."
        )
    outputs = dict(own.outputs)
    for name, tensor in known.items():
        if tensor.layout is not None and len(tensor.layout) != len(outputs[name].shape):
            raise BadInput(
                f"The card's layout {tensor.layout} of the output {name!r} does not name the "
                f"{len(outputs[name].shape)} axes that it has in {where}."
            )
        outputs[name] = msgspec.structs.replace(outputs[name], layout=tensor.layout)
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
    rows = tuple(dict.fromkeys((*own.rows, *card.rows)))
    return GraphCard(inputs=inputs, outputs=outputs, state=card.state, rows=rows), notes


def _image_size(graph: GraphCard) -> tuple[int, int] | None:
    """Return (height, width) of the one input in NCHW; None where it is not fixed."""
    sizes = [_sizes(tensor) for tensor in graph.inputs.values()]
    if len(sizes) != 1 or len(sizes[0]) != 4:
        return None
    height, width = sizes[0][2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


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
    if tensor.elem_type not in onnx.helper.get_all_tensor_dtypes():
        raise BadInput(
            f"{value.name!r} of {where} has no type in the graph.", hint="Export the model again."
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return TensorCard(shape=tuple(shape), dtype=dtype)
