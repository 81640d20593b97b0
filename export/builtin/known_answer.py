"""A graph of two nodes whose answer is known, to try an engine with."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.requires import requires

__all__ = ["EXPECTED", "FEED", "write_known_answer"]

# y = Relu(2 x), x of four float32 values.
FEED = (-1.0, 0.0, 0.5, 3.0)
EXPECTED = (0.0, 0.0, 1.0, 6.0)


def write_known_answer(path: Path) -> None:
    """Write the graph as an ONNX file of opset 13 that every engine reads."""
    with requires("onnx", extra="cpu", why="to write a test graph"):
        import onnx
    helper = onnx.helper
    vector = [len(FEED)]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["twice"]),
            helper.make_node("Relu", ["twice"], ["y"]),
        ],
        "known_answer",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, vector)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, vector)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
