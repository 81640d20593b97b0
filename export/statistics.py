"""How well one scale per tensor would serve each weighted node: measured on the float graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.engine_error import run_engine
from edgekit.core.requires import requires
from edgekit.export.graph import attribute, constants, is_weighted

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = [
    "MAX_SAMPLES",
    "Expected",
    "expected",
    "mean_corrections",
    "output_sqnr_db",
    "run_tensors",
]

MAX_SAMPLES = 16  # means over a few samples are steady enough to tell 10 dB from 40


@dataclass(frozen=True)
class Expected:
    """What is expected of one weighted node when it is quantized.

    Attributes:
        sqnr_db: Predicted SQNR of its output if its input gets one 8-bit scale.
        input_mean: (C,) float64, mean of its input by channel.
    """

    sqnr_db: float
    input_mean: NDArray[np.float64]


@dataclass
class _Node:
    """Running sums for one weighted node."""

    data: str
    output: str
    weight: NDArray[np.generic]
    input_axis: int
    output_axis: int
    input_mean: NDArray[np.float64] | float = 0.0
    mean: NDArray[np.float64] | float = 0.0
    square: NDArray[np.float64] | float = 0.0

    def add(self, data: NDArray[np.float64], output: NDArray[np.float64]) -> None:
        self.input_mean = self.input_mean + _by_channel(data, self.input_axis)
        self.mean = self.mean + _by_channel(output, self.output_axis)
        self.square = self.square + _by_channel(output**2, self.output_axis)


def expected(
    model: onnx.ModelProto,
    feeds: Iterable[Mapping[str, NDArray[np.generic]]],
    noise: Mapping[str, float],
) -> dict[str, Expected]:
    """Predict how each weighted node fares with one 8-bit scale for its input.

    White noise of variance v at the input becomes |w|^2 v at the output of a weight w. The signal
    is the output's variance around its mean by channel, because a constant carries no information.
    Depthwise convolutions whose channels differ much in range come out low: their few quiet
    channels have large weights.

    Args:
        model: The float model, weights as initializers.
        feeds: Arrays by input name; at most the first 16 samples are run.
        noise: Variance of the rounding's noise by tensor; a node whose input is not there is left
            out.

    Returns:
        By the node's first output.

    Raises:
        MissingLibrary: onnxruntime is not installed.
    """
    values = constants(model)
    nodes = []
    for node in model.graph.node:
        if (
            is_weighted(node, values)
            and values[node.input[1]].dtype == np.float32
            and node.input[0] in noise
        ):
            spatial = node.op_type in ("Conv", "ConvTranspose")
            channel = 1 if spatial else -1
            input_axis = 0 if node.op_type == "Gemm" and attribute(node, "transA", 0) else channel
            nodes.append(
                _Node(node.input[0], node.output[0], values[node.input[1]], input_axis, channel)
            )
    count = 0
    for tensors in run_tensors(
        model, {name for node in nodes for name in (node.data, node.output)}, feeds
    ):
        count += 1
        for node in nodes:
            node.add(tensors[node.data].astype(np.float64), tensors[node.output].astype(np.float64))
    if not count:
        return {}
    return {
        node.output: Expected(
            _decibels(node, count, noise[node.data]), np.atleast_1d(node.input_mean) / count
        )
        for node in nodes
    }


def mean_corrections(
    model: onnx.ModelProto,
    expectations: Mapping[str, Expected],
    rounded: Mapping[str, NDArray[np.float64]],
) -> dict[str, NDArray[np.float32]]:
    """Return biases that undo the mean shift of rounded weights.

    A weight w stored as w' shifts the output's mean by (w' - w) E[x], which the bias takes back
    (Nagel et al., Data-Free Quantization, arXiv:1906.04721, section 4.2; the mean is measured
    here). Padding is ignored.

    Args:
        model: The float model.
        expectations: From `expected`.
        rounded: What each convolution's weight becomes, by first output.

    Returns:
        Corrected biases by first output, for the convolutions and Gemm nodes that have one.
    """
    values = constants(model)
    corrected = {}
    for node in model.graph.node:
        output = node.output[0]
        if output not in rounded or output not in expectations or len(node.input) < 3:
            continue
        bias = values.get(node.input[2])
        if bias is None:
            continue
        mean = expectations[output].input_mean
        lost = values[node.input[1]].astype(np.float64) - rounded[output]
        if node.op_type == "Conv":
            group = _int(attribute(node, "group", 1))
            by_input = lost.reshape(*lost.shape[:2], -1).sum(axis=2)
            means = np.repeat(mean.reshape(group, -1), lost.shape[0] // group, axis=0)
            shift = (by_input * means).sum(axis=1)
        elif node.op_type == "Gemm" and not attribute(node, "transA", 0):
            shift = (lost if attribute(node, "transB", 0) else lost.T) @ mean
        else:
            continue
        if shift.shape == bias.shape:
            corrected[output] = (bias.astype(np.float64) + shift).astype(np.float32)
    return corrected


def _int(value: object) -> int:
    return value if isinstance(value, int) else 1


def _by_channel(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    if values.ndim < 2:
        return values
    kept = axis % values.ndim
    mean: NDArray[np.float64] = values.mean(
        axis=tuple(other for other in range(values.ndim) if other != kept)
    )
    return mean


def output_sqnr_db(
    model: onnx.ModelProto,
    other: onnx.ModelProto,
    tensors: Sequence[str],
    feeds: Sequence[Mapping[str, NDArray[np.generic]]],
) -> float:
    """Measure how well `other` reproduces some tensors of `model`.

    Args:
        model: The float model.
        other: The same graph in int8; its tensors keep their names.
        tensors: What to compare, all with the same weight: an output of boxes in pixels must not
            drown one of scores.
        feeds: Arrays by input name; at most the first 16 samples are run.

    Returns:
        The mean over the tensors of 10 log10(|x|^2 / |x - y|^2).
    """
    signal = dict.fromkeys(tensors, 0.0)
    noise = dict.fromkeys(tensors, 1e-30)
    pairs = zip(
        run_tensors(model, set(tensors), feeds),
        run_tensors(other, set(tensors), feeds),
        strict=True,
    )
    for ours, theirs in pairs:
        for name in tensors:
            wanted, got = (one[name].astype(np.float64) for one in (ours, theirs))
            # What the float model itself does not answer says nothing.
            answered = np.isfinite(wanted)
            wanted, got = wanted[answered], got[answered]
            signal[name] += float((wanted**2).sum())
            noise[name] += float(np.nan_to_num((wanted - got) ** 2, nan=np.inf).sum())
    decibels = [10 * np.log10(max(signal[name], 1e-30) / noise[name]) for name in tensors]
    return float(np.mean(decibels))


def _decibels(node: _Node, count: int, variance: float) -> float:
    # A single vector per sample has no variance within it, so the mean over samples is removed.
    varying = np.maximum(np.asarray(node.square) / count - (np.asarray(node.mean) / count) ** 2, 0)
    noise = float((node.weight.astype(np.float64) ** 2).sum()) * variance
    signal = float(varying.sum())
    if noise <= 0:
        return float("inf")
    return float(10 * np.log10(max(signal / noise, 1e-12)))


def run_tensors(
    model: onnx.ModelProto,
    wanted: set[str],
    feeds: Iterable[Mapping[str, NDArray[np.generic]]],
    limit: int = MAX_SAMPLES,
) -> Iterable[dict[str, NDArray[np.generic]]]:
    """Run the model on each of the first `limit` samples and yield the wanted tensors."""
    import onnx
    from onnx import helper

    with requires("onnxruntime", extra="onnx", why="to calibrate"):
        import onnxruntime

    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    inputs = {entry.name for entry in model.graph.input}
    present = {entry.name for entry in model.graph.output}
    for name in sorted(wanted - present - inputs):
        probed.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    content = probed.SerializeToString()
    session = run_engine(
        lambda: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    )
    names = [entry.name for entry in session.get_outputs() if entry.name in wanted]
    for index, feed in enumerate(feeds):
        if index == limit:
            return
        tensors = {name: np.asarray(feed[name]) for name in sorted(inputs & wanted)}
        # Asked for nothing, it would give every output.
        found = run_engine(partial(session.run, names, dict(feed))) if names else []
        for name, value in zip(names, found, strict=True):
            tensors[name] = np.asarray(value)
        yield tensors
