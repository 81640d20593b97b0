"""A finished ONNX graph at another height and width: sizes that it carries inside written anew.

A network of convolutions takes any size, but its file may not: exporters bake the sizes of the maps
into Reshape, Resize, Slice and Expand. Those are recognised by comparing what every tensor measures
at the old size and at the new one, and written for the new one. What depends on the size in its
values (a grid of anchors, a position embedding, a layer over the whole picture) is refused: no
other number would be right there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import axis_sizes, generate_feeds
from edgekit.core.onnx_bytes import bodies
from edgekit.core.runtime import Array, Feeds
from edgekit.core.temporary import scratch
from edgekit.export.baked_sizes import AGAIN, Sizes, rewrite_sizes, small_tensor
from edgekit.export.cleanup import GraphRunner
from edgekit.export.graph import in_order
from edgekit.export.metadata import graph_card, put_card
from edgekit.export.onnx_file import read_onnx, write_onnx
from edgekit.export.shapes import graph_values
from edgekit.export.ultralytics_card import is_ultralytics
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.stream_shape import DEFAULT_STRIDE, card_at, shape_text

__all__ = ["graph_stride", "reshape_input", "resize_graph"]

_QDQ = {"QuantizeLinear", "DequantizeLinear"}
# Only rounding may differ where a size is computed instead of read.
_TOLERANCE = 1e-6


def graph_stride(graph: Path) -> int:
    """Return the stride that the metadata of an ONNX file says; else the usual 32 pixels.

    Raises:
        BadInput: Missing, damaged, or no ONNX file.
    """
    for entry in read_onnx(graph).metadata_props:
        if entry.key == "stride":
            digits = "".join(letter if letter.isdigit() else " " for letter in entry.value).split()
            return max((int(word) for word in digits), default=0) or DEFAULT_STRIDE
    return DEFAULT_STRIDE


def resize_graph(
    graph: Path, output: Path, card: ModelCard, size: tuple[int, int], runner: GraphRunner
) -> ModelCard:
    """Write an ONNX file whose image input has a fixed height and width, and a batch of one.

    The written graph must answer as the given one does: at the new size where that one takes any
    size, else at its own. At the new size it must run and give what its declared shapes say.

    Args:
        graph: fp32, fp16 or int8.
        output: Where to write; may be `graph`.
        card: Of the graph, with its inputs filled in.
        size: (height, width), pixels.
        runner: Runs a file.

    Returns:
        The card at that size, as it stands in the file's metadata.

    Raises:
        BadInput: The card letterboxes nothing, or the graph cannot have another size; says why and
            what to do.
    """
    fixed = card_at(card, size)
    model = read_onnx(graph)
    name, tensor = _image(card, model, str(graph))
    place = tensor.layout or "NCHW"
    before = [tensor.shape[place.index(letter)] for letter in "HW"]
    # A graph that takes any size is compared at the new one, another at its own.
    old = _or_size(before[0], size[0]), _or_size(before[1], size[1])
    start = model
    if old != size and math.prod(old) == math.prod(size):
        # A picture that is turned has as many places as before, which hides what depends on them.
        square = max(old), max(old)
        start = reshape_input(model, name, place, square, str(graph))
    made = reshape_input(start, name, place, size, str(graph))
    same = made if old == size else reshape_input(model, name, place, old, str(graph))
    if start is model:
        same = _at_old_size(made, same)
    _refuse_other_answers(model, same, name, str(graph), runner)
    _refuse_failing(made, str(graph), runner)
    own = graph_card(made, str(graph))
    inputs = {key: _filled(fixed.inputs.get(key), value) for key, value in own.inputs.items()}
    was = "x".join(str(side) for side in before)
    origin = f"{shape_text(size)}, set by edgekit in a graph of {was}"
    fixed = msgspec.structs.replace(
        fixed,
        inputs=inputs,
        outputs=own.outputs,
        provenance={**fixed.provenance, "input_shape": origin},
    )
    _put_imgsz(made, size)
    put_card(made, fixed)
    write_onnx(made, output)
    return fixed


def reshape_input(model: Any, name: str, layout: str, size: tuple[int, int], where: str) -> Any:
    """Return the model with its image input at a height and width, and a batch of one.

    Args:
        model: onnx.ModelProto; left as it is.
        name: Of the image input.
        layout: "NCHW" or "NHWC".
        size: (height, width), pixels.
        where: The file, for messages.

    Raises:
        BadInput: See the module.
    """
    import onnx

    _refuse_branches(model, where)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    entry = next(value for value in changed.graph.input if value.name == name)
    old, new = list[int](), list[int]()
    for letter, axis in zip(layout, entry.type.tensor_type.shape.dim, strict=True):
        wanted = {"N": 1, "H": size[0], "W": size[1]}.get(letter, axis.dim_value)
        old.append(axis.dim_value if axis.dim_value > 0 else wanted)
        new.append(wanted)
    for axis, wanted in zip(entry.type.tensor_type.shape.dim, new, strict=True):
        axis.ClearField("dim_param")
        axis.dim_value = wanted
    others = {
        value.name: tuple(max(1, axis.dim_value) for axis in value.type.tensor_type.shape.dim)
        for value in changed.graph.input
        if value.name != name
    }
    del changed.graph.value_info[:]
    sizes = ({**others, name: tuple(old)}, {**others, name: tuple(new)})
    if old != new:
        rewrite_sizes(changed, model, sizes, where)
    _fold(changed, sizes[1])
    _declare(changed, sizes[1])
    return changed


def _fold(model: Any, sizes: Sizes) -> None:
    """Put the shapes that are known now into the graph, and drop what computed them."""
    _, values = graph_values(model, sizes)
    makers = {output: node for node in model.graph.node for output in node.output if output}
    outputs = {value.name for value in model.graph.output}
    present = {tensor.name for tensor in model.graph.initializer}
    scales = {node.input[2] for node in model.graph.node if _has_scales(node)}
    put = []
    for name, value in values.items():
        maker = makers.get(name)
        if maker is None or maker.op_type in {*_QDQ, "Constant"} or name in present | outputs:
            continue
        if value.dtype.kind in "iub" or name in scales:
            put.append((name, value))
    replaced = {name for name, _ in put}
    kept = [node for node in model.graph.node if not set(filter(None, node.output)) <= replaced]
    for name, value in put:
        if all(name not in node.output for node in kept):
            model.graph.initializer.append(small_tensor(value, name))
    _keep(model, kept, outputs)


def _has_scales(node: Any) -> bool:
    return node.op_type == "Resize" and len(node.input) > 2


def _keep(model: Any, nodes: list[Any], outputs: set[str]) -> None:
    """Keep of these nodes and of the initializers what an output needs."""
    needed = set(outputs)
    used = []
    for node in reversed(nodes):
        if needed & set(node.output):
            used.append(type(node)())
            used[-1].CopyFrom(node)
            needed.update(node.input)
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    copies = []
    for tensor in tensors:
        copies.append(type(tensor)())
        copies[-1].CopyFrom(tensor)
    del model.graph.node[:]
    model.graph.node.extend(reversed(used))
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
    in_order(model)


def _declare(model: Any, sizes: Sizes) -> None:
    """Write the outputs' shapes, which must follow from the input's."""
    tensors, _ = graph_values(model, sizes)
    for value in model.graph.output:
        found = tensors.get(value.name)
        dims = value.type.tensor_type.shape.dim
        if found is None or found.shape is None:
            # What depends on the data stays open.
            for axis in dims:
                if axis.HasField("dim_value"):
                    axis.dim_param = f"{value.name}_open"
            continue
        del dims[:]
        for size in found.shape:
            dims.add().dim_value = size


def _image(card: ModelCard, model: Any, where: str) -> tuple[str, TensorCard]:
    """Name of the image input, and its tensor as the graph has it with the card's layout."""
    own = graph_card(model, where).inputs
    found = image_input(card) if card.inputs else None
    if found is None:
        found = image_input(ModelCard(inputs=own))
    assert found is not None, "a graph has inputs"
    name, tensor = found
    if name not in own:
        raise BadInput(f"{where} has no input {name!r}.", hint=f"It has: {', '.join(own)}.")
    shape = tuple(axis.name if isinstance(axis, Axis) else axis for axis in own[name].shape)
    return name, TensorCard(shape=shape, dtype=own[name].dtype, layout=tensor.layout)


