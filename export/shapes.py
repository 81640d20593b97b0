"""The dtype and shape of every tensor of a graph, with its dynamic axes at given sizes.

ONNX's own shape inference does the work. Where it ends because a shape is computed by operators
that it does not follow (a Cast, a Floor, a Slice of a Slice), those few numbers are computed with
ONNX's reference evaluator and inference goes on. No engine runs, and nothing is guessed: what
depends on the data stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.core.onnx_bytes import bodies
from edgekit.export.graph import take

__all__ = ["Tensor", "element_bytes", "graph_tensors", "graph_values", "inferred_values"]

# Larger constants are no shapes: inference gets along with their type, and copies less.
_SMALL = 1024
# What no memory holds comes from sizes that overflow, or from a file that is not honest.
_MOST_ELEMENTS = 2**48
# Their results are no larger than the product of their operands, so that they may be computed
# before it is known how large they are. Others, such as Expand and Range, make what they are told.
_BOUNDED = frozenset({
    "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "CastLike", "Ceil", "Clip", "Compress",
    "Concat", "Constant", "CumSum", "Div", "Equal", "Floor", "Gather", "GatherElements", "GatherND",
    "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod",
    "Mul", "Neg", "NonZero", "Not", "Or", "Pow", "Reciprocal", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Round", "Sign", "Size", "Slice", "Split",
    "Sqrt", "Squeeze", "Sub", "Sum", "Transpose", "Unsqueeze", "Where", "Xor",
})  # fmt: skip
_MOST_COMPUTED = _SMALL**2
# Each round of folding gets inference past one obstacle; real exports need two or three.
_ROUNDS = 16
_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"}


@dataclass(frozen=True)
class Tensor:
    """What is known of a tensor before anything runs.

    Attributes:
        kind: onnx.TensorProto.DataType; 0 where it is not known.
        shape: None where it is not known.
    """

    kind: int
    shape: tuple[int, ...] | None

    @property
    def size_bytes(self) -> int | None:
        """Bytes that it takes; None where dtype or shape is not known."""
        each = element_bytes(self.kind)
        if self.shape is None or each is None:
            return None
        return math.ceil(math.prod(self.shape) * each)


def element_bytes(kind: int) -> float | None:
    """Bytes of one element of an ONNX data type; None for a text or what is not known."""
    import onnx

    # Two 4-bit values share a byte, four 2-bit ones.
    name = onnx.TensorProto.DataType.Name(kind)
    if name in ("UNDEFINED", "STRING"):
        return None
    if name in ("INT4", "UINT4", "FLOAT4E2M1"):
        return 0.5
    if name in ("INT2", "UINT2"):
        return 0.25
    return float(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)


def graph_tensors(model: Any, sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Infer dtype and shape of every tensor of the main graph.

    Args:
        model: onnx.ModelProto; left as it is.
        sizes: Input name to its shape, every axis a number.

    Returns:
        Tensor by name; those of which nothing is known are missing.
    """
    return graph_values(model, sizes)[0]


def graph_values(
    model: Any, sizes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Tensor], dict[str, NDArray[Any]]]:
    """Infer the tensors of the main graph as `graph_tensors` does, and keep what was computed.

    Args:
        model: onnx.ModelProto; left as it is.
        sizes: Input name to its shape, every axis a number.

    Returns:
        Tensor by name, and the few numbers of every node that had to be computed on the way.
    """
    slim = _without_weights(model, sizes)
    values: dict[str, NDArray[Any]] = {}
    found = _inferred(slim)
    for _ in range(_ROUNDS):
        # Asking what is missing is cheap; the evaluator is imported only where something is.
        if not _missing(slim, found) or not _fold(slim, found, values):
            break
        found = _inferred(slim)
    for name, value in values.items():
        found.setdefault(name, Tensor(_kind(value), value.shape))
    for tensor in model.graph.initializer:
        found[tensor.name] = Tensor(tensor.data_type, tuple(tensor.dims))
    return found, values


def inferred_values(model: Any) -> dict[str, Any]:
    """Return what follows of every tensor of the main graph, whatever the file notes of them.

    Returns:
        onnx.ValueInfoProto by name; empty where inference refuses the graph.
    """
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(_without_weights(model, {})).graph
    except Exception:  # the engines have inference of their own
        return {}
    return {value.name: value for value in graph.value_info}


