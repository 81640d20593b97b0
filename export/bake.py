"""Pre- and postprocessing put into a finished graph."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.card import Axis, ModelCard, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.export.bake_detections import OPSET, write_detections
from edgekit.export.graph import at_least_opset
from edgekit.export.graph_writer import GraphWriter
from edgekit.export.metadata import put_card
from edgekit.export.onnx_file import read_onnx, write_onnx
from edgekit.tasks.baked import DETECTIONS, baked_card, parse_bake
from edgekit.tasks.preprocess import image_input

if TYPE_CHECKING:
    import onnx

__all__ = ["bake_graph"]


def bake_graph(model: Path, output: Path, card: ModelCard, what: Iterable[str]) -> None:
    """Put preprocessing, NMS or both into a graph, whatever its precision; added nodes are fp32.

    Only standard operators are added. The card in the metadata becomes the baked one. The file is
    written atomically, and the same graph gives the same bytes.

    Args:
        model: The finished ONNX file of the graph "main": fp32, fp16 or int8.
        output: Where to write; may be `model`.
        card: The plain model's, with its inputs filled in.
        what: Of edgekit.tasks.baked.BAKES.

    Raises:
        BadInput: See edgekit.tasks.baked.baked_card; or the graph does not fit the card.
        MissingLibrary: onnx is not installed.
    """
    words = parse_bake(what)
    baked = baked_card(card, words)
    graph = read_onnx(model)
    if "nms" in words:
        graph = at_least_opset(graph, OPSET)
        _bake_nms(graph, card, baked.outputs[DETECTIONS])
    if "preprocess" in words:
        _bake_preprocess(graph, card, baked)
    _check(graph, model)
    put_card(graph, baked)
    write_onnx(graph, output)


def _bake_preprocess(model: onnx.ModelProto, card: ModelCard, baked: ModelCard) -> None:
    """Let the input be uint8 NHWC: transposed while it is small, then cast and normalised."""
    found = image_input(card)
    assert found is not None, "baked_card has refused it"
    assert card.preprocess is not None, "baked_card has refused it"
    name, tensor = found
    entry = next((one for one in model.graph.input if one.name == name), None)
    if entry is None:
        raise BadInput(
            f"The graph has no input {name!r} to bake preprocessing into.",
            hint=f"It has: {', '.join(one.name for one in model.graph.input)}.",
        )
    writer = GraphWriter(model, "preprocess/")
    plain = writer.name(f"{name}_normalised")
    writer.rename(name, plain)
    pixels = name
    nchw = (tensor.layout or "NCHW") == "NCHW"
    if nchw:
        pixels = writer.add("Transpose", pixels, perm=[0, 3, 1, 2])
    steps = _normalisation(card.preprocess, (1, -1, 1, 1) if nchw else (1, 1, 1, -1))
    number = writer.add("Cast", pixels, to=1, output="" if steps else plain)
    for index, (operator, values) in enumerate(steps):
        last = plain if index == len(steps) - 1 else ""
        number = writer.add(operator, number, writer.constant(values), output=last)
    writer.prepend()
    entry.CopyFrom(_value_info(name, baked.inputs[name]))


def _normalisation(
    preprocess: Preprocess, shape: tuple[int, ...]
) -> list[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    """Return what turns a level of 0 to 255 into the network's number, in as few steps as it can.

    (x * scale - mean) / std is (x - mean / scale) / (std / scale): a division by 255 is then one,
    rounded once.
    """
    channels = preprocess.channels
    mean = np.array(preprocess.mean[:channels]) / preprocess.scale
    std = np.array(preprocess.std[:channels]) / preprocess.scale
    steps = []
    if mean.any():
        steps.append(("Sub", mean.astype(np.float32).reshape(shape)))
    if (std != 1).any():
        steps.append(("Div", std.astype(np.float32).reshape(shape)))
    return steps


def _bake_nms(model: onnx.ModelProto, card: ModelCard, rows: TensorCard) -> None:
    """Let the only output be the detections."""
    writer = GraphWriter(model, "nms/")
    if writer.taken(DETECTIONS):
        writer.rename(DETECTIONS, writer.name(f"{DETECTIONS}_before"))
    write_detections(writer, model, card, DETECTIONS)
    writer.append()
    del model.graph.output[:]
    model.graph.output.append(_value_info(DETECTIONS, rows))


def _value_info(name: str, tensor: TensorCard) -> onnx.ValueInfoProto:
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    shape = [size.name if isinstance(size, Axis) else size for size in tensor.shape]
    return helper.make_tensor_value_info(name, kind, shape)


def _check(graph: onnx.ModelProto, model: Path) -> None:
    import onnx

    try:
        onnx.checker.check_model(graph)
    except onnx.checker.ValidationError as error:
        first = next(iter(str(error).splitlines()), "")
        raise BadInput(
            f"{model} cannot be baked: {first}.", hint="Leave out --bake for this model."
        ) from error