def _refuse_branches(model: Any, where: str) -> None:
    for node in model.graph.node:
        if any(True for _ in bodies(node)):
            raise BadInput(
                f"{where} branches or loops ({node.op_type}), so its size cannot be changed.",
                hint=AGAIN,
            )


def _or_size(side: int | str | Axis, size: int) -> int:
    return side if isinstance(side, int) else size


def _filled(known: TensorCard | None, own: TensorCard) -> TensorCard:
    if known is None:
        return own
    return TensorCard(own.shape, own.dtype, known.layout, known.range)


def _at_old_size(made: Any, same: Any) -> Any:
    """Return the graph as rewritten for the new size, where that holds at the old size too.

    A Reshape whose operand says -1 is one text for both sizes; what is not is taken from the graph
    that was rewritten for the old size.
    """
    generic = {tensor.name: tensor for tensor in made.graph.initializer}
    mixed = type(same)()
    mixed.CopyFrom(same)
    swaps = {
        node.output[0]: node.input[1]
        for node in made.graph.node
        if node.op_type == "Reshape" and node.input[1].endswith("_at_size")
    }
    from onnx import numpy_helper

    for node in mixed.graph.node:
        name = swaps.get(node.output[0]) if node.op_type == "Reshape" else None
        if name is not None and -1 in numpy_helper.to_array(generic[name]):
            mixed.graph.initializer.add().CopyFrom(generic[name])
            node.input[1] = name
    return mixed


