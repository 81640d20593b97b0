"""ONNX Runtime's profile of one run, read as a Placement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from edgekit.core.json_text import parse_json
from edgekit.core.opening import TABLE_BYTES
from edgekit.core.runtime import NodePlacement
from edgekit.runtimes import flops

__all__ = ["COMPILED", "count_compiled", "profiled_nodes"]

# The precision of a part of the graph that its provider compiled itself: ONNX Runtime sees one node
# and what goes in and out, not what happens inside.
COMPILED = "unknown"

_PRECISION = {
    "float": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "double": "fp64",
    "int8": "int8",
    "uint8": "int8",
}
# Integer operands only in storage: the arithmetic of these is in float.
_FLOAT_ARITHMETIC = frozenset({"DequantizeLinear", "QuantizeLinear", "MatMulNBits"})
_CONVOLUTION_WEIGHT = {
    "Conv": 1,
    "FusedConv": 1,
    "NhwcFusedConv": 1,
    "ConvInteger": 1,
    "QLinearConv": 3,
}
_MATMULS = frozenset(
    {
        "DynamicQuantizeMatMul",
        "FusedGemm",
        "FusedMatMul",
        "Gemm",
        "MatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QGemm",
        "QLinearMatMul",
    }
)
_RECURRENT = frozenset({"DynamicQuantizeLSTM", "GRU", "LSTM", "RNN"})


class _Arguments(msgspec.Struct):
    """The part of a profile event's arguments that we read; shapes are {dtype: shape}."""

    op_name: str = ""
    provider: str = ""
    input_type_shape: list[dict[str, list[int]]] = []
    output_type_shape: list[dict[str, list[int]]] = []


class _Event(msgspec.Struct):
    name: str = ""
    cat: str = ""
    ts: int = 0
    args: _Arguments = msgspec.field(default_factory=_Arguments)


def profiled_nodes(profile: bytes, names: Mapping[str, str]) -> tuple[NodePlacement, ...]:
    """Nodes of a profile in the order they ran.

    Args:
        profile: The JSON that ONNX Runtime writes.
        names: Provider to what to call it, for the provider that was asked for.
    """
    suffix = "_kernel_time"
    events = parse_json(profile, "ONNX Runtime's profile", list[_Event], limit=TABLE_BYTES)
    ran = [event for event in events if event.cat == "Node" and event.name.endswith(suffix)]
    return tuple(
        NodePlacement(
            name=event.name.removesuffix(suffix),
            op=event.args.op_name,
            device=names.get(event.args.provider) or _device(event.args.provider),
            precision=COMPILED if _compiled(event) else _precision(event.args),
            flops=0 if _compiled(event) else _flops(event.args),
        )
        for event in sorted(ran, key=lambda event: event.ts)
    )


def count_compiled(nodes: Sequence[NodePlacement], flops: int) -> tuple[NodePlacement, ...]:
    """Give the operations that no visible node does to the parts that a provider compiled.

    Args:
        nodes: Of one run.
        flops: Of the whole graph; 0 where they are not known, which leaves all as it is.
    """
    hidden = [node for node in nodes if node.precision == COMPILED]
    rest = max(0, flops - sum(node.flops for node in nodes))
    # Which part does how much nobody tells; all of them are on one device and of one kind.
    share, odd = divmod(rest, len(hidden)) if hidden else (0, 0)
    counts = iter([share + odd, *[share] * len(hidden)])
    return tuple(
        msgspec.structs.replace(node, flops=next(counts)) if node.precision == COMPILED else node
        for node in nodes
    )


def _compiled(event: _Event) -> bool:
    """Whether a node is a part of the graph that a provider compiled.

    ONNX Runtime names those PROVIDER_OPERATOR_NUMBER, the operator made up by the provider.
    """
    return event.name.startswith(f"{event.args.provider}_{event.args.op_name}_")


def _device(provider: str) -> str:
    """The word that a target would use: "cpu", "cuda" or "ep=NAME"."""
    name = provider.removesuffix("ExecutionProvider")
    return name.lower() if name in ("CPU", "CUDA") else f"ep={name}"


def _precision(node: _Arguments) -> str:
    dtypes = [dtype for tensor in node.input_type_shape for dtype in tensor]
    if node.op_name not in _FLOAT_ARITHMETIC and {"int8", "uint8"} & set(dtypes[:2]):
        return "int8"
    floats = [dtype for dtype in dtypes if _PRECISION.get(dtype, "int8") != "int8"]
    if floats:
        return _PRECISION[floats[0]]
    return _PRECISION.get(dtypes[0], dtypes[0]) if dtypes else "none"


def _flops(node: _Arguments) -> int:
    inputs = [shape for tensor in node.input_type_shape for shape in tensor.values()]
    outputs = [shape for tensor in node.output_type_shape for shape in tensor.values()]
    if not inputs or not outputs:
        return 0
    weight = _CONVOLUTION_WEIGHT.get(node.op_name)
    if weight is not None and len(inputs) > weight:
        return flops.convolution(outputs[0], inputs[weight])
    if node.op_name == "ConvTranspose":
        return flops.transposed_convolution(inputs[0], inputs[1])
    if node.op_name in _MATMULS:
        return flops.matmul(inputs[0], outputs[0])
    if node.op_name in _RECURRENT:
        return flops.recurrent(inputs[0], inputs[1], inputs[2])
    return 0
