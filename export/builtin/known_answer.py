"""Graphs whose answers are known, to try an engine with: a sum, and the built-in digits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgekit.core.json_text import parse_json
from edgekit.core.requires import requires
from edgekit.export.builtin.digits import ARCHIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EXPECTED", "FEED", "digit_answers", "digit_images", "write_digits_graph", "write_sum"]

# y = Relu(2 x), x of four float32 values.
FEED = (-1.0, 0.0, 0.5, 3.0)
EXPECTED = (0.0, 0.0, 1.0, 6.0)

_WEIGHTS = Path(__file__).with_name("digits.safetensors")
_SIZE = 32
_CLASSES = 10


def write_sum(path: Path) -> None:
    """Write y = Relu(x + x) as an ONNX file of opset 13 that every engine reads."""
    with requires("onnx", extra="cpu", why="to write a test graph"):
        import onnx
    helper = onnx.helper
    vector = [len(FEED)]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["twice"]),
            helper.make_node("Relu", ["twice"], ["y"]),
        ],
        "sum",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, vector)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, vector)],
    )
    _write(graph, path)


def write_digits_graph(path: Path) -> None:
    """Write the built-in LeNet-5 for the images of `digit_images`, without torch.

    The layers are those of edgekit.export.builtin.lenet5, the weights its own.
    """
    with requires("onnx", extra="cpu", why="to write a test graph"):
        import onnx
    helper = onnx.helper
    pool: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["image", "c1.weight", "c1.bias"], ["c1"]),
        helper.make_node("Tanh", ["c1"], ["a1"]),
        helper.make_node("AveragePool", ["a1"], ["s2"], **pool),
        helper.make_node("Conv", ["s2", "c3.weight", "c3.bias"], ["c3"]),
        helper.make_node("Tanh", ["c3"], ["a3"]),
        helper.make_node("AveragePool", ["a3"], ["s4"], **pool),
        helper.make_node("Conv", ["s4", "c5.weight", "c5.bias"], ["c5"]),
        helper.make_node("Tanh", ["c5"], ["a5"]),
        helper.make_node("Flatten", ["a5"], ["flat"]),
        helper.make_node("Gemm", ["flat", "f6.weight", "f6.bias"], ["f6"], transB=1),
        helper.make_node("Tanh", ["f6"], ["a6"]),
        helper.make_node("Gemm", ["a6", "output.weight", "output.bias"], ["logits"], transB=1),
    ]
    shape = [_CLASSES, 1, _SIZE, _SIZE]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [_CLASSES, _CLASSES])],
        [onnx.numpy_helper.from_array(value, name) for name, value in _weights().items()],
    )
    _write(graph, path)


def digit_images() -> NDArray[np.float32]:
    """Return a picture of each digit in order, as the network takes it.

    Returns:
        (10, 1, 32, 32) float32: the first ones that nobody trained or calibrated on.
    """
    with np.load(ARCHIVE) as data:
        images, labels, roles = data["images"], data["labels"], data["roles"]
    chosen = [
        images[np.flatnonzero((labels == label) & (roles == "eval"))[0]]
        for label in range(_CLASSES)
    ]
    sized = [cv2.resize(image, (_SIZE, _SIZE), interpolation=cv2.INTER_LINEAR) for image in chosen]
    pixels = np.stack(sized)[:, None].astype(np.float32) / 255
    return np.asarray((pixels - 0.5) / 0.5, np.float32)


def digit_answers(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the network in float64 with numpy alone, for whoever else is to be believed.

    Args:
        images: (N, 1, 32, 32) float32.

    Returns:
        (N, 10) logits.
    """
    weights = {name: value.astype(np.float64) for name, value in _weights().items()}
    x = images.astype(np.float64)
    for layer in ("c1", "c3"):
        x = np.tanh(_convolution(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"]))
        count, channels, height, width = x.shape
        x = x.reshape(count, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5))
    x = np.tanh(_convolution(x, weights["c5.weight"], weights["c5.bias"])).reshape(len(x), -1)
    x = np.tanh(x @ weights["f6.weight"].T + weights["f6.bias"])
    logits: NDArray[np.float64] = x @ weights["output.weight"].T + weights["output.bias"]
    return logits


def _convolution(
    x: NDArray[np.float64], weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    found: NDArray[np.float64] = np.einsum("nchwij,ocij->nohw", windows, weight)
    return found + bias[None, :, None, None]


def _weights() -> dict[str, NDArray[np.float32]]:
    """Read the weights where safetensors is not installed: a length, a JSON header, the data."""
    content = _WEIGHTS.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, Any] = parse_json(content[8:start], _WEIGHTS)
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        values = np.frombuffer(content[start + first : start + last], np.float32)
        found[name] = values.reshape(entry["shape"])
    return found


def _write(graph: Any, path: Path) -> None:
    import onnx

    opsets = [onnx.helper.make_opsetid("", 13)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
