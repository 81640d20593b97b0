"""Writes decisions into a graph as explicit QuantizeLinear and DequantizeLinear nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.texts import shown
from edgekit.export.decisions import Activation, Decisions, QuantizedNode
from edgekit.export.fusing import fused_activations
from edgekit.export.graph import constants, reads, weight_axis
from edgekit.export.graph_writer import graph_names

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = [
    "DIALECTS",
    "Dialect",
    "rounded_weight",
    "scale_and_zero",
    "weight_levels",
    "write_activations",
    "write_qdq",
]

# Smallest scale written: ONNX Runtime and TensorRT divide by it.
SMALLEST_SCALE = 1e-12


@dataclass(frozen=True)
class Dialect:
    """How one family of engines wants the same decisions written.

    Attributes:
        name: "u8s8" or "s8s8".
        symmetric_activations: int8 with zero point 0, instead of uint8 with a free zero point.
        quantized_bias: Biases as int32 with a DequantizeLinear; TensorRT's parser refuses those.
        fused: Round only what TensorRT does not fuse over; see edgekit.export.fusing.
    """

    name: str
    symmetric_activations: bool
    quantized_bias: bool
    fused: bool


# u8s8: on x86 without VNNI (before Cascade Lake) vpmaddubsw adds two u8*s8 products in a
# saturating int16, so large neighbouring weights clip. The certificate of that machine shows it.
DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("u8s8", symmetric_activations=False, quantized_bias=True, fused=False),
        Dialect("s8s8", symmetric_activations=True, quantized_bias=False, fused=True),
    )
}


def write_qdq(model: onnx.ModelProto, decisions: Decisions, dialect: Dialect) -> onnx.ModelProto:
    """Return the model with explicit Q/DQ; the same arguments give the same graph.

    Weights are stored as int8 (-127..127, symmetric, a scale per output channel) and their float
    originals are dropped, so the file takes about a quarter of the space.

    Args:
        model: The float model that was calibrated, opset 13 or above, weights as initializers.
        decisions: What the calibration decided.
        dialect: How to write it.

    Raises:
        BadInput: The decisions name a tensor or weight that the model does not have.
    """
    activations: Sequence[Activation] = decisions.activations
    if dialect.fused:
        activations = fused_activations(model, activations, decisions.nodes)
    return _written(model, activations, decisions.nodes, dialect)


def write_activations(
    model: onnx.ModelProto, activations: Sequence[Activation], dialect: Dialect
) -> onnx.ModelProto:
    """Return the model with some tensors rounded and every weight in float."""
    return _written(model, activations, (), dialect)


def _written(
    model: onnx.ModelProto,
    activations: Sequence[Activation],
    nodes: Sequence[QuantizedNode],
    dialect: Dialect,
) -> onnx.ModelProto:
    import onnx

    writer = _Writer(model, activations, nodes, dialect)
    writer.write()
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for field in ("node", "initializer", "value_info"):
        result.graph.ClearField(field)
    result.graph.node.extend(writer.nodes)
    read = {name for node in writer.nodes for name in reads(node)}
    read |= {entry.name for entry in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    result.graph.initializer.extend(kept + writer.tensors)
    known = {name for node in writer.nodes for name in node.output}
    result.graph.value_info.extend(v for v in model.graph.value_info if v.name in known)
    return result


def scale_and_zero(minimum: float, maximum: float) -> tuple[float, int]:
    """Return step and zero point of the 256 levels over a range."""
    # Zero must be exact: padding and ReLU depend on it.
    low, high = min(minimum, 0.0), max(maximum, 0.0)
    scale = max((high - low) / 255, SMALLEST_SCALE)
    return scale, int(np.clip(np.rint(-low / scale), 0, 255))


def weight_levels(
    weight: NDArray[np.generic], entry: QuantizedNode
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a weight to -127..127.

    Returns:
        The levels in the weight's shape, and the scales: (channels,), or () for one in all.
    """
    maximum = np.asarray(entry.absolute_maximum, np.float64)
    scales = np.maximum(maximum / 127, SMALLEST_SCALE).astype(np.float32)
    if entry.axis is None:
        scales = scales.reshape(())
    shaped = _along(scales, entry.axis, weight.ndim)
    levels = np.clip(np.rint(weight.astype(np.float64) / shaped), -127, 127)
    return levels.astype(np.int8), scales


def rounded_weight(weight: NDArray[np.generic], entry: QuantizedNode) -> NDArray[np.float64]:
    """Return the values that a weight has after rounding, in its own shape."""
    levels, scales = weight_levels(weight, entry)
    rounded: NDArray[np.float64] = levels.astype(np.float64) * _along(
        scales.astype(np.float64), entry.axis, weight.ndim
    )
    return rounded


def _along(scales: NDArray[Any], axis: int | None, rank: int) -> NDArray[Any]:
    """Shape scales so that they broadcast along one axis of a weight."""
    if axis is None:
        return scales
    shape = [1] * rank
    shape[axis] = -1
    return scales.reshape(shape)


