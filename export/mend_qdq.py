"""Rewrites other tools' Q/DQ so that TensorRT takes it: symmetric int8, biases in float."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.export.graph import (
    attribute,
    constants,
    producers,
    reads,
    with_initializers,
)
from edgekit.export.onnx_file import read_onnx
from edgekit.export.qdq import SMALLEST_SCALE

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    Values = dict[str, NDArray[np.generic]]
    Makers = dict[str, onnx.NodeProto]

__all__ = ["QdqFaults", "mend_qdq", "qdq_faults"]

_PAIR = ("QuantizeLinear", "DequantizeLinear")
_UINT8 = 2  # TensorProto.UINT8
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
        kinds: dict[str, tuple[str, ...]] = {
            "quantized biases": self.biases,
            "tensors that are unsigned or shifted": self.shifted,
            "integer operators": self.integer,
        }
        for what, names in kinds.items():
            if names:
                more = ", …" if len(names) > 1 else ""
                said.append(f"{len(names)} {what} ({next(iter(names))}{more})")
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
    symmetric scale that covers the same range, and what the range cut off is cut off before it: for
    zero point 128 that changes nothing, for others a step becomes up to twice as wide.

    Args:
        path: An ONNX file.
        output: Where to write, atomically.

    Returns:
        A sentence for each kind of change; empty where there was none.

    Raises:
        BadInput: Operators that compute on integers, which have to be quantized again.
    """
    from onnx import numpy_helper

    model = with_initializers(read_onnx(path))
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
    fed = {value.name for value in model.graph.input}
    nodes: list[onnx.NodeProto] = []
    shifted = [
        node.op_type in _PAIR and _is_shifted(node, values, makers) for node in model.graph.node
    ]
    for place, node in enumerate(model.graph.node):
        if node.op_type == "DequantizeLinear" and _is_bias(node, values):
            changed[node.output[0]] = _bias(node, values, path)
            continue
        if shifted[place]:
            if node.op_type == "QuantizeLinear" and node.input[0] not in fed:
                nodes += _bound(node, values, path, changed)
            changed.update(_symmetric(node, values, path))
        nodes.append(node)
    read = {name for node in nodes for name in reads(node)}
    read.update(value.name for value in model.graph.output)
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
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
        # Without a zero point and without a word about the type it writes uint8.
        return attribute(node, "output_dtype", 0) in (0, _UINT8)
    data, maker = values.get(node.input[0]), makers.get(node.input[0])
    if data is not None:
        return data.dtype == np.uint8
    return (
        maker is not None and maker.op_type == "QuantizeLinear" and _is_shifted(maker, values, {})
    )


def _bias(node: onnx.NodeProto, values: Values, path: Path) -> NDArray[np.generic]:
    levels = values[node.input[0]].astype(np.float64)
    scale = _scale(node, values, path)
    zero = values[node.input[2]].astype(np.float64) if len(node.input) > 2 else 0.0
    return np.asarray((levels - zero) * scale, values[node.input[1]].dtype)


def _scale(node: onnx.NodeProto, values: Values, path: Path) -> NDArray[np.float64]:
    scale = values.get(node.input[1])
    if scale is None or scale.ndim > 1:
        what = "computed while the model runs" if scale is None else "one for each block"
        raise BadInput(
            f"The scale of {node.input[0]!r} in {path} is {what}, which cannot be mended.",
            hint="Quantize the float model: edgekit quantize --dialect s8s8.",
        )
    return scale.astype(np.float64)


def _zero(node: onnx.NodeProto, values: Values) -> tuple[np.dtype[np.generic], NDArray[np.float64]]:
    """Type of the levels, and the zero point: one number, or one for each channel."""
    if len(node.input) < 3:
        return np.dtype(np.uint8), np.zeros(values[node.input[1]].shape)
    given = values[node.input[2]]
    return given.dtype, given.astype(np.float64)


def _range(
    node: onnx.NodeProto, values: Values, path: Path
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest value that the levels stand for."""
    scale = _scale(node, values, path)
    kind, zero = _zero(node, values)
    lowest = 0 if kind == np.uint8 else -128
    return (lowest - zero) * scale, (lowest + 255 - zero) * scale


def _bound(
    node: onnx.NodeProto,
    values: Values,
    path: Path,
    constants: dict[str, NDArray[np.generic]],
) -> list[onnx.NodeProto]:
    """Cut off what the old range cut off and the symmetric one does not.

    ONNX Runtime's quantizer drops Relu and Clip and lets the range do their work.
    """
    import onnx

    (low, high), (kind, zero) = _range(node, values, path), _zero(node, values)
    if low.size > 1 or (kind == np.uint8 and zero == 128):
        return []
    source, cut = node.input[0], f"{node.output[0]}/bounded"
    node.input[0] = cut
    if low == 0:
        return [onnx.helper.make_node("Relu", [source], [cut], cut)]
    operator, bound = ("Max", low) if -low < high else ("Min", high)
    constants[f"{cut}/bound"] = bound.astype(values[node.input[1]].dtype)
    return [onnx.helper.make_node(operator, [source, f"{cut}/bound"], [cut], cut)]


def _symmetric(node: onnx.NodeProto, values: Values, path: Path) -> dict[str, NDArray[np.generic]]:
    """Give a node a scale, a zero point and, for a weight, levels of its own; return them by name.

    Of its own, because files share equal constants between tensors that are shifted and others.
    """
    scale, (low, high) = _scale(node, values, path), _range(node, values, path)
    given, zero = _zero(node, values)
    if given == np.uint8 and np.all(zero == 128):
        # The very same steps, counted from the middle.
        wanted = scale
    else:
        wanted = np.maximum(np.maximum(-low, high) / 127, SMALLEST_SCALE)
    own = f"{node.output[0]}/symmetric"
    found: dict[str, NDArray[np.generic]] = {
        f"{own}/scale": wanted.astype(values[node.input[1]].dtype),
        f"{own}/zero_point": np.zeros(scale.shape, np.int8),
    }
    data = values.get(node.input[0])
    if data is not None and node.op_type == "DequantizeLinear":
        axis = attribute(node, "axis", 1)
        shape = [1] * data.ndim
        if scale.ndim and isinstance(axis, int):
            shape[axis] = -1
        old, new, middle = (np.reshape(one, shape) for one in (scale, wanted, zero))
        levels = np.rint((data.astype(np.float64) - middle) * old / new)
        found[f"{own}/levels"] = np.clip(levels, -128, 127).astype(np.int8)
        node.input[0] = f"{own}/levels"
    rest = [f"{own}/scale", f"{own}/zero_point"]
    del node.input[1:]
    node.input.extend(rest)
    return found