def _without_weights(model: Any, sizes: Mapping[str, tuple[int, ...]]) -> Any:
    """Copy a model for inference: inputs fixed, exporters' notes dropped, weights as inputs.

    What the exporter noted of shapes in between is symbolic; only what follows from the inputs is
    wanted.
    """
    import onnx

    slim = onnx.ModelProto(ir_version=model.ir_version)
    slim.opset_import.extend(model.opset_import)
    slim.functions.extend(model.functions)
    slim.graph.name = model.graph.name
    slim.graph.node.extend(model.graph.node)
    slim.graph.input.extend(model.graph.input)
    declared = {value.name for value in slim.graph.input}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            slim.graph.initializer.add().CopyFrom(tensor)
        elif tensor.name not in declared:
            slim.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    for value in slim.graph.input:
        if value.name in sizes:
            for size, axis in zip(sizes[value.name], value.type.tensor_type.shape.dim, strict=True):
                axis.dim_value = size
    for value in model.graph.output:
        output = slim.graph.output.add(name=value.name)
        output.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    return slim


def _inferred(slim: Any) -> dict[str, Tensor]:
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(slim, data_prop=True).graph
    except Exception:
        # A graph that inference refuses still has inputs and weights of known size.
        graph = slim.graph
    found = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        known = tensor.HasField("shape") and all(size.HasField("dim_value") for size in dims)
        shape = tuple(size.dim_value for size in dims) if known else None
        if shape is not None and (min(shape, default=0) < 0 or math.prod(shape) > _MOST_ELEMENTS):
            shape = None
        found[value.name] = Tensor(tensor.elem_type, shape)
    for small in graph.initializer:
        found[small.name] = Tensor(small.data_type, tuple(small.dims))
    return found


def _missing(slim: Any, found: Mapping[str, Tensor]) -> bool:
    return any(
        name and (name not in found or found[name].shape is None)
        for node in slim.graph.node
        for name in node.output
    )


def _fold(slim: Any, found: Mapping[str, Tensor], values: dict[str, NDArray[Any]]) -> bool:
    """Replace nodes whose result is a few known numbers by initializers; whether any was."""
    import onnx

    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in slim.graph.initializer}
    known.update(values)
    kept, folded = [], False
    for place, node in enumerate(slim.graph.node):
        results = _result(node, found, known, slim)
        if results is None:
            kept.append(place)
            continue
        for name, value in results.items():
            values[name] = known[name] = value
            slim.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        folded = True
    if folded:
        nodes = take(slim.graph.node)
        slim.graph.node.extend(nodes[place] for place in kept)
    return folded


def _result(
    node: Any, found: Mapping[str, Tensor], known: Mapping[str, NDArray[Any]], slim: Any
) -> dict[str, NDArray[Any]] | None:
    """What a node answers where that is a few numbers that nothing dynamic decides; else None."""
    names = [name for name in node.output if name]
    if node.domain not in ("", "ai.onnx") or node.op_type in _RANDOM or not names:
        return None
    if node.op_type == "Shape":
        tensor = found.get(node.input[0])
        if tensor is None or tensor.shape is None:
            return None
        cut = {entry.name: entry.i for entry in node.attribute}
        return {names[0]: np.array(tensor.shape[cut.get("start", 0) : cut.get("end")], np.int64)}
    if any(name and name not in known for name in node.input) or any(True for _ in bodies(node)):
        return None
    if node.op_type == "Constant" and any(
        math.prod(entry.t.dims) > _SMALL for entry in node.attribute
    ):
        return None
    if not (_is_small(names, found) or _is_bounded(node, known)):
        return None
    function = _function(node, slim)
    feeds = {name: known[name] for name in node.input if name}
    try:
        from onnx.reference import ReferenceEvaluator

        # A function without attributes still wants to be told so.
        results = ReferenceEvaluator(function).run(None, feeds, {})
        answers = [np.asarray(result) for result in results]
    except Exception:
        # The evaluator does not know everything; then the shape stays unknown.
        return None
    if any(answer.size > _SMALL or answer.dtype.kind not in "fiub" for answer in answers):
        return None
    return dict(zip(names, answers, strict=True))


def _is_small(names: list[str], found: Mapping[str, Tensor]) -> bool:
    shapes = [found[name].shape if name in found else None for name in names]
    return all(shape is not None and math.prod(shape) <= _SMALL for shape in shapes)


def _is_bounded(node: Any, known: Mapping[str, NDArray[Any]]) -> bool:
    elements = math.prod(max(1, known[name].size) for name in node.input if name)
    return node.op_type in _BOUNDED and elements <= _MOST_COMPUTED


def _function(node: Any, slim: Any) -> Any:
    import onnx

    return onnx.helper.make_function(
        "edgekit",
        "fold",
        list(dict.fromkeys(name for name in node.input if name)),
        [name for name in node.output if name],
        [node],
        slim.opset_import,
    )


def _kind(value: NDArray[Any]) -> int:
    import onnx

    return int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype))