class _Writer:
    """Walks the graph once, in order, and collects the new nodes and tensors."""

    def __init__(
        self,
        model: onnx.ModelProto,
        activations: Sequence[Activation],
        nodes: Sequence[QuantizedNode],
        dialect: Dialect,
    ) -> None:
        self.model = model
        self.dialect = dialect
        self.values = constants(model)
        self.activations = {entry.tensor: entry for entry in activations}
        self.weighted = {entry.output: entry for entry in nodes}
        self.taken = set(graph_names(model.graph))
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.scales: dict[str, float] = {}
        self.replaced: dict[str, str] = {}
        self.weights: dict[str, tuple[str, NDArray[np.float32]]] = {}

    def write(self) -> None:
        import onnx

        self._check()
        for entry in self.model.graph.input:
            if entry.name in self.activations:
                self._activation(self.activations[entry.name])
        for original in self.model.graph.node:
            node = onnx.NodeProto()
            node.CopyFrom(original)
            for index, name in enumerate(node.input):
                if name in self.replaced:
                    node.input[index] = self.replaced[name]
            if node.output[0] in self.weighted:
                self._weight(original, node, self.weighted[node.output[0]])
            self.nodes.append(node)
            for name in original.output:
                if name in self.activations:
                    self._activation(self.activations[name])

    def _check(self) -> None:
        made = {entry.name for entry in self.model.graph.input}
        made |= {name for node in self.model.graph.node for name in node.output}
        for name in (*self.activations, *self.weighted):
            if name not in made:
                raise BadInput(
                    f"The quantization decisions name {shown(name)}, which the model has not.",
                    hint="Use the decisions with the model that they were made for.",
                )
        for node in self.model.graph.node:
            entry = self.weighted.get(node.output[0]) if node.output else None
            if entry is not None and not self._fits(entry, node):
                raise BadInput(
                    f"The quantization decisions do not fit the node of {shown(entry.output)} and "
                    f"its weight {shown(entry.weight)}.",
                    hint="Use the decisions with the model that they were made for.",
                )

    def _fits(self, entry: QuantizedNode, node: onnx.NodeProto) -> bool:
        """Whether a node is the one described: its weight, the axis of its scales, its bias."""
        weight = self.values.get(entry.weight)
        if weight is None or entry.op != node.op_type or entry.weight not in node.input[1:2]:
            return False
        axis = weight_axis(node, weight.ndim)
        count = 1 if axis is None else weight.shape[axis]
        if entry.axis != axis or len(entry.absolute_maximum) != count:
            return False
        bias = self.values.get(node.input[2]) if len(node.input) > 2 else None
        return entry.bias is None or (bias is not None and len(entry.bias) == bias.size)

    def _name(self, base: str, suffix: str) -> str:
        name = f"{base}/{suffix}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _tensor(self, base: str, suffix: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        name = self._name(base, suffix)
        self.tensors.append(numpy_helper.from_array(value, name))
        return name

    def _activation(self, entry: Activation) -> None:
        from onnx import helper

        scale, zero = self._scale(entry)
        self.scales[entry.tensor] = float(scale)
        parameters = [
            self._tensor(entry.tensor, "scale", scale),
            self._tensor(entry.tensor, "zero_point", zero),
        ]
        quantized = self._name(entry.tensor, "quantized")
        back = self._name(entry.tensor, "dequantized")
        self.nodes.append(
            helper.make_node(
                "QuantizeLinear", [entry.tensor, *parameters], [quantized], name=quantized
            )
        )
        self.nodes.append(
            helper.make_node("DequantizeLinear", [quantized, *parameters], [back], name=back)
        )
        self.replaced[entry.tensor] = back

    def _scale(self, entry: Activation) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        if self.dialect.symmetric_activations:
            largest = entry.symmetric or max(abs(entry.minimum), abs(entry.maximum))
            return np.array(max(largest / 127, SMALLEST_SCALE), np.float32), np.array(0, np.int8)
        scale, zero = scale_and_zero(entry.minimum, entry.maximum)
        return np.array(scale, np.float32), np.array(zero, np.uint8)

    def _weight(self, original: onnx.NodeProto, node: onnx.NodeProto, entry: QuantizedNode) -> None:
        if entry.weight not in self.weights:
            self.weights[entry.weight] = self._weight_tensors(entry)
        node.input[1], scales = self.weights[entry.weight]
        if entry.bias is None:
            return
        bias = np.asarray(entry.bias, np.float64)
        data_scale = self.scales.get(original.input[0])
        if self.dialect.quantized_bias and data_scale is not None and scales.ndim == 1:
            node.input[2] = self._int_bias(node.output[0], bias, data_scale, scales)
        else:
            node.input[2] = self._tensor(node.output[0], "bias", bias.astype(np.float32))

    def _weight_tensors(self, entry: QuantizedNode) -> tuple[str, NDArray[np.float32]]:
        levels, scales = weight_levels(self.values[entry.weight], entry)
        zero = np.zeros(scales.shape, np.int8)
        return self._dequantized(entry.weight, levels, scales, zero, entry.axis), scales

    def _int_bias(
        self, base: str, bias: NDArray[np.float64], data_scale: float, scales: NDArray[np.float32]
    ) -> str:
        # The accumulator's own unit, so engines add the bias without converting it.
        unit = (data_scale * scales.astype(np.float64)).astype(np.float32)
        unit = np.maximum(unit, np.float32(SMALLEST_SCALE))
        limit = 2**31 - 1
        levels = np.clip(np.rint(bias / unit), -limit, limit).astype(np.int32)
        return self._dequantized(f"{base}/bias", levels, unit, np.zeros(unit.shape, np.int32), 0)

    def _dequantized(
        self,
        base: str,
        levels: NDArray[np.generic],
        scales: NDArray[np.float32],
        zero: NDArray[np.generic],
        axis: int | None,
    ) -> str:
        from onnx import helper

        inputs = [
            self._tensor(base, "quantized", levels),
            self._tensor(base, "scale", scales),
            self._tensor(base, "zero_point", zero),
        ]
        name = self._name(base, "dequantized")
        keywords: dict[str, Any] = {} if axis is None else {"axis": axis}
        self.nodes.append(
            helper.make_node("DequantizeLinear", inputs, [name], name=name, **keywords)
        )
        return name
