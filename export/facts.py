"""What can be read off an ONNX file: operators, parameters, FLOPs, precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from edgekit.core.card import Axis, GraphCard, TensorCard
from edgekit.core.documents import GraphFacts
from edgekit.core.files import sha256_file
from edgekit.core.inputs import dynamic_axes
from edgekit.export.metadata import card_of, graph_card
from edgekit.export.onnx_file import read_onnx
from edgekit.export.to_onnx import opset_of

__all__ = ["graph_facts", "node_flops"]

# ONNX element types of weights; int64 tensors are shapes and indices.
_WEIGHT_TYPES = {1, 2, 3, 6, 10, 11, 16, 17, 18, 19, 20, 21, 22}
_INTEGER_OPERATORS = {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm"}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def graph_facts(path: Path, role: str = "main") -> GraphFacts:
    """Read the facts of one ONNX file.

    FLOPs count what convolutions, matrix products and recurrent layers do at the smallest size of
    every dynamic axis; see `node_flops`.

    Args:
        path: The ONNX file.
        role: The graph's role in its model.

    Raises:
        BadInput: Damaged, or no valid ONNX file.
    """
    model = read_onnx(path)
    # The embedded card knows the axes' ranges; the graph alone only their names.
    card = card_of(model, str(path))
    own = graph_card(model, str(path))
    known = card.graph(role) if card else GraphCard()
    smallest = {
        name: axis.min for name, axis in dynamic_axes({**own.inputs, **known.inputs}).items()
    }
    shapes = _shapes(model, own, smallest)
    flops = {index: node_flops(node, shapes) for index, node in enumerate(model.graph.node)}
    total = sum(flops.values())
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    quantized = sum(
        flops[index] for index, node in enumerate(model.graph.node) if _is_quantized(node, made_by)
    )
    weights = [tensor for tensor in _weights(model.graph) if tensor.data_type in _WEIGHT_TYPES]
    counts = [prod(tensor.dims) for tensor in weights]
    sizes = [
        count * _bytes(tensor.data_type) for tensor, count in zip(weights, counts, strict=True)
    ]
    half = sum(
        size for size, tensor in zip(sizes, weights, strict=True) if tensor.data_type in (10, 16)
    )
    share = quantized / total if total else 0.0
    precision = "fp16" if half * 2 > sum(sizes) else "fp32"
    operators = Counter(node.op_type for node in model.graph.node)
    return GraphFacts(
        role=role,
        file=path.name,
        size_bytes=path.stat().st_size,
        sha256=sha256_file(path),
        opset=opset_of(model),
        ir_version=int(model.ir_version),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        inputs={name: _described(tensor) for name, tensor in own.inputs.items()},
        outputs={name: _described(tensor) for name, tensor in own.outputs.items()},
        nodes=len(model.graph.node),
        operators=dict(operators.most_common()),
        parameters=sum(counts),
        parameter_bytes=int(sum(sizes)),
        flops=total,
        quantized_share=share,
        precision="int8" if share > 0 else precision,
    )


def node_flops(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Count the operations of one node, a multiply and an add as two; biases are left out.

    With output Y, input X and weights W these are the textbook counts (as in Sze et al., Efficient
    Processing of Deep Neural Networks, 2017, section IV):

    - Conv: 2 |Y| (C_in / groups) |kernel|, ConvTranspose: 2 |X| (C_out / groups) |kernel|
    - Gemm, MatMul: 2 |Y| K, with K the inner size
    - LSTM, GRU, RNN: 2 T N D G H (I + H), with G gates (4, 3, 1) and D directions

    Args:
        node: onnx.NodeProto.
        shapes: Fixed shapes by tensor name; a node whose shapes are not known counts 0.

    Returns:
        Number of operations.
    """
    operator = node.op_type
    inputs = [shapes.get(name) for name in node.input]
    output = shapes.get(node.output[0]) if node.output else None
    if operator in ("QLinearConv", "QLinearMatMul"):
        # x, its scale and zero point, then w.
        inputs = [inputs[0], inputs[3]]
    elif operator == "QGemm":
        inputs = [inputs[0], inputs[3]]
    first = inputs[0] if inputs else None
    second = inputs[1] if len(inputs) > 1 else None
    if first is None or second is None:
        return 0
    if operator in ("Conv", "QLinearConv", "ConvInteger"):
        # (C_out, C_in / groups, kernel…)
        return 2 * prod(output) * prod(second[1:]) if output is not None else 0
    if operator == "ConvTranspose":
        # (C_in, C_out / groups, kernel…)
        return 2 * prod(first) * prod(second[1:])
    if operator in ("MatMul", "QLinearMatMul", "MatMulInteger"):
        return 2 * prod(output) * first[-1] if output is not None and first else 0
    if operator in ("Gemm", "QGemm"):
        transposed = any(item.name == "transA" and item.i for item in node.attribute)
        return 2 * prod(output) * first[0 if transposed else 1] if output is not None else 0
    if operator in _GATES and len(first) == 3 and len(second) == 3:
        # X (T, N, I), W (D, gates * H, I)
        steps, batch, size = first
        directions, rows, _ = second
        hidden = rows // _GATES[operator]
        return 2 * steps * batch * directions * rows * (size + hidden)
    return 0


def _shapes(model: Any, card: GraphCard, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Infer every tensor's shape with all dynamic axes at the sizes given."""
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for tensor in fixed.graph.input:
        known = card.inputs.get(tensor.name)
        if known is not None:
            for label, size in zip(known.shape, tensor.type.tensor_type.shape.dim, strict=True):
                if isinstance(label, str):
                    size.dim_value = sizes.get(label, 1)
    # What the exporter noted is symbolic; only what follows from the fixed inputs is wanted.
    del fixed.graph.value_info[:]
    for tensor in fixed.graph.output:
        tensor.type.tensor_type.ClearField("shape")
    try:
        fixed = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    except Exception:
        # A custom operator or an odd graph: count what needs no inference.
        fixed = model
    shapes = {tensor.name: tuple(tensor.dims) for tensor in fixed.graph.initializer}
    for value in [*fixed.graph.input, *fixed.graph.value_info, *fixed.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if all(size.HasField("dim_value") for size in dims):
            shapes[value.name] = tuple(size.dim_value for size in dims)
    return shapes


def _is_quantized(node: Any, made_by: Mapping[str, str]) -> bool:
    """Whether a node computes between Q/DQ pairs, or is an integer operator itself."""
    if node.op_type in _INTEGER_OPERATORS:
        return True
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return False
    return all(made_by.get(name) == "DequantizeLinear" for name in node.input[:2])


def _weights(graph: Any) -> list[Any]:
    """Initializers and the tensors of Constant nodes."""
    constants = [
        attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    return [*graph.initializer, *constants]


def _bytes(kind: int) -> float:
    import onnx

    # Two 4-bit values share a byte.
    return 0.5 if kind in (21, 22) else float(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _described(tensor: TensorCard) -> tuple[str, tuple[int | str, ...]]:
    return tensor.dtype, tuple(
        size.name if isinstance(size, Axis) else size for size in tensor.shape
    )
