"""Small ONNX graphs with known weights, for the tests of quantization and fp16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(path: Path, nodes, inputs, outputs, tensors, opset: int = 17) -> Path:
    """Write a checked model with metadata."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, {"edgekit.card": "{}"})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def convolutions(path: Path, opset: int = 17) -> Path:
    """Conv, Relu, Conv, Sigmoid: two weighted nodes and a head."""
    rng = np.random.default_rng(0)
    tensors = {
        "w1": rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "b1": rng.normal(size=8).astype(np.float32),
        "w2": rng.normal(size=(4, 8, 1, 1)).astype(np.float32),
        "b2": rng.normal(size=4).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"]),
        helper.make_node("Sigmoid", ["c2"], ["y"]),
    ]
    shapes = {"x": ["batch", 3, 8, 8]}, {"y": ["batch", 4, 8, 8]}
    return save(path, nodes, *shapes, tensors, opset)


def uneven_depthwise(path: Path) -> Path:
    """A depthwise convolution one of whose channels is 1000 times louder than the others."""
    rng = np.random.default_rng(0)
    gain = np.array([1000, 1, 1, 1], np.float32).reshape(4, 1, 1, 1)
    tensors = {
        "w1": rng.normal(size=(4, 3, 1, 1)).astype(np.float32) * gain,
        "w2": rng.normal(size=(4, 1, 3, 3)).astype(np.float32) / gain,
        "w3": rng.normal(size=(4, 4, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"]),
        helper.make_node("Conv", ["c1", "w2"], ["c2"], group=4),
        helper.make_node("Conv", ["c2", "w3"], ["y"]),
    ]
    return save(path, nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 4, 6, 6]}, tensors)


def recurrent(path: Path) -> Path:
    """A step with state: a matrix product into a GRU whose state is input and output."""
    rng = np.random.default_rng(0)
    tensors = {
        "w": rng.normal(size=(6, 5)).astype(np.float32),
        "gw": rng.normal(size=(1, 12, 5)).astype(np.float32),
        "gr": rng.normal(size=(1, 12, 4)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("GRU", ["m", "gw", "gr", "", "", "h"], ["s", "hn"], hidden_size=4),
    ]
    return save(
        path,
        nodes,
        {"x": [1, 1, 6], "h": [1, 1, 4]},
        {"s": [1, 1, 1, 4], "hn": [1, 1, 4]},
        tensors,
    )


def samples(shapes: dict[str, tuple[int, ...]], count: int = 4) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(count)
    ]


def run(path: Path, feed) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def sqnr_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10((wanted**2).sum() / max(((wanted - got) ** 2).sum(), 1e-30)))
