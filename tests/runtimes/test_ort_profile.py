"""ONNX Runtime's profile where a provider compiled a part of the graph itself."""

from __future__ import annotations

import json
from typing import Any

from edgekit.runtimes.ort_profile import COMPILED, count_compiled, profiled_nodes


def event(name: str, op: str, provider: str, shapes: list[Any], ts: int) -> dict[str, Any]:
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "ts": ts,
        "args": {
            "op_name": op,
            "provider": provider,
            "input_type_shape": shapes,
            "output_type_shape": [{"float": [4, 64]}],
        },
    }


# As onnxruntime-openvino 1.24.1 wrote it for MatMul, QuantizeLinear, QLinearMatMul,
# DequantizeLinear, MatMul: it takes all but one of them, in two parts.
OPENVINO = "OpenVINOExecutionProvider"
PART = f"{OPENVINO}_OpenVINO-EP-subgraph"
EVENTS = [
    event(f"{PART}_9_0", "OpenVINO-EP-subgraph_9", OPENVINO, [{"float": [4, 64]}], 1),
    event(
        "qmm",
        "QLinearMatMul",
        "CPUExecutionProvider",
        [{"uint8": [4, 64]}, {"float": []}, {"uint8": []}, {"int8": [64, 64]}],
        2,
    ),
    event(f"{PART}_10_1", "OpenVINO-EP-subgraph_10", OPENVINO, [{"uint8": [4, 64]}], 3),
]
MATMUL = 2 * 4 * 64 * 64


def nodes() -> Any:
    return profiled_nodes(json.dumps(EVENTS).encode(), {OPENVINO: "ep=OpenVINO"})


def test_the_precision_of_a_compiled_part_is_not_known() -> None:
    first, left, last = nodes()
    # What goes in is float and uint8; what is computed in, nobody says.
    assert (first.precision, left.precision, last.precision) == (COMPILED, "int8", COMPILED)
    assert (first.device, left.device) == ("ep=OpenVINO", "cpu")
    assert (first.flops, left.flops) == (0, MATMUL)


def test_what_no_visible_node_does_is_done_in_the_compiled_parts() -> None:
    counted = count_compiled(nodes(), 3 * MATMUL)
    assert [node.flops for node in counted] == [MATMUL, MATMUL, MATMUL]
    assert sum(node.flops for node in count_compiled(nodes(), 3 * MATMUL + 1)) == 3 * MATMUL + 1


def test_without_a_count_nothing_is_made_up() -> None:
    assert count_compiled(nodes(), 0) == nodes()


def test_a_kernel_of_a_provider_is_no_compiled_part() -> None:
    cuda = event("conv", "Conv", "CUDAExecutionProvider", [{"float": [4, 64]}], 1)
    (node,) = profiled_nodes(json.dumps([cuda]).encode(), {})
    assert (node.device, node.precision) == ("cuda", "fp32")
