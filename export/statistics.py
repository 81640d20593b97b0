"""How well one scale per tensor would serve each weighted node: measured on the float graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.requires import requires
from edgekit.export.graph import constants, is_weighted, weight_axis

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["output_sqnr_db", "predicted_sqnr_db"]

LEVELS = 255  # steps of an 8-bit scale
MAX_SAMPLES = 16  # means over a few samples are steady enough to tell 10 dB from 40


@dataclass
class _Node:
    """Running sums for one weighted node."""

    data: str
    output: str
    weight: NDArray[np.generic]
    axis: int | None
    span: float = 0.0
    mean: NDArray[np.float64] | float = 0.0
    square: NDArray[np.float64] | float = 0.0


def predicted_sqnr_db(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, NDArray[np.generic]]]
) -> dict[str, float]:
    """Predict each weighted node's output SQNR if its input gets one 8-bit scale.

    Rounding with step d adds white noise of variance d^2/12 (Widrow and Kollar, Quantization
    Noise, 2008), which a weight w turns into |w|^2 d^2/12 at the output. The signal is the
    output's variance around its mean by channel, because a constant carries no information.
    Depthwise convolutions whose channels differ much in range come out low: their few quiet
    channels have large weights.

    Args:
        model: The float model, weights as initializers.
        feeds: Arrays by input name; at most the first 16 samples are run.

    Returns:
        Decibels by the node's first output.

    Raises:
        MissingLibrary: onnxruntime is not installed.
    """
    values = constants(model)
    nodes = [
        _Node(node.input[0], node.output[0], weight, weight_axis(node, weight.ndim))
        for node in model.graph.node
        if is_weighted(node, values) and (weight := values[node.input[1]]).dtype == np.float32
    ]
    count = 0
    for tensors in _run(
        model, {name for node in nodes for name in (node.data, node.output)}, feeds
    ):
        count += 1
        for node in nodes:
            data, output = tensors[node.data], tensors[node.output].astype(np.float64)
            node.span += max(float(data.max()), 0.0) - min(float(data.min()), 0.0)
            channel = 1 if output.ndim > 2 else output.ndim - 1
            rest = tuple(axis for axis in range(output.ndim) if axis != channel)
            node.mean = node.mean + output.mean(axis=rest)
            node.square = node.square + (output**2).mean(axis=rest)
    return {node.output: _decibels(node, count) for node in nodes if count}


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
    pairs = zip(_run(model, set(tensors), feeds), _run(other, set(tensors), feeds), strict=True)
    for ours, theirs in pairs:
        for name in tensors:
            wanted = ours[name].astype(np.float64)
            signal[name] += float((wanted**2).sum())
            noise[name] += float(((wanted - theirs[name].astype(np.float64)) ** 2).sum())
    decibels = [10 * np.log10(max(signal[name], 1e-30) / noise[name]) for name in tensors]
    return float(np.mean(decibels))


def _decibels(node: _Node, count: int) -> float:
    step = node.span / count / LEVELS
    # A single vector per sample has no variance within it, so the mean over samples is removed.
    variance = np.maximum(np.asarray(node.square) / count - (np.asarray(node.mean) / count) ** 2, 0)
    noise = float((node.weight.astype(np.float64) ** 2).sum()) * step**2 / 12
    signal = float(variance.sum())
    if noise <= 0:
        return float("inf")
    return float(10 * np.log10(max(signal / noise, 1e-12)))


def _run(
    model: onnx.ModelProto,
    wanted: set[str],
    feeds: Iterable[Mapping[str, NDArray[np.generic]]],
) -> Iterable[dict[str, NDArray[np.generic]]]:
    """Run the model on each sample and yield the wanted tensors, inputs included."""
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
    session = onnxruntime.InferenceSession(
        probed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [entry.name for entry in session.get_outputs() if entry.name in wanted]
    for index, feed in enumerate(feeds):
        if index == MAX_SAMPLES:
            return
        tensors = {name: np.asarray(feed[name]) for name in sorted(inputs & wanted)}
        for name, value in zip(names, session.run(names, dict(feed)), strict=True):
            tensors[name] = np.asarray(value)
        yield tensors