def _refuse_other_answers(
    model: Any, same: Any, name: str, where: str, runner: GraphRunner
) -> None:
    """Run the graph as it was and as it is written, at the size that it had."""
    feeds = _feeds(same)
    given = next(value for value in model.graph.input if value.name == name)
    batch = given.type.tensor_type.shape.dim[0].dim_value
    before = _run_model(model, _repeated(feeds, name, batch), runner)
    after = _run_model(same, feeds, runner)
    for key, reference in before.items():
        one = reference[:1] if batch > 1 else reference
        if one.shape != after[key].shape or not np.allclose(
            one, after[key], rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
        ):
            raise BadInput(
                f"{where} cannot take another size: written anew, it gives another {key!r} at its "
                "own size already.",
                hint=AGAIN,
            )


def _repeated(feeds: Feeds, name: str, batch: int) -> dict[str, Array]:
    return {
        key: np.repeat(array, batch, axis=0) if key == name and batch > 1 else array
        for key, array in feeds.items()
    }


def _refuse_failing(made: Any, where: str, runner: GraphRunner) -> None:
    """Run the graph at the new size; its outputs must have the shapes that it declares."""
    feeds = _feeds(made)
    try:
        outputs = _run_model(made, feeds, runner)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BadInput(
            f"{where} cannot take another size: it does not run there ({first.rstrip('.')}).",
            hint=AGAIN,
        ) from error
    for key, tensor in graph_card(made, where).outputs.items():
        declared = [size for size in tensor.shape if isinstance(size, int)]
        if len(declared) == len(tensor.shape) and tuple(declared) != outputs[key].shape:
            raise BadInput(
                f"{where} cannot take another size: its output {key!r} is {outputs[key].shape} "
                f"there, and {tuple(declared)} follows from its layers.",
                hint=AGAIN,
            )


def _feeds(model: Any) -> dict[str, Array]:
    tensors = {
        name: TensorCard(tensor.shape, tensor.dtype, range=(0, 1))
        for name, tensor in graph_card(model).inputs.items()
    }
    return generate_feeds(tensors, axis_sizes(tensors), 0)


def _run_model(model: Any, feeds: Feeds, runner: GraphRunner) -> Mapping[str, Array]:
    with scratch("shape") as folder:
        path = folder / "graph.onnx"
        path.write_bytes(model.SerializeToString())
        return runner(path, feeds)


def _put_imgsz(model: Any, size: tuple[int, int]) -> None:
    """Let Ultralytics' own metadata say the new size too."""
    if not is_ultralytics({entry.key: entry.value for entry in model.metadata_props}):
        return
    for entry in model.metadata_props:
        if entry.key == "imgsz":
            entry.value = str(list(size))
        elif entry.key == "batch":
            entry.value = "1"
        elif entry.key == "dynamic":
            entry.value = "False"
