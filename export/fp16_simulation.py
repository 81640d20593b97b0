"""An fp16 graph as an fp32 graph that gives what fp16 arithmetic gives.

Engines without fp16 arithmetic, ONNX Runtime on x86 for one, compute an fp16 graph in fp32: an
overflow does not show. Here every fp16 tensor becomes an fp32 tensor of fp16 values: behind each
operator two Casts round its result (to infinity beyond 65504, to subnormal numbers below 6.1e-5).
Products (Conv, Gemm, MatMul) then add up in fp32 and are rounded once, as tensor cores do it. How a
reduction adds up is the engine's own business, so there are two simulations: one adds up in fp32
and rounds once, the narrow one adds up in fp16 and takes the norms apart as engines do that have no
kernel for them.

ONNX Runtime keeps Casts that lose precision; with its graph optimizations off each operator runs as
it is written, so a simulation costs about one run without optimizations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.onnx_bytes import bodies
from edgekit.core.runtime import Array
from edgekit.export.graph import attribute, constants, opset_of, reads, with_initializers
from edgekit.export.graph_writer import GraphWriter
from edgekit.export.onnx_file import read_onnx

if TYPE_CHECKING:
    import onnx

__all__ = [
    "LARGEST",
    "MOVING",
    "NARROW",
    "FloatTypes",
    "Reduction",
    "has_body",
    "is_known",
    "label",
    "narrowed",
    "rounded",
    "simulated",
    "write_simulation",
]

_FLOAT, _FLOAT16 = 1, 10  # of onnx.TensorProto
LARGEST = 65504.0  # largest finite fp16
# The oldest operator set in which a narrow reduction can be written.
_OLDEST = 11

# What these give was there before: nothing is left to round.
MOVING = frozenset({
    "Compress", "Concat", "ConstantOfShape", "DepthToSpace", "Dropout", "Expand", "Flatten",
    "Gather", "GatherElements", "GatherND", "Identity", "OneHot", "Pad", "Reshape",
    "ReverseSequence", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose",
    "Trilu", "Unsqueeze",
})  # fmt: skip
# One result of few operands, or a product that is added up in fp32: rounded once.
_ROUNDED = frozenset({
    "Abs", "Acos", "Acosh", "Add", "AffineGrid", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan",
    "Atanh", "BatchNormalization", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Constant",
    "Conv", "ConvTranspose", "Cos", "Cosh", "DeformConv", "DequantizeLinear", "Div", "Einsum",
    "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Gemm", "GlobalMaxPool", "Greater",
    "GreaterOrEqual", "GridSample", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mish", "Mod",
    "Mul", "Neg", "NonZero", "PRelu", "Pow", "QuantizeLinear", "Reciprocal", "ReduceMax",
    "ReduceMin", "Relu", "Resize", "RoiAlign", "Round", "ScatterElements", "ScatterND", "Selu",
    "Shape", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Softplus", "Softsign", "Sqrt",
    "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "TopK", "Upsample", "Where",
})  # fmt: skip


@dataclass(frozen=True)
class FloatTypes:
    """What shape inference finds out about the tensors of a graph.

    Attributes:
        kinds: Tensor to its onnx.TensorProto.DataType.
        ranks: Tensor to its number of axes, where that is known.
    """

    kinds: Mapping[str, int]
    ranks: Mapping[str, int]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> FloatTypes:
        """Infer them.

        Raises:
            BadInput: The types in the graph contradict each other.
        """
        import onnx

        try:
            graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception as error:  # onnx's own errors have no stable import path
            said = " ".join(str(error).split())
            raise BadInput(f"The types in the graph are not known: {said}") from error
        kinds = {one.name: one.data_type for one in graph.initializer}
        ranks = {one.name: len(one.dims) for one in graph.initializer}
        for entry in (*graph.input, *graph.value_info, *graph.output):
            kinds[entry.name] = entry.type.tensor_type.elem_type
            if entry.type.tensor_type.HasField("shape"):
                ranks[entry.name] = len(entry.type.tensor_type.shape.dim)
        return cls(kinds, ranks)


@dataclass
class Reduction:
    """One reduction while it is written out in fp16 steps.

    Attributes:
        writer: Receives the nodes.
        node: The reduction, its float inputs in fp32 already.
        rank: Of its first input.
        opset: Of the graph.
        given: The axes that it names.
        halved: Rounds a tensor to fp16 and returns the result's name.
    """

    writer: GraphWriter
    node: onnx.NodeProto
    rank: int
    opset: int
    given: tuple[int, ...]
    halved: Callable[[str], str] = field(repr=False)

    def attribute(self, name: str, default: Any) -> Any:
        """Return one of the node's attributes, or `default`."""
        return attribute(self.node, name, default)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Write a node whose result is rounded."""
        return self.halved(self.writer.add(operator, *inputs, **attributes))

    @property
    def axes(self) -> list[int]:
        """The reduced axes, from 0 on."""
        if not self.given and attribute(self.node, "noop_with_empty_axes", 0):
            return []
        return sorted(axis % max(1, self.rank) for axis in self.given or range(self.rank))

    def total(
        self, tensor: str, axes: Sequence[int], *, keep: bool = True, product: bool = False
    ) -> str:
        """Add up (or multiply) over axes in fp16, in as many lanes as there are steps.

        Lanes first, then what they hold: as vector units and thread blocks do it. Each step is
        rounded.
        """
        writer = self.writer
        if not axes:
            return tensor
        kept = [axis for axis in range(self.rank) if axis not in axes]
        last = writer.add("Transpose", tensor, perm=[*kept, *axes])
        sizes = writer.add("Shape", tensor)
        length = self._product(sizes, axes)
        count = writer.add("Cast", writer.add("Reshape", length, writer.constant([])), to=_FLOAT)
        lanes = writer.add("Cast", writer.add("Ceil", writer.add("Sqrt", count)), to=7)
        lanes = writer.add("Reshape", lanes, writer.constant([1]))
        rows = writer.add(
            "Reshape", last, writer.add("Concat", self._product(sizes, kept), length, axis=0)
        )
        room = writer.add("Sub", writer.add("Mul", lanes, lanes), length)
        zeros = writer.constant([0])
        filler = writer.number(1.0 if product else 0.0)
        rows = writer.add(
            "Pad", rows, writer.add("Concat", zeros, zeros, zeros, room, axis=0), filler
        )
        shape = writer.add("Concat", writer.constant([-1]), lanes, lanes, axis=0)
        rows = writer.add("Reshape", rows, shape)
        for sizes_left in (["rows", "lanes"], ["rows"]):
            rows = self._scan(rows, sizes_left, "Mul" if product else "Add", filler)
        one = [writer.constant([1])] * len(axes) if keep else []
        parts = {axis: writer.add("Gather", sizes, writer.constant([axis])) for axis in kept}
        if keep:
            parts |= dict(zip(axes, one, strict=True))
        if not parts:
            return writer.add("Reshape", rows, writer.constant([]))
        ordered = [parts[axis] for axis in sorted(parts)]
        return writer.add("Reshape", rows, writer.add("Concat", *ordered, axis=0))

    def mean(self, tensor: str, axes: Sequence[int], *, keep: bool = True) -> str:
        """Average over axes, added up in fp16."""
        count = self._product(self.writer.add("Shape", tensor), axes)
        count = self.writer.add("Reshape", count, self.writer.constant([]))
        return self.add(
            "Div", self.total(tensor, axes, keep=keep), self.writer.add("Cast", count, to=_FLOAT)
        )

    def normal(self, tensor: str, axes: Sequence[int], *, centred: bool = True) -> str:
        """Bring to mean 0 (where `centred`) and variance 1 over axes."""
        if centred:
            tensor = self.add("Sub", tensor, self.mean(tensor, axes))
        variance = self.mean(self.add("Mul", tensor, tensor), axes)
        # An engine that takes the norm apart holds its epsilon in fp16 too.
        epsilon = float(np.float16(self.attribute("epsilon", 1e-5)))
        deviation = self.add("Sqrt", self.add("Add", variance, self.writer.number(epsilon)))
        return self.add("Div", tensor, deviation)

    def _product(self, sizes: str, axes: Sequence[int]) -> str:
        """Number of elements along axes, shape (1,)."""
        if not axes:
            return self.writer.constant([1])
        chosen = self.writer.add("Gather", sizes, self.writer.constant(list(axes)))
        return self.writer.add("ReduceProd", chosen)

    def _scan(self, rows: str, shape: list[str], operator: str, filler: str) -> str:
        """Add up along axis 1, one step after the other, each rounded."""
        from onnx import TensorProto, helper

        body = helper.make_graph(
            [
                helper.make_node(operator, ["before", "step"], ["wide"]),
                helper.make_node("Cast", ["wide"], ["half"], to=_FLOAT16),
                helper.make_node("Cast", ["half"], ["after"], to=_FLOAT),
            ],
            "step",
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name in ("before", "step")
            ],
            [helper.make_tensor_value_info("after", TensorProto.FLOAT, shape)],
        )
        first = self.writer.add("Gather", rows, self.writer.constant(np.array(0, np.int64)), axis=1)
        start = self.writer.add("Expand", filler, self.writer.add("Shape", first))
        return self.writer.add(
            "Scan", start, rows, body=body, num_scan_inputs=1, scan_input_axes=[1]
        )


def _keeps(one: Reduction) -> bool:
    return bool(one.attribute("keepdims", 1))


def _reduced(
    before: Sequence[str] = (), after: Sequence[str] = (), *, product: bool = False
) -> Any:
    """A reduction with operators before and after it."""

    def write(one: Reduction) -> str:
        tensor = one.node.input[0]
        for operator in before:
            operands = (tensor, tensor) if operator == "Mul" else (tensor,)
            tensor = one.add(operator, *operands)
        tensor = one.total(tensor, one.axes, keep=_keeps(one), product=product)
        for operator in after:
            tensor = one.add(operator, tensor)
        return tensor

    return write


def _mean(one: Reduction) -> str:
    return one.mean(one.node.input[0], one.axes, keep=_keeps(one))


def _global_average(one: Reduction) -> str:
    return one.mean(one.node.input[0], range(2, one.rank))


def _average_pool(one: Reduction) -> str:
    """The sum of a window is rounded, and divided by its size."""
    writer = one.writer
    size = float(np.prod(one.attribute("kernel_shape", [1])))
    average = writer.add(
        "AveragePool",
        one.node.input[0],
        **{item.name: one.attribute(item.name, None) for item in one.node.attribute},
    )
    total = one.add("Mul", average, writer.number(size))
    return one.add("Div", total, writer.number(size))


def _softmax_axes(one: Reduction) -> list[int]:
    if one.opset >= 13:
        return [one.attribute("axis", -1) % one.rank]
    # Until then all axes from this one on were one.
    return list(range(one.attribute("axis", 1) % one.rank, one.rank))


def _softmax(one: Reduction) -> str:
    tensor, axes = one.node.input[0], _softmax_axes(one)
    largest = _largest(one, tensor, axes)
    distance = one.add("Sub", tensor, largest)
    powers = one.add("Exp", distance)
    total = one.total(powers, axes)
    if one.node.op_type == "Softmax":
        return one.add("Div", powers, total)
    return one.add("Sub", distance, one.add("Log", total))


def _largest(one: Reduction, tensor: str, axes: Sequence[int]) -> str:
    if one.opset < 18:
        return one.writer.add("ReduceMax", tensor, axes=list(axes))
    return one.writer.add("ReduceMax", tensor, one.writer.constant(list(axes)))


def _layer_norm(one: Reduction) -> str:
    first = one.attribute("axis", -1) % one.rank
    result = one.normal(
        one.node.input[0],
        range(first, one.rank),
        centred=one.node.op_type != "RMSNormalization",
    )
    result = one.add("Mul", result, one.node.input[1])
    has_bias = len(one.node.input) > 2 and one.node.input[2]
    return one.add("Add", result, one.node.input[2]) if has_bias else result


def _instance_norm(one: Reduction) -> str:
    return _by_channel(one, one.normal(one.node.input[0], range(2, one.rank)))


def _by_channel(one: Reduction, tensor: str) -> str:
    shape = one.writer.constant([-1, *[1] * (one.rank - 2)])
    scale, bias = (one.writer.add("Reshape", name, shape) for name in one.node.input[1:3])
    return one.add("Add", one.add("Mul", tensor, scale), bias)


# Operators that add up, and how an engine does it that has fp16 and no more.
NARROW: Mapping[str, Callable[[Reduction], str]] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax,
    "RMSNormalization": _layer_norm,
    "ReduceL1": _reduced(["Abs"]),
    "ReduceL2": _reduced(["Mul"], ["Sqrt"]),
    "ReduceLogSum": _reduced([], ["Log"]),
    "ReduceLogSumExp": _reduced(["Exp"], ["Log"]),
    "ReduceMean": _mean,
    "ReduceProd": _reduced(product=True),
    "ReduceSum": _reduced(),
    "ReduceSumSquare": _reduced(["Mul"]),
    "Softmax": _softmax,
}


def write_simulation(
    model: Path, output: Path, *, narrow: bool, taps: bool = False
) -> dict[str, str]:
    """Write the simulation of an fp16 graph.

    Args:
        model: The fp16 ONNX file.
        output: Where to write.
        narrow: Whether reductions add up in fp16.
        taps: Whether the results of reductions are outputs as well.

    Returns:
        What `taps` adds to the outputs, in the graph's order, each with its node's name.

    Raises:
        BadInput: An operator on fp16 tensors is not known; names the node.
        MissingLibrary: onnx is not installed.
    """
    given = read_onnx(model)
    made = simulated(given, narrow=narrow, taps=taps)
    write_bytes(output, made.SerializeToString(deterministic=True))
    present = {entry.name for entry in given.graph.output}
    found = _reductions(given) if taps else {}
    return {name: node for name, node in found.items() if name not in present}


def _reductions(model: onnx.ModelProto) -> dict[str, str]:
    """Return the results of reductions in fp16, each with the name of its node, in order."""
    kinds = FloatTypes.of(model).kinds
    return {
        node.output[0]: label(node)
        for node in model.graph.node
        if node.op_type in NARROW and kinds.get(node.output[0]) == _FLOAT16
    }


def simulated(model: onnx.ModelProto, *, narrow: bool, taps: bool = False) -> onnx.ModelProto:
    """Return the fp32 graph that gives what an fp16 graph gives; see write_simulation."""
    import onnx

    model = with_initializers(model)
    tapped = _reductions(model) if taps else {}
    types = FloatTypes.of(model)
    halves = {name for name, kind in types.kinds.items() if kind == _FLOAT16}
    writer = GraphWriter(model, "fp16:")
    nodes: list[onnx.NodeProto] = []

    values, opset = constants(model), opset_of(model)
    for node in model.graph.node:
        _refuse_unknown(node, types.kinds, halves)
        copy = _widened(node)
        own = [index for index, name in enumerate(node.output) if name in halves]
        if not own or node.op_type in MOVING:
            nodes.append(copy)
        elif narrow and node.op_type in NARROW:
            rank = types.ranks.get(node.input[0])
            made = narrowed(writer, copy, rank, opset, values, partial(rounded, writer))
            if not made:
                raise BadInput(
                    f"{label(node)} cannot be simulated in fp16: its axes are not known."
                )
            rounded(writer, made, node.output[0])
            nodes += writer.take()
        else:
            for index in own:
                copy.output[index] = writer.name(f"fp16:{node.output[index]}")
                rounded(writer, copy.output[index], node.output[index])
            nodes += [copy, *writer.take()]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    for tensor in model.graph.initializer:
        _widen(tensor)
    _keep_ends(model, writer)
    for name in tapped:
        if all(entry.name != name for entry in model.graph.output):
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, _FLOAT, None))
    return model


def rounded(writer: GraphWriter, tensor: str, output: str = "", *, headroom: float = 1.0) -> str:
    """Write the rounding of an fp32 tensor to fp16.

    Args:
        writer: Receives the nodes.
        tensor: What is rounded.
        output: Name of the result; empty makes one up.
        headroom: A power of two; by so much the range is smaller than that of fp16.

    Returns:
        The name of the result, fp32.
    """
    if headroom != 1:
        tensor = writer.add("Mul", tensor, writer.number(headroom))
    half = writer.add("Cast", tensor, to=_FLOAT16)
    if headroom == 1:
        return writer.add("Cast", half, output=output, to=_FLOAT)
    wide = writer.add("Cast", half, to=_FLOAT)
    return writer.add("Mul", wide, writer.number(1 / headroom), output=output)


def narrowed(
    writer: GraphWriter,
    node: onnx.NodeProto,
    rank: int | None,
    opset: int,
    values: Mapping[str, Array],
    halved: Callable[[str], str],
) -> str:
    """Write a reduction that adds up in fp16.

    Args:
        writer: Receives the nodes.
        node: One of NARROW, its inputs fp32 tensors of fp16 values.
        rank: Of its first input; None where it is not known.
        opset: Of the graph.
        values: The graph's constants.
        halved: Rounds a tensor and returns the result's name.

    Returns:
        The name of its result; empty where its axes are not known, or the operator set is older
        than 11.
    """
    axes: Any = attribute(node, "axes", None) or ()
    given = node.input[1] if node.op_type.startswith("Reduce") and len(node.input) > 1 else ""
    if given:
        axes = values[given].tolist() if given in values else None
    if axes is None or rank is None or opset < _OLDEST:
        return ""
    return NARROW[node.op_type](Reduction(writer, node, rank, opset, tuple(axes), halved))


def is_known(node: onnx.NodeProto) -> bool:
    """Say whether the simulation knows what a node does in fp16."""
    if node.domain not in ("", "ai.onnx") or has_body(node):
        return False
    if node.op_type in NARROW:
        return not any(node.output[1:])
    return node.op_type in MOVING or node.op_type in _ROUNDED


def has_body(node: onnx.NodeProto) -> bool:
    """Say whether a node holds a graph, as If, Loop and Scan do."""
    return any(True for _ in bodies(node))


def label(node: onnx.NodeProto) -> str:
    """Return what a node is called in a sentence."""
    return f"{node.name or node.output[0]} ({node.op_type})"


def _refuse_unknown(node: onnx.NodeProto, kinds: Mapping[str, int], halves: set[str]) -> None:
    unknown = [name for name in node.output if name and not kinds.get(name)]
    if unknown or (({*node.output, *reads(node)} & halves) and not is_known(node)):
        raise BadInput(
            f"{label(node)} cannot be simulated in fp16: what it does with fp16 is not known here."
        )


def _widened(node: onnx.NodeProto) -> onnx.NodeProto:
    """Return a copy that gives fp32 where it gave fp16."""
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for entry in copy.attribute:
        if entry.name in ("to", "dtype", "output_dtype", "stash_type") and entry.i == _FLOAT16:
            entry.i = _FLOAT
        if entry.HasField("t"):
            _widen(entry.t)
    return copy


def _widen(tensor: onnx.TensorProto) -> None:
    from onnx import numpy_helper

    if tensor.data_type == _FLOAT16:
        wide = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _keep_ends(model: onnx.ModelProto, writer: GraphWriter) -> None:
    """Let inputs and outputs of fp16 stay fp16, and cast between them and the graph."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [
        entry.name
        for entry in model.graph.input
        if entry.type.tensor_type.elem_type == _FLOAT16 and entry.name not in weights
    ]
    outputs = [
        entry for entry in model.graph.output if entry.type.tensor_type.elem_type == _FLOAT16
    ]
    names = {entry.name: entry for entry in outputs}
    for entry in model.graph.input:
        if entry.name in weights and entry.type.tensor_type.elem_type == _FLOAT16:
            entry.type.tensor_type.elem_type = _FLOAT
    for name, entry in names.items():
        inner = writer.name(f"fp16:{name}:wide")
        writer.rename(name, inner)
        entry.name = name
        writer.add("Cast", inner, output=name, to=_FLOAT16)
    writer.append()
    for name in inputs:
        wide = writer.name(f"fp16:{name}:wide")
        writer.rename(name, wide)
        for entry in outputs:
            # An input that is given back as it is.
            entry.name = name if entry.name == wide else entry.name
        writer.add("Cast", name, output=wide, to=_FLOAT)
    writer.prepend()
