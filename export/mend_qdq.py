"""Rewrites other tools' Q/DQ so that TensorRT takes it: symmetric int8, biases in float."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.export.graph import attribute, constants, load, producers, with_initializers
from edgekit.export.qdq import SMALLEST_SCALE

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    Values = dict[str, NDArray[np.generic]]
    Makers = dict[str, onnx.NodeProto]

__all__ = ["QdqFaults", "mend_qdq", "qdq_faults"]

_PAIR = ("QuantizeLinear", "DequantizeLinear")
# Operators that compute on integers themselves instead of standing between Q and DQ.
_INTEGER = ("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul")


@dataclass(frozen=True)
class QdqFaults:
    """What TensorRT does not take in a quantized graph, by tensor name.

    Attributes:
        biases: int32 biases behind a DequantizeLinear, as ONNX Runtime's quantizer writes them.
        shifted: Tensors whose zero point is not 0, or that are unsigned.
        integer: Nodes of operators that compute on integers, which cannot be mended.
    """

    biases: tuple[str, ...] = ()
    shifted: tuple[str, ...] = ()
    integer: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.biases or self.shifted or self.integer)

    def words(self) -> str:
        """Name each kind with its first tensor: "12 quantized biases (fc1.bias, …)"."""
        said = []
        for names, what in (
            (self.biases, "quantized biases"),
            (self.shifted, "tensors that are unsigned or shifted"),
            (self.integer, "integer operators"),
        ):
            if names:
                more = ", …" if len(names) > 1 else ""
                said.append(f"{len(names)} {what} ({names[0]}{more})")
        return " and ".join(said)


def qdq_faults(model: onnx.ModelProto) -> QdqFaults:
    """Find what TensorRT's parser refuses in a graph's Q/DQ.

    Args:
        model: Weights may be initializers or Constant nodes.
    """
    prepared = with_initializers(model)
    values = constants(prepared)
    biases, shifted = [], []
    makers = producers(prepared)
    for node in prepared.graph.node:
        if node.op_type == "DequantizeLinear" and _is_bias(node, values):
            biases.append(node.input[0])
        elif node.op_type in _PAIR and _is_shifted(node, values, makers):
            # A pair counts once, by what it rounds.
            maker = makers.get(node.input[0])
            shifted.append((maker or node).input[0] if node.op_type != _PAIR[0] else node.input[0])
    integer = [node.output[0] for node in prepared.graph.node if node.op_type in _INTEGER]
    return QdqFaults(tuple(biases), tuple(dict.fromkeys(shifted)), tuple(integer))


def mend_qdq(path: Path, output: Path) -> list[str]:
    """Write a copy whose Q/DQ TensorRT takes.

    Biases become the floats that they stand for, exactly. An unsigned or shifted tensor gets the
    symmetric scale that covers the same range: for zero point 128 that changes nothing, for others
    a step becomes up to twice as wide.

    Args:
        path: An ONNX file.
        output: Where to write, atomically.

    Returns:
        A sentence for each kind of change; empty where there was none.

    Raises:
        BadInput: Operators that compute on integers, which have to be quantized again.
    """
    from onnx import numpy_helper

    model = with_initializers(load(path))
    faults = qdq_faults(model)
    if faults.integer:
        raise BadInput(
            f"{path} computes with integer operators ({faults.integer[0]}), which TensorRT does "
            "not take.",
            hint="Quantize the float model: edgekit quantize --dialect s8s8.",
        )
    values = constants(model)
    makers = producers(model)
    changed: dict[str, NDArray[np.generic]] = {}
    dropped: set[int] = set()
    for place, node in enumerate(model.graph.node):
        if node.op_type not in _PAIR:
            continue
        if node.op_type == "DequantizeLinear" and _is_bias(node, values):
            changed[node.output[0]] = _bias(node, values)
            dropped.add(place)
        elif _is_shifted(node, values, makers):
            changed.update(_symmetric(node, values))
    nodes = [node for place, node in enumerate(model.graph.node) if place not in dropped]
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in changed]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    tensors = [type(tensor).FromString(tensor.SerializeToString()) for tensor in kept]
    for field in ("node", "initializer"):
        model.graph.ClearField(field)
    model.graph.node.extend(copies)
    model.graph.initializer.extend(tensors)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in changed.items()
    )
    write_bytes(output, model.SerializeToString(deterministic=True))
    said = []
    if faults.biases:
        said.append(f"{len(faults.biases)} quantized biases were written in float.")
    if faults.shifted:
        said.append(
            f"{len(faults.shifted)} unsigned or shifted tensors were made symmetric int8; the "
            "same range then has fewer steps."
        )
    return said


def _is_bias(node: onnx.NodeProto, values: Values) -> bool:
    value = values.get(node.input[0])
    return value is not None and value.dtype == np.int32


def _is_shifted(node: onnx.NodeProto, values: Values, makers: Makers) -> bool:
    if len(node.input) > 2:
        zero = values.get(node.input[2])
        return zero is not None and (zero.dtype == np.uint8 or bool(np.any(zero != 0)))
    if node.op_type == "QuantizeLinear":
        # Without a zero point it writes uint8.
        return True
    data, maker = values.get(node.input[0]), makers.get(node.input[0])
    if data is not None:
        return data.dtype == np.uint8
    return maker is not None and maker.op_type == "QuantizeLinear" and len(maker.input) < 3


def _bias(node: onnx.NodeProto, values: Values) -> NDArray[np.float32]:
    levels = values[node.input[0]].astype(np.float64)
    scale = values[node.input[1]].astype(np.float64)
    zero = values[node.input[2]].astype(np.float64) if len(node.input) > 2 else 0.0
    return np.asarray((levels - zero) * scale, np.float32)


def _symmetric(node: onnx.NodeProto, values: Values) -> dict[str, NDArray[np.generic]]:
    """New scale, zero point and, for a weight, levels, by initializer name.

    A node without a zero point is given one.
    """
    scale = values[node.input[1]].astype(np.float64)
    given = values[node.input[2]] if len(node.input) > 2 else np.zeros(scale.shape, np.uint8)
    lowest = 0 if given.dtype == np.uint8 else -128
    zero = given.astype(np.float64)
    if given.dtype == np.uint8 and np.all(given == 128):
        # The very same steps, counted from the middle.
        wanted = scale
    else:
        largest = np.maximum(np.abs((lowest - zero) * scale), (lowest + 255 - zero) * scale)
        wanted = np.maximum(largest / 127, SMALLEST_SCALE)
    if len(node.input) < 3:
        node.input.append(f"{node.input[1]}/zero_point")
    found: dict[str, NDArray[np.generic]] = {
        node.input[1]: wanted.astype(np.float32),
        node.input[2]: np.zeros(scale.shape, np.int8),
    }
    data = values.get(node.input[0])
    if data is not None:
        axis = attribute(node, "axis", 1)
        shape = [1] * data.ndim
        if scale.ndim and isinstance(axis, int):
            shape[axis] = -1
        old, new, middle = (np.reshape(one, shape) for one in (scale, wanted, zero))
        levels = np.rint((data.astype(np.float64) - middle) * old / new)
        found[node.input[0]] = np.clip(levels, -128, 127).astype(np.int8)
    return found
