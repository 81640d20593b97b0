"""Small graphs, one for each kind of layer that models for the edge are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from conformance import BATCH, random, tensor, weights, write
from onnx import TensorProto, helper

__all__ = ["CASES", "PRODUCTS", "det_graph", "make"]

node = helper.make_node
IMAGE = [BATCH, 8, 16, 16]


def conv(source: str, made: str, name: str, **attributes: Any) -> Any:
    return node("Conv", [source, f"{name}_w", f"{name}_b"], [made], name, **attributes)


def conv_weights(name: str, out: int, into: int, size: int) -> list[Any]:
    seed = sum(name.encode())
    kernel = random(out, into, size, size, seed=seed) / np.float32(size * into**0.5)
    return [weights(f"{name}_w", kernel), weights(f"{name}_b", random(out, seed=seed + 1))]


def convolution(path: Path) -> Path:
    return write(
        path,
        [conv("x", "c", "first", pads=[1, 1, 1, 1]), node("Relu", ["c"], ["y"], "relu")],
        [tensor("x", IMAGE)],
        [tensor("y", IMAGE)],
        conv_weights("first", 8, 8, 3),
    )


def convolution_1d(path: Path) -> Path:
    return write(
        path,
        [conv("x", "c", "first", pads=[1, 1]), node("Relu", ["c"], ["y"], "relu")],
        [tensor("x", [BATCH, 8, 32])],
        [tensor("y", [BATCH, 8, 32])],
        [weights("first_w", random(8, 8, 3)), weights("first_b", random(8))],
    )


def depthwise(path: Path) -> Path:
    return write(
        path,
        [
            conv("x", "c", "deep", pads=[1, 1, 1, 1], group=8),
            node("Clip", ["c", "low", "high"], ["r"], "relu6"),
            conv("r", "y", "point"),
        ],
        [tensor("x", IMAGE)],
        [tensor("y", IMAGE)],
        [
            *conv_weights("deep", 8, 1, 3),
            *conv_weights("point", 8, 8, 1),
            weights("low", np.float32(0)),
            weights("high", np.float32(6)),
        ],
    )


def residual(path: Path) -> Path:
    return write(
        path,
        [
            conv("x", "a", "first", pads=[1, 1, 1, 1]),
            node("Relu", ["a"], ["b"], "relu"),
            conv("b", "c", "second", pads=[1, 1, 1, 1]),
            node("Add", ["c", "x"], ["d"], "add"),
            node("Relu", ["d"], ["e"], "relu_out"),
            conv("e", "y", "third"),
        ],
        [tensor("x", IMAGE)],
        [tensor("y", IMAGE)],
        [
            *conv_weights("first", 8, 8, 3),
            *conv_weights("second", 8, 8, 3),
            *conv_weights("third", 8, 8, 1),
        ],
    )


def silu(path: Path) -> Path:
    return write(
        path,
        [
            conv("x", "a", "first", pads=[1, 1, 1, 1]),
            node("Sigmoid", ["a"], ["s"], "sigmoid"),
            node("Mul", ["a", "s"], ["b"], "mul"),
            conv("b", "y", "second"),
        ],
        [tensor("x", IMAGE)],
        [tensor("y", IMAGE)],
        [*conv_weights("first", 8, 8, 3), *conv_weights("second", 8, 8, 1)],
    )


def concat(path: Path) -> Path:
    return write(
        path,
        [
            conv("x", "a", "first"),
            conv("x", "b", "second", pads=[1, 1, 1, 1]),
            node("Concat", ["a", "b"], ["c"], "concat", axis=1),
            conv("c", "y", "third"),
        ],
        [tensor("x", IMAGE)],
        [tensor("y", IMAGE)],
        [
            *conv_weights("first", 8, 8, 1),
            *conv_weights("second", 8, 8, 3),
            *conv_weights("third", 8, 16, 1),
        ],
    )


def transposed(path: Path) -> Path:
    return write(
        path,
        [node("ConvTranspose", ["x", "w"], ["y"], "up", kernel_shape=[2, 2], strides=[2, 2])],
        [tensor("x", IMAGE)],
        [tensor("y", [BATCH, 4, 32, 32])],
        [weights("w", random(8, 4, 2, 2))],
    )


def group_norm(path: Path) -> Path:
    """As PyTorch exports it: reshaped, normalized by instance, scaled."""
    return write(
        path,
        [
            node("Reshape", ["x", "groups"], ["g"], "split"),
            node("InstanceNormalization", ["g", "ones", "zeros"], ["n"], "norm", epsilon=1e-5),
            node("Shape", ["x"], ["s"], "shape"),
            node("Reshape", ["n", "s"], ["m"], "join"),
            node("Mul", ["m", "w"], ["p"], "scale"),
            node("Add", ["p", "b"], ["y"], "shift"),
        ],
        [tensor("x", IMAGE)],
        [tensor("y", IMAGE)],
        [
            weights("groups", np.array([0, 2, -1], np.int64)),
            weights("ones", np.ones(2, np.float32)),
            weights("zeros", np.zeros(2, np.float32)),
            weights("w", random(8, 1, 1)),
            weights("b", random(8, 1, 1, seed=1)),
        ],
    )


def layer_norm(path: Path) -> Path:
    return write(
        path,
        [node("LayerNormalization", ["x", "w", "b"], ["y"], "norm", axis=-1, epsilon=1e-5)],
        [tensor("x", [BATCH, 12, 16])],
        [tensor("y", [BATCH, 12, 16])],
        [weights("w", random(16)), weights("b", random(16, seed=1))],
    )


def attention(path: Path) -> Path:
    """Two heads of 8 over 12 tokens of 16."""
    heads = [node("Transpose", [f"{n}4"], [f"{n}t"], f"heads_{n}", perm=[0, 2, 1, 3]) for n in "qv"]
    return write(
        path,
        [
            *(node("MatMul", ["x", f"w{n}"], [n], f"project_{n}") for n in "qkv"),
            *(node("Reshape", [n, "split"], [f"{n}4"], f"split_{n}") for n in "qkv"),
            *heads,
            node("Transpose", ["k4"], ["kt"], "heads_k", perm=[0, 2, 3, 1]),
            node("MatMul", ["qt", "kt"], ["scores"], "scores"),
            node("Mul", ["scores", "root"], ["scaled"], "scale"),
            node("Softmax", ["scaled"], ["shares"], "softmax", axis=-1),
            node("MatMul", ["shares", "vt"], ["mixed"], "mix"),
            node("Transpose", ["mixed"], ["back"], "back", perm=[0, 2, 1, 3]),
            node("Reshape", ["back", "join"], ["joined"], "join"),
            node("MatMul", ["joined", "wo"], ["y"], "out"),
        ],
        [tensor("x", [BATCH, 12, 16])],
        [tensor("y", [BATCH, 12, 16])],
        [
            *(weights(f"w{n}", random(16, 16, seed=at) / 4) for at, n in enumerate("qkvo")),
            weights("split", np.array([0, 12, 2, 8], np.int64)),
            weights("join", np.array([0, 12, 16], np.int64)),
            weights("root", np.float32(8**-0.5)),
        ],
    )


def gemm(path: Path) -> Path:
    return write(
        path,
        [node("Gemm", ["x", "w", "b"], ["y"], "fc", transB=1)],
        [tensor("x", [BATCH, 16])],
        [tensor("y", [BATCH, 10])],
        [weights("w", random(10, 16)), weights("b", random(10))],
    )


def recurrent(kind: str, gates: int) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        state = ["h", "c"] if kind == "LSTM" else ["h"]
        return write(
            path,
            [
                node(
                    kind,
                    ["x", "w", "r", "b", "", *state],
                    ["y", *(f"{name}n" for name in state)],
                    "cell",
                    hidden_size=8,
                    **({"linear_before_reset": 1} if kind == "GRU" else {}),
                )
            ],
            [tensor("x", [5, 1, 6]), *(tensor(name, [1, 1, 8]) for name in state)],
            [tensor("y", [5, 1, 1, 8]), *(tensor(f"{name}n", [1, 1, 8]) for name in state)],
            [
                weights("w", random(1, gates * 8, 6)),
                weights("r", random(1, gates * 8, 8, seed=1)),
                weights("b", random(1, gates * 16, seed=2)),
            ],
        )

    return made


def resize(mode: str) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        if mode == "linear":
            how = {"coordinate_transformation_mode": "half_pixel"}
        return write(
            path,
            [node("Resize", ["x", "", "scales"], ["y"], "resize", mode=mode, **how)],
            [tensor("x", IMAGE)],
            [tensor("y", [BATCH, 8, 32, 32])],
            [weights("scales", np.array([1, 1, 2, 2], np.float32))],
        )

    return made


def pools(path: Path) -> Path:
    """Pooled, flattened, classified."""
    return write(
        path,
        [
            node("MaxPool", ["x"], ["p"], "max", kernel_shape=[2, 2], strides=[2, 2]),
            node("GlobalAveragePool", ["p"], ["g"], "mean"),
            node("Flatten", ["g"], ["f"], "flatten", axis=1),
            node("Softmax", ["f"], ["y"], "softmax", axis=1),
        ],
        [tensor("x", IMAGE)],
        [tensor("y", [BATCH, 8])],
    )


def best(path: Path) -> Path:
    """The 4 best of each row, and the rows of another tensor that they point at."""
    return write(
        path,
        [
            node("TopK", ["x", "k"], ["value", "place"], "topk", axis=1),
            node("Unsqueeze", ["place", "last"], ["where"], "unsqueeze"),
            node("Expand", ["where", "shape"], ["wide"], "expand"),
            node("GatherElements", ["boxes", "wide"], ["y"], "gather", axis=1),
        ],
        [tensor("x", [BATCH, 20]), tensor("boxes", [BATCH, 20, 4])],
        [tensor("value", [BATCH, 4]), tensor("place", [BATCH, 4], "int64"),
         tensor("y", [BATCH, 4, 4])],
        [
            weights("k", np.array([4], np.int64)),
            weights("last", np.array([2], np.int64)),
            weights("shape", np.array([1, 1, 4], np.int64)),
        ],
    )  # fmt: skip


def gather(path: Path) -> Path:
    """Tokens become rows of a table; a mask chooses."""
    return write(
        path,
        [
            node("Gather", ["table", "ids"], ["rows"], "embed", axis=0),
            node("Greater", ["ids", "none"], ["there"], "greater"),
            node("Unsqueeze", ["there", "last"], ["mask"], "unsqueeze"),
            node("Where", ["mask", "rows", "zero"], ["y"], "where"),
        ],
        [tensor("ids", [BATCH, 6], "int64")],
        [tensor("y", [BATCH, 6, 16])],
        [
            weights("table", random(50, 16)),
            weights("none", np.int64(0)),
            weights("last", np.array([2], np.int64)),
            weights("zero", np.float32(0)),
        ],
    )


def shapes(path: Path) -> Path:
    """A shape is read, calculated with in int64 and used, as exporters of PyTorch write it."""
    return write(
        path,
        [
            node("Shape", ["x"], ["s"], "shape"),
            node("Gather", ["s", "zero"], ["n"], "batch", axis=0),
            node("Unsqueeze", ["n", "first"], ["n1"], "unsqueeze"),
            node("Concat", ["n1", "rest"], ["target"], "concat", axis=0),
            node("Reshape", ["x", "target"], ["r"], "reshape"),
            node("Slice", ["r", "from", "to", "axis"], ["y"], "slice"),
        ],
        [tensor("x", IMAGE)],
        [tensor("y", [BATCH, 4, 256])],
        [
            weights("zero", np.int64(0)),
            weights("first", np.array([0], np.int64)),
            weights("rest", np.array([8, 256], np.int64)),
            weights("from", np.array([0], np.int64)),
            weights("to", np.array([4], np.int64)),
            weights("axis", np.array([1], np.int64)),
        ],
    )


def casts(path: Path) -> Path:
    """Bytes in, as a camera gives them; a decision out."""
    return write(
        path,
        [
            node("Cast", ["x"], ["f"], "cast", to=TensorProto.FLOAT),
            node("Mul", ["f", "scale"], ["n"], "scale"),
            node("Transpose", ["n"], ["t"], "planes", perm=[0, 3, 1, 2]),
            node("ReduceMean", ["t"], ["m"], "mean", axes=[2, 3], keepdims=0),
            node("ArgMax", ["m"], ["y"], "argmax", axis=1, keepdims=0),
        ],
        [tensor("x", [BATCH, 16, 16, 3], "uint8")],
        [tensor("y", [BATCH], "int64")],
        [weights("scale", np.float32(1 / 255))],
    )


def det_graph(path: Path, module: str = "") -> Path:
    """A determinant, which TensorRT does not know, in a module of the PyTorch model."""
    det = node("Det", ["c"], ["d"], "/head/Det")
    if module:
        det.metadata_props.add(key="edgekit.module", value=module)
    return write(
        path,
        [node("Relu", ["x"], ["c"], "relu"), det, node("Neg", ["d"], ["y"], "neg")],
        [tensor("x", [BATCH, 4, 4])],
        [tensor("y", [BATCH])],
    )


CASES: dict[str, Callable[[Path], Path]] = {
    "convolution": convolution,
    "convolution-1d": convolution_1d,
    "depthwise": depthwise,
    "residual": residual,
    "silu": silu,
    "concat": concat,
    "transposed": transposed,
    "group-norm": group_norm,
    "layer-norm": layer_norm,
    "attention": attention,
    "gemm": gemm,
    "lstm": recurrent("LSTM", 4),
    "gru": recurrent("GRU", 3),
    "resize-nearest": resize("nearest"),
    "resize-linear": resize("linear"),
    "pools": pools,
    "top-k": best,
    "gather": gather,
    "shapes": shapes,
    "casts": casts,
}
# Those with convolutions or matrix products, whose precision is planned, and how many.
PRODUCTS = {
    "convolution": 1,
    "convolution-1d": 1,
    "depthwise": 2,
    "residual": 3,
    "silu": 2,
    "concat": 3,
    "transposed": 1,
    "attention": 6,
    "gemm": 1,
}


def make(name: str, folder: Path) -> Path:
    return CASES[name](folder / f"{name}.onnx")
